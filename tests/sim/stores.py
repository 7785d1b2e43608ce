"""The services' databases on a memory file system: real SQLite, wiped for each seed, with a log kept by triggers.

The log of `propeller` has every change of an execution's or node's row, in the order of the commits, whoever made it:
it is what the checkers go by, and no code under test writes it.
"""

import sqlite3
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sailplane_admin import tables as admin_tables
from sailplane_core.errors import Unavailable
from sailplane_core.ports import Message
from sailplane_propeller import tables as propeller_tables
from sailplane_runtime.store import sql, sqlite
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.sql import SqlStore
from sailplane_runtime.store.tables import outbox_table
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.pool import QueuePool

from .faults import Faults

T = TypeVar("T")

METADATA: dict[str, MetaData] = {"admin": admin_tables.metadata, "propeller": propeller_tables.metadata}
LOGGED = {
    "propeller": {
        "executions": ("id", "version", "phase", "is_terminal", "parked_at"),
        "nodes": (
            "execution_id",
            *(column.name for column in propeller_tables.nodes.c if column.name != "execution_id"),
        ),
    },
    "admin": {
        "executions": ("execution_name", "phase"),
        "node_executions": ("execution_name", "node_id", "phase"),
        "task_executions": ("execution_name", "node_id", "retry_attempt", "phase"),
    },
}
"""Whose changes are logged, by table and column."""


@cache
def _engine(make: Callable[[str], Engine], url: str) -> Engine:
    """An engine whose connections are used again, where each run of a service would open its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "NullPool", QueuePool)
        return make(url)


_writing_engine = partial(_engine, sqlite.writing_engine)
_reading_engine = partial(_engine, sqlite.reading_engine)


@contextmanager
def shared_engines() -> Generator[None]:
    """The same engines for all seeds: what SQLAlchemy and SQLite have learned about a statement is kept with them.

    A query may take as long as it likes, because there is no thread that it could be moved to.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql, "writing_engine", _writing_engine)
        patch.setattr(sql, "reading_engine", _reading_engine)
        patch.setattr(sql, "QUICK_READ_STEPS_MAX", sys.maxsize)
        yield


class Disk:
    """Where the databases lie: a folder of this process. `wipe` before each seed."""

    def __init__(self) -> None:
        base = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="sailplane-sim-", dir=base)
        self._ours = {service: self._made(service) for service in METADATA}
        """Our own connections, beside everybody else's."""

    def url(self, service: str) -> str:
        """Of a service's database."""
        return f"sqlite:///{self._path(service)}"

    def wipe(self) -> None:
        """Empty tables."""
        for service, connection in self._ours.items():
            connection.execute("BEGIN IMMEDIATE")
            for table in (*METADATA[service].tables, "sim_log"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def rows(self, service: str, query: str, *values: Any) -> list[dict[str, Any]]:
        """What a query of ours finds, beside everybody else's."""
        cursor = self._ours[service].execute(query, values)
        names = [name for name, *_ in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def changes(self) -> int:
        """How many changes propeller has committed."""
        return self._ours["propeller"].execute("SELECT coalesce(max(seq), 0) FROM sim_log").fetchone()[0]

    def log(self, service: str) -> list[dict[str, Any]]:
        """Every change, first to last: `seq`, `of` (the table), and the logged columns."""
        return self.rows(service, "SELECT * FROM sim_log ORDER BY seq")

    def _path(self, service: str) -> Path:
        return Path(self._folder.name) / f"{service}.db"

    def _made(self, service: str) -> sqlite3.Connection:
        metadata = METADATA[service]
        outbox_table(metadata)
        engine = sqlite.writing_engine(self.url(service))
        metadata.create_all(engine)
        engine.dispose()
        connection = sqlite3.connect(self._path(service), isolation_level=None)
        for statement in _log_of(LOGGED[service]):
            connection.execute(statement)
        return connection


def _log_of(tables: dict[str, tuple[str, ...]]) -> list[str]:
    columns = sorted({column for names in tables.values() for column in names})
    statements = [f"CREATE TABLE sim_log (seq INTEGER PRIMARY KEY, of TEXT, {', '.join(columns)})"]
    for table, names in tables.items():
        values = ", ".join(f"NEW.{name}" for name in names)
        statements.extend(
            f"CREATE TRIGGER sim_{table}_{event} AFTER {event} ON {table} BEGIN "
            f"INSERT INTO sim_log (of, {', '.join(names)}) VALUES ('{table}', {values}); END"
            for event in ("INSERT", "UPDATE")
        )
    return statements


class FaultyStore:
    """A store that fails now and then: before, in the middle of, or after what it is asked for."""

    def __init__(self, store: SqlStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Read, or fail."""
        self._faults.fail("store", "reading")
        return await self._store.read(query)

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Write or fail, or write and fail."""
        self._faults.fail("store", "writing")
        if self._faults.strikes("store"):
            change = _breaking(change, self._faults.random.randint(1, 6))
        result = await self._store.write(change)
        self._faults.fail("store", "writing, which was done")
        return result

    def listen(self, topic: str, listener: Callable[[Sequence[Message]], None]) -> None:
        """As asked."""
        self._store.listen(topic, listener)

    async def pending(self, topic: str, key: str | None = None) -> Sequence[Message]:
        """As asked: a service that cannot read its outbox does not start at all."""
        return await self._store.pending(topic, key)

    async def confirm(self, ids: Sequence[str]) -> None:
        """As asked."""
        await self._store.confirm(ids)

    def abandon(self) -> None:
        """Its process is dead: let go of the files. Nothing is open but between commits."""
        writer: Any = self._store._writer  # type: ignore[attr-defined]
        reader: Any = self._store._quick_reader  # type: ignore[attr-defined]
        writer._connection.close()
        reader.close()


def _breaking(change: Callable[[Transaction], T], statement: int) -> Callable[[Transaction], T]:
    def broken(transaction: Transaction) -> T:
        return change(_BreakingTransaction(transaction, statement))

    return broken


class _BreakingTransaction:
    """Its n-th statement fails."""

    def __init__(self, transaction: Transaction, statement: int) -> None:
        self._transaction = transaction
        self._left = statement

    @property
    def connection(self) -> Any:
        return self

    def send(self, message: Message) -> None:
        self._transaction.send(message)

    def execute(self, *args: Any, **options: Any) -> Any:
        self._left -= 1
        if not self._left:
            raise Unavailable("a statement (simulated)")
        return self._transaction.connection.execute(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction.connection, name)
