"""The scheduler's own tables: schedules as admin told of them, what became of their slots, and who leads."""

from sailplane_runtime.store.times import time_column
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

schedules = Table(
    "schedules",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("domain", String(64), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("version", String(255), primary_key=True),
    Column("schedule", LargeBinary, nullable=False, comment="sailplane.admin.Schedule"),
    Column("active", Boolean, nullable=False),
    time_column("changed_at_us", nullable=False, comment="by admin's clock; an older change is ignored"),
    time_column("activated_at_us", nullable=False, comment="slots begin after it, and fixed rates count from it"),
    time_column("paused_at_us", comment="null unless it is paused"),
    Column("pause_reason", Text, nullable=False, server_default=""),
    time_column("decided_until_us", nullable=False, comment="what becomes of slots up to it is written in fires"),
    time_column("due_us", comment="when the next slot is to be decided; null when there is none"),
    time_column("last_fired_at_us", comment="the latest slot known to have an execution"),
    Index(
        "schedules_due", "due_us", sqlite_where=text("due_us IS NOT NULL"), postgresql_where=text("due_us IS NOT NULL")
    ),
)

_IS_DUE = text("state = 1")

fires = Table(
    "fires",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("domain", String(64), primary_key=True),
    Column("name", String(255), primary_key=True),
    time_column("slot_us", primary_key=True),
    Column("version", String(255), nullable=False, comment="the one that was active when the slot was decided"),
    Column("state", Integer, nullable=False, comment="scheduler.FireState"),
    Column("reason", Text, nullable=False, comment="why it was left out, failed, or waits"),
    time_column("noted_at_us", nullable=False),
    time_column("updated_at_us", nullable=False),
    Column("tries", Integer, nullable=False, comment="how often admin was asked to start it"),
    time_column("next_try_us", nullable=False, comment="while it is DUE: not before"),
    Index("fires_to_start", "next_try_us", sqlite_where=_IS_DUE, postgresql_where=_IS_DUE),
    Index("fires_by_age", "updated_at_us"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(255), nullable=False),
    Column(
        "fence", BigInteger, nullable=False, comment="grows whenever it is taken; who has an old one writes nothing"
    ),
    time_column("expires_at_us", nullable=False),
)

backfills = Table(
    "backfills",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("domain", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    time_column("start_at_us", nullable=False),
    time_column("end_at_us", nullable=False),
    Column("newest_first", Boolean, nullable=False),
    Column("parallelism", Integer, nullable=False),
    Column("continue_on_failure", Boolean, nullable=False),
    Column("state", Integer, nullable=False, comment="scheduler.BackfillState"),
    time_column("created_at_us", nullable=False),
    time_column("updated_at_us", nullable=False, comment="when the state was entered"),
    Index("backfills_by_age", "created_at_us", "id"),
    Index("backfills_by_state", "state"),
)

backfill_slots = Table(
    "backfill_slots",
    metadata,
    Column("backfill_id", ForeignKey("backfills.id", ondelete="CASCADE"), primary_key=True),
    time_column("slot_us", primary_key=True),
    Column("state", Integer, nullable=False, comment="scheduler.BackfillSlotState"),
    Column("phase", Integer, nullable=False, comment="core.WorkflowExecution.Phase in which its execution ended"),
    Column("reason", Text, nullable=False, comment="why it was refused, or has to wait"),
    Index("backfill_slots_by_state", "backfill_id", "state", "slot_us"),
)
