"""Messages that executions owe when they end, and what has become of them: one row for each address or channel.

A row holds all that its message says, so that it can still be sent when the execution was deleted.
"""

from sailplane_core.message_templates import ERROR_CHARS_MAX
from sailplane_core.notifications import ADDRESS_CHARS_MAX
from sailplane_runtime.store.times import time_column
from sqlalchemy import Column, Index, Integer, String, Table, text

from .base import id_column, metadata
from .executions import PHASE_CHARS_MAX
from .registry import ENTITY_NAME_CHARS_MAX, NAME_CHARS_MAX

REASON_CHARS_MAX = 1024
PENDING = "state = 'PENDING'"
"""Queries say it in these words too, or the database would not see that the index serves."""
GIVEN_UP = "state = 'GIVEN_UP'"


def _version(entity: str) -> list[Column[str]]:
    return [
        Column(f"{entity}_project", String(NAME_CHARS_MAX), nullable=False),
        Column(f"{entity}_domain", String(NAME_CHARS_MAX), nullable=False),
        Column(f"{entity}_name", String(ENTITY_NAME_CHARS_MAX), nullable=False),
        Column(f"{entity}_version", String(ENTITY_NAME_CHARS_MAX), nullable=False),
    ]


notification_deliveries = Table(
    "notification_deliveries",
    metadata,
    id_column(),
    Column("delivery_id", String(32), nullable=False, unique=True, comment="the same for every try"),
    Column("execution_project", String(NAME_CHARS_MAX), nullable=False),
    Column("execution_domain", String(NAME_CHARS_MAX), nullable=False),
    Column("execution_name", String(63), nullable=False),
    Column("phase", String(PHASE_CHARS_MAX), nullable=False, comment="how it has ended"),
    Column("error", String(ERROR_CHARS_MAX), nullable=False),
    *_version("workflow"),
    *_version("launch_plan"),
    Column("kind", String(16), nullable=False, comment="the field of admin.Notification"),
    Column("target", String(ADDRESS_CHARS_MAX), nullable=False, comment="an address, or the name of a channel"),
    Column("template", String(NAME_CHARS_MAX), nullable=False, comment="empty for the default one"),
    Column("route", String(ADDRESS_CHARS_MAX + 16), nullable=False, comment="what goes one way fails together"),
    Column("state", String(16), nullable=False, comment="PENDING, DELIVERED or GIVEN_UP"),
    Column("tries", Integer, nullable=False, comment="also fences: what an earlier try came to is ignored"),
    Column("last_error", String(REASON_CHARS_MAX), nullable=False, comment="empty unless the last try failed"),
    time_column("ended_at_us", nullable=False),
    time_column("created_at_us", nullable=False),
    time_column("tried_since_us", nullable=False, comment="it is given up so long after this"),
    time_column("next_try_at_us", nullable=False),
    time_column("leased_until_us", nullable=False, comment="somebody sends it; 0 if nobody does"),
    time_column("delivered_at_us"),
    Index("notification_deliveries_of_domain", "execution_project", "execution_domain", "id"),
    Index("notification_deliveries_of_execution", "execution_name", "id"),
    Index(
        "notification_deliveries_pending",
        "route",
        "next_try_at_us",
        sqlite_where=text(PENDING),
        postgresql_where=text(PENDING),
    ),
    Index("notification_deliveries_given_up", "id", sqlite_where=text(GIVEN_UP), postgresql_where=text(GIVEN_UP)),
)
