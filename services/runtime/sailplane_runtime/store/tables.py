"""What the tables of every service have in common: the outbox, and rows that carry a version."""

from collections.abc import Mapping
from typing import Any

from sailplane_core.errors import StaleVersion
from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, MetaData, String, Table, and_, update

OUTBOX = "outbox"
VERSION_TABLE = "alembic_version"
"""Where a database says which revision of its tables it has; alembic's own."""


def outbox_table(metadata: MetaData) -> Table:
    """The `outbox` of a service, added to its metadata when it is not there yet.

    A row is written by the commit that decided on the message, and deleted once the message's effect is committed
    where it was sent (`Store.confirm`).
    """
    if OUTBOX in metadata.tables:
        return metadata.tables[OUTBOX]
    return Table(
        OUTBOX,
        metadata,
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, comment="the order of sending"),
        Column("topic", String(64), nullable=False),
        Column("key", String(255), nullable=False, comment="what the message is about; its order is kept per key"),
        Column("id", String(512), nullable=False, unique=True, comment="derived from what the message says"),
        Column("payload", LargeBinary, nullable=False, comment="a serialised protobuf envelope"),
    )


def compare_and_set(
    connection: Connection,
    table: Table,
    key: Mapping[str, Any],
    version: int,
    values: Mapping[str, Any],
    *,
    what: str,
) -> int:
    """Update the one row that has this `key` (column name to value) and still this `version`; give the new version.

    Raises `StaleVersion` about `what` when the row has another version, or is gone.
    """
    is_it = and_(*(table.c[name] == value for name, value in key.items()), table.c.version == version)
    done = connection.execute(update(table).where(is_it).values(**values, version=version + 1))
    if done.rowcount != 1:
        raise StaleVersion(what)
    return version + 1
