"""A PostgreSQL server for a benchmark, and as much of the Store port on it as lists need.

The server is the machine's own (`apt-get install postgresql`), in a directory for the time being and on a Unix socket
in it, so that nobody else can reach it. Its settings are PostgreSQL's own, but that nothing is kept from a power cut,
and that it tidies up when told to: neither changes what a read costs. Texts are in the order of their code points, as
in SQLite.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, TypeVar

import psutil
import psycopg
from sailplane_core.ports import Message
from sailplane_runtime.store.port import Transaction
from sqlalchemy import URL, Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

T = TypeVar("T")

START_S_MAX = 30.0
OWNER = "sailplane"
SETTINGS = {"listen_addresses": "", "fsync": "off", "autovacuum": "off", "max_wal_size": "4GB"}
USERS = ("postgres", "nobody")
"""The first that there is runs the server when root asks: it does not run as root."""


def programs() -> Path | None:
    """Where the newest PostgreSQL of this machine has `initdb` and `postgres`; None if it has none."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return next((path for path in found if (path / "initdb").exists() and (path / "postgres").exists()), None)


@contextmanager
def server(programs: Path) -> Iterator[Path]:
    """A server with nothing in it, ended and deleted afterwards. Gives the directory of its socket."""
    with tempfile.TemporaryDirectory(prefix="sailplane-pg-") as name:
        directory = Path(name)
        as_user: dict[str, Any] = {}
        if os.getuid() == 0:
            user = next(entry for entry in pwd.getpwall() if entry.pw_name in USERS)
            os.chown(directory, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
        data = ["-D", str(directory / "data")]
        options = ["--username", OWNER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        subprocess.run([programs / "initdb", *data, *options], cwd=directory, check=True, stdout=DEVNULL, **as_user)
        options = ["-k", name, *(part for key, value in SETTINGS.items() for part in ("-c", f"{key}={value}"))]
        with (directory / "log").open("wb") as log:
            running = subprocess.Popen(
                [programs / "postgres", *data, *options], cwd=directory, stdout=log, stderr=log, **as_user
            )
        try:
            _wait_until_ready(running, directory)
            yield directory
        finally:
            running.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
            running.wait()


def _wait_until_ready(running: subprocess.Popen[bytes], directory: Path) -> None:
    give_up_at = time.monotonic() + START_S_MAX
    while True:
        try:
            psycopg.connect(host=str(directory), user=OWNER, dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if running.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"PostgreSQL does not start: {(directory / 'log').read_text()}") from None
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Writing:
    """A transaction that sends nothing."""

    connection: Connection

    def send(self, message: Message) -> None:
        """Nobody would hear of it."""
        raise NotImplementedError(message.topic)


class PostgresqlStore:
    """Reads as the Store port has them, and writes for filling tables; one connection, without an outbox."""

    def __init__(self, engine: AsyncEngine, backend_pid: int) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._backend_pid = backend_pid

    @classmethod
    async def open(cls, socket: Path, database: str, metadata: MetaData) -> "PostgresqlStore":
        """Make the database and all tables in it."""
        first = _engine(socket, "postgres")
        async with first.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {database}"))
        await first.dispose()
        engine = _engine(socket, database)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            return cls(engine, await connection.scalar(text("SELECT pg_backend_pid()")))

    async def close(self) -> None:
        """Hang up."""
        await self._engine.dispose()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query in a read-only transaction, on one snapshot."""
        async with self._reading.connect() as connection:
            return await connection.run_sync(query)

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Run a change and commit it."""
        async with self._engine.begin() as connection:
            return await connection.run_sync(lambda sync: change(Writing(sync)))

    async def tidy(self) -> None:
        """What a server does by itself in the minutes after many rows have come."""
        async with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("VACUUM (ANALYZE)"))

    def cpu_s(self) -> float:
        """CPU seconds that the server's process behind the connection has used."""
        schedstat = Path(f"/proc/{self._backend_pid}/schedstat")
        if schedstat.exists():  # on Linux, where other figures are in hundredths of a second
            return int(schedstat.read_text().split()[0]) / 1e9
        times = psutil.Process(self._backend_pid).cpu_times()
        return times.user + times.system


def _engine(socket: Path, database: str) -> AsyncEngine:
    url = URL.create("postgresql+psycopg", username=OWNER, database=database, query={"host": str(socket)})
    return create_async_engine(url, pool_size=1, max_overflow=0, query_cache_size=2_000)
