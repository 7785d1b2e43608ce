"""Brings a service's tables up to date when it starts.

Start-up is part of what a user waits for, so the two common cases stay clear of alembic: a database that is up to
date is recognised with one query, and an empty one is created from the metadata and stamped with the newest revision
(`revisions.schema_differences` proves that this gives the same tables as running every revision). Only an older
database imports alembic and runs what is missing.

A service keeps `migrations/` beside its tables: an `env.py` of two lines (`run_environment` below) and `versions/`.
`python -m sailplane_runtime.store.revisions` writes the next revision.
"""

import re
import sqlite3
from pathlib import Path

from sailplane_core.errors import InvariantBroken, Refused
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.exc import DBAPIError

from .sqlite import database_path, driver_of, is_no_database, meaning, transaction, writing_engine
from .tables import VERSION_TABLE, outbox_table

_REVISION = re.compile(r"^revision(?:\s*:[^=]*)?\s*=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)
_DOWN_REVISION = re.compile(r"^down_revision(?:\s*:[^=]*)?\s*=\s*(?:['\"]([^'\"]+)['\"]|None)", re.MULTILINE)


def upgrade(url: str, script_location: Path | None, metadata: MetaData) -> None:
    """Bring the database at `url` to the newest revision in `script_location`; blocks until done.

    Without a location, tables that do not exist are created and nothing else happens. Raises `Refused` when the
    database was written by a newer version of this program, or by something else, or is damaged; nothing is changed
    then. Raises `Unavailable` and `LimitReached` as the store does.
    """
    outbox_table(metadata)
    try:
        with writing_engine(url).connect() as connection:
            if script_location is None:
                with transaction(connection, immediate=True):
                    metadata.create_all(connection)
            else:
                _upgrade(connection, script_location, metadata)
    except (DBAPIError, sqlite3.Error) as error:
        if is_no_database(error):
            raise Refused(f"{database_path(url)} is not a database, or is damaged") from error
        raise (meaning(error) or error) from error


def run_environment() -> None:
    """What a service's `env.py` calls: run what alembic asks for on the connection that `migrate` holds."""
    from alembic import context

    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes["metadata"],
        render_as_batch=True,  # SQLite alters a table by copying it
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def newest_revision(script_location: Path) -> tuple[str, frozenset[str]]:
    """The head of the revisions in a folder, and all of them. Read from the files' text, which takes no imports."""
    revisions: set[str] = set()
    followed: set[str | None] = set()
    for path in sorted((script_location / "versions").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        revision, down = _REVISION.search(text), _DOWN_REVISION.search(text)
        if revision is None or down is None:
            raise ValueError(f"{path} does not say its revision and down_revision")
        revisions.add(revision[1])
        followed.add(down[1])
    heads = revisions - followed
    if len(heads) != 1:
        raise ValueError(f"{script_location} must have one newest revision, it has {sorted(heads)}")
    return heads.pop(), frozenset(revisions)


def _upgrade(connection: Connection, script_location: Path, metadata: MetaData) -> None:
    head, known = newest_revision(script_location)
    present = _present_revision(connection)
    if present == head:
        return
    if present is None:
        _create(connection, metadata, head)
    elif present not in known:
        raise Refused(
            f"the database is at revision {present}, which this version does not know: "
            "it was written by a newer one; start that, or another data directory"
        )
    else:
        migrate(connection, script_location, metadata)


def _present_revision(connection: Connection) -> str | None:
    """The revision the database says it has; None when it says nothing."""
    with transaction(connection, immediate=True):
        try:
            row = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").one_or_none()  # noqa: S608
        except DBAPIError as error:
            if meaning(error) is not None or is_no_database(error):
                raise
            row = None  # there is no such table
    return None if row is None else str(row[0])


def _create(connection: Connection, metadata: MetaData, head: str) -> None:
    with transaction(connection, immediate=True):
        if inspect(connection).get_table_names():
            raise Refused("the database has tables but no revision: it was not made by this program")
        metadata.create_all(connection)
        connection.exec_driver_sql(
            f"CREATE TABLE {VERSION_TABLE} "
            f"(version_num VARCHAR(32) NOT NULL, CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
        connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES (?)", (head,))  # noqa: S608


def migrate(connection: Connection, script_location: Path, metadata: MetaData, target: str = "head") -> None:
    """Run the revisions up to `target` with alembic, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["metadata"] = metadata
    # Altering a table copies it and drops the old one, and with foreign keys on the drop would reach the rows that
    # refer to it. The switch does nothing inside a transaction.
    driver = driver_of(connection)
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        with transaction(connection, immediate=True):
            command.upgrade(config, target)
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
                raise InvariantBroken(f"a migration left rows that refer to nothing: {broken[:5]}")
    finally:
        driver.execute("PRAGMA foreign_keys = ON")
