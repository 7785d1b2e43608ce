"""What the SQLite store does beyond the port: a full disk, a locked file, long queries, a process that is killed."""

import asyncio
import itertools
import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from conformance.conftest import soon, tables
from sailplane_core.errors import InvalidRequest, LimitReached, Unavailable
from sailplane_runtime.store import sql, sqlite
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import Connection, insert, select, text

METADATA, ACCOUNTS, _ = tables()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def store(url: str):
    store = await SqlStore.open(url, METADATA)
    yield store
    await store.close()


def add(id: str):
    return lambda tx: tx.connection.execute(insert(ACCOUNTS).values(id=id))


def ids(connection: Connection) -> list[str]:
    return list(connection.scalars(select(ACCOUNTS.c.id).order_by(ACCOUNTS.c.id)))


def count_to(number: int) -> str:
    return f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {number}) SELECT max(n) FROM n"


async def limit_pages(store: SqlStore, pages: int) -> None:
    await store.write(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").close())


async def test_a_full_disk_is_a_limit_and_passes(store: SqlStore) -> None:
    def add_much(tx: Transaction) -> None:
        for part in range(50):
            tx.connection.execute(insert(ACCOUNTS).values(id=f"{part}" + "x" * 4000))

    await limit_pages(store, 20)
    with pytest.raises(LimitReached, match="disk space"):
        await store.write(add_much)
    outcomes = await asyncio.gather(store.write(add("a")), store.write(add_much), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[1:]] == [LimitReached]
    assert await store.read(ids) == ["a"]
    await limit_pages(store, 1_000_000)
    await store.write(add_much)
    assert len(await store.read(ids)) == 51


async def test_another_process_that_holds_the_database_makes_it_unavailable(
    url: str, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(sqlite.database_path(url), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await store.write(add("a"))
    assert await store.read(ids) == []
    other.execute("ROLLBACK")
    other.close()
    await store.write(add("a"))
    assert await store.read(ids) == ["a"]


async def test_a_transaction_that_is_lost_under_a_change_fails_that_change_alone(store: SqlStore) -> None:
    await store.write(add("a"))

    def conflicting(tx: Transaction) -> None:
        tx.connection.execute(text("INSERT OR ROLLBACK INTO accounts (id, version, balance) VALUES ('a', 1, 0)"))

    outcomes = await asyncio.gather(
        store.write(add("b")), store.write(conflicting), store.write(add("c")), return_exceptions=True
    )
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
    assert await store.read(ids) == ["a", "b", "c"]


async def test_a_long_query_is_moved_off_the_event_loop(store: SqlStore) -> None:
    threads: list[str] = []

    def query(steps: int):
        def run(connection: Connection) -> int:
            threads.append(threading.current_thread().name)
            return connection.execute(text(count_to(steps))).scalar_one()

        return run

    assert await store.read(query(10)) == 10
    assert threads == ["MainThread"]
    assert await soon(store.read(query(100_000))) == 100_000
    assert threads[1] == "MainThread"
    assert threads[2].startswith("store-reader")


async def test_short_queries_stay_on_the_event_loop_however_many_there_are(store: SqlStore) -> None:
    threads: set[str] = set()

    def query(connection: Connection) -> None:
        threads.add(threading.current_thread().name)
        connection.exec_driver_sql(count_to(100)).scalar_one()

    for _ in range(500):
        await store.read(query)
    assert threads == {"MainThread"}


async def test_who_fails_in_the_middle_of_rows_keeps_no_old_ones_for_others(store: SqlStore) -> None:
    for id in "abc":
        await store.write(add(id))
    errors: list[ValueError] = []

    def fail(connection: Connection) -> None:
        rows = connection.execute(select(ACCOUNTS.c.id))
        raise ValueError(next(iter(rows)))

    for attempt in (store.read(fail), store.write(lambda tx: fail(tx.connection))):
        try:
            await attempt
        except ValueError as error:
            errors.append(error)
    await store.write(add("d"))
    assert await store.read(ids) == ["a", "b", "c", "d"]
    assert len(errors) == 2


async def test_long_queries_hold_up_neither_short_ones_nor_changes(store: SqlStore) -> None:
    release = threading.Event()

    def wait(connection: Connection) -> int:
        result = connection.execute(text(count_to(100_000))).scalar_one()
        assert release.wait(20)
        return result

    long = [asyncio.create_task(store.read(wait)) for _ in range(sql.READERS)]
    await asyncio.sleep(0)
    await soon(store.write(add("a")))
    assert await soon(store.read(ids)) == ["a"]
    assert not any(task.done() for task in long)
    release.set()
    assert await soon(asyncio.gather(*long)) == [100_000] * sql.READERS


async def test_the_log_starts_afresh_when_the_writer_pauses(
    url: str, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "WAL_BYTES_CHECKPOINT", 256 * 1024)
    path = sqlite.database_path(url)
    await asyncio.gather(*(store.write(add(f"{number}" + "x" * 4000)) for number in range(100)))
    assert sqlite.wal_bytes(sqlite.wal_path(path)) > 256 * 1024

    async def write_now_and_then() -> None:
        for number in itertools.count():
            await store.write(add(f"small {number}"))
            if sqlite.wal_bytes(sqlite.wal_path(path)) < 64 * 1024:
                return
            await asyncio.sleep(0.01)

    await soon(write_now_and_then())


async def test_it_runs_in_wal_mode_with_foreign_keys(store: SqlStore) -> None:
    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert await store.read(pragmas) == ["wal", 1, 1]


@pytest.mark.parametrize("bad", ["sqlite://", "sqlite:///:memory:", "postgresql://host/db", "mysql://host/db"])
async def test_other_databases_are_refused(bad: str) -> None:
    with pytest.raises(InvalidRequest, match="database url"):
        await SqlStore.open(bad, METADATA)


WRITER = """
import asyncio, sys
from conformance.conftest import tables
from sailplane_core import ports
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import insert

async def main(url):
    metadata, accounts, _ = tables()
    store = await SqlStore.open(url, metadata)
    async def client(name):
        for number in range(1_000_000):
            def change(tx, id=f"{name}:{number}"):
                tx.connection.execute(insert(accounts).values(id=id))
                tx.send(ports.Message("topic", id, id, b""))
            await store.write(change)
            print(f"{name}:{number}", flush=True)
    await asyncio.gather(*(client(name) for name in "abc"))

asyncio.run(main(sys.argv[1]))
"""


async def test_a_killed_process_has_lost_nothing_that_it_committed(url: str) -> None:
    for commits in (1, 40, 90):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, url, stdout=asyncio.subprocess.PIPE, env=_environment()
        )
        assert child.stdout is not None
        told = [await soon(child.stdout.readline()) for _ in range(commits)]
        child.send_signal(signal.SIGKILL)
        told += (await soon(child.stdout.read())).splitlines(keepends=True)
        await child.wait()
        said = {line.decode().strip() for line in told if line.endswith(b"\n")}

        store = await SqlStore.open(url, METADATA)
        stored = set(await store.read(ids))
        pending = {message.id for message in await store.pending("topic")}
        assert len(said) >= commits
        assert said <= stored
        assert pending == stored  # each change with its message, or neither
        await store.write(lambda tx: tx.connection.execute(ACCOUNTS.delete()))
        await store.confirm(list(pending))
        await store.close()


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
