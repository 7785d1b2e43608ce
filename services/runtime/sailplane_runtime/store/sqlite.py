"""What is particular to SQLite: how connections are opened, and what its errors mean.

WAL with `synchronous=NORMAL`: a commit survives the death of the process (kill -9 included) at once, but the last
commits before a power cut may be missing afterwards; the database itself is never damaged by either. A commit so
waits for no disk, only a checkpoint does, and that runs beside the writer (`checkpoint`).
"""

import sqlite3
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sailplane_core.errors import InvalidRequest, LimitReached, SailplaneError, Unavailable
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

BUSY_TIMEOUT_MS = 250
"""How long a statement waits for another process that holds the database: the event loop waits with it. In service
there is none; only a person's tool could be."""
WAL_BYTES_CHECKPOINT = 4 * 1024 * 1024
"""Whenever the WAL has grown by this much, a reader's thread writes it back."""
WAL_PAGES_MAX = 16_000
"""At this length (64 MiB) the writer writes it back itself. It comes to that when commits follow each other so fast
that the reader's thread never catches up, and only then can the WAL be started afresh."""
STATEMENTS_CACHED = 512
STEPS_PER_LOOK = 2_500

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


def database_path(url: str) -> Path:
    """The file of `sqlite:///relative/or//absolute/path`. Raises `InvalidRequest` for anything else."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise InvalidRequest.invalid("database url", "only sqlite:///path is supported")
    return Path(parsed.database).absolute()


def writing_engine(url: str) -> Engine:
    """Connections for `transaction(…, immediate=True)`."""
    return _engine(database_path(url), read_only=False)


def reading_engine(url: str) -> Engine:
    """Connections that can change nothing."""
    return _engine(database_path(url), read_only=True)


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The connection below SQLAlchemy's."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


@contextmanager
def transaction(connection: Connection, *, immediate: bool) -> Generator[None]:
    """One transaction: a snapshot, or with `immediate` the write lock from its beginning.

    Taking the lock with the first write, as SQLite does by itself, can fail in the middle. SQLAlchemy would begin as we
    like if an event told it to, but one listener on an engine makes every statement pay for looking at all events.
    """
    driver = driver_of(connection)
    try:
        with connection.begin():
            driver.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
            yield
    except BaseException as error:
        # Rows that nobody will read now, kept by the frames of the error, would keep the snapshot beyond the ROLLBACK.
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        if driver.in_transaction:  # a COMMIT that was refused (a deferred constraint, a full disk) leaves it open
            driver.execute("ROLLBACK")


def _engine(path: Path, *, read_only: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        # isolation_level=None keeps Python from beginning transactions by its own rules.
        driver = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_CACHED
        )
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "foreign_keys = ON",
            "temp_store = MEMORY",
            f"wal_autocheckpoint = {WAL_PAGES_MAX}",
            "journal_size_limit = 0",  # so that the WAL's length says how much is in it
            f"query_only = {int(read_only)}",
        ):
            driver.execute(f"PRAGMA {pragma}").close()
        return driver

    # A connection is kept by whoever opened it, so there is nothing to pool.
    # Values of statements, such as environment variables of executions, must not reach the log with an error.
    return create_engine("sqlite://", creator=connect, poolclass=NullPool, query_cache_size=2_000, hide_parameters=True)


def wal_path(path: Path) -> Path:
    """Where the WAL of a database lies."""
    return path.with_name(path.name + "-wal")


def wal_bytes(wal: Path) -> int:
    """The length of a WAL. It falls back when the WAL is started afresh."""
    try:
        return wal.stat().st_size
    except FileNotFoundError:
        return 0


def checkpoint(connection: Connection) -> None:
    """Write the WAL back into the database, without making anybody wait. The writer then starts it afresh."""
    driver_of(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").close()


class StepLimit:
    """Interrupts a connection once it has taken too many steps of SQLite's virtual machine since `renew`.

    SQLite looks up at every n-th step of a statement, and counts the steps of all runs of a statement that is kept
    (`iPrior` in its vdbe.c). So it may look up in a run that has hardly begun: a limit has to be many looks.
    """

    def __init__(self, connection: Connection, steps_max: int) -> None:
        self._looks_max = steps_max // STEPS_PER_LOOK
        self._looks = 0
        driver_of(connection).set_progress_handler(self._look_up, STEPS_PER_LOOK)

    def renew(self) -> None:
        """From here on it may take as many again."""
        self._looks = 0

    def _look_up(self) -> bool:
        self._looks += 1
        return self._looks == self._looks_max  # once: the ROLLBACK after it must pass


def was_interrupted(error: BaseException) -> bool:
    """Whether a `StepLimit` ended it."""
    return _code(error) == sqlite3.SQLITE_INTERRUPT


def meaning(error: BaseException) -> SailplaneError | None:
    """What an error of the driver, or SQLAlchemy's wrapping of one, means to a caller; None: nothing in particular."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return LimitReached("disk space for the database")
    return Unavailable("the database") if code in _UNAVAILABLE else None


def is_no_database(error: BaseException) -> bool:
    """Whether the file itself is to blame: it is something else, or damaged."""
    return _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code; None when the error is not SQLite's."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
