"""What is particular to SQLite: how connections are opened, and what its errors mean.

WAL with `synchronous=NORMAL`: a commit survives the death of the process (kill -9 included) at once, but the last
commits before a power cut may be missing afterwards; the database itself is never damaged by either. A commit so
waits for no disk, only a checkpoint does, and that runs beside the writer (`checkpoint_if_due`).
"""

import sqlite3
from pathlib import Path

from sailplane_core.errors import InvalidRequest, LimitReached, SailplaneError, Unavailable
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

BUSY_TIMEOUT_MS = 5_000
"""How long a statement waits for another process that holds the database."""
WAL_BYTES_CHECKPOINT = 4 * 1024 * 1024
"""From this size on the WAL is written back by a reader's thread."""
WAL_PAGES_MAX = 16_000
"""At this length (64 MiB) the writer writes it back itself, should nobody have done it."""
STATEMENTS_CACHED = 512

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
    """Connections whose transactions take the write lock at once.

    Taking it with the first write, as SQLite does by itself, can fail in the middle of a transaction.
    """
    return _engine(database_path(url), begin="BEGIN IMMEDIATE", read_only=False)


def reading_engine(url: str) -> Engine:
    """Connections that see one snapshot per transaction, and can change nothing."""
    return _engine(database_path(url), begin="BEGIN", read_only=True)


def _engine(path: Path, *, begin: str, read_only: bool) -> Engine:
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
            f"query_only = {int(read_only)}",
        ):
            driver.execute(f"PRAGMA {pragma}").close()
        return driver

    # The handle is kept by the thread that opened it, so there is nothing to pool.
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, query_cache_size=2_000)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql(begin)

    return engine


def is_checkpoint_due(path: Path) -> bool:
    """Whether the WAL has grown enough to be written back."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size >= WAL_BYTES_CHECKPOINT
    except FileNotFoundError:
        return False


def checkpoint(connection: Connection) -> None:
    """Write the WAL back into the database, without making anybody wait. The writer then starts it afresh."""
    connection.connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()


def meaning(error: BaseException) -> SailplaneError | None:
    """What an error of the driver, or SQLAlchemy's wrapping of one, means to a caller; None: nothing in particular."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return None
    primary_code = code & 0xFF
    if primary_code == sqlite3.SQLITE_FULL:
        return LimitReached("disk space for the database")
    return Unavailable("the database") if primary_code in _UNAVAILABLE else None
