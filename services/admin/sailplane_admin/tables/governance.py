"""What operators allow, and what was done."""

from sailplane_core.audit import ENTITY_CHARS_MAX
from sailplane_runtime.store.times import time_column
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table

from .base import id_column, metadata
from .registry import NAME_CHARS_MAX

quotas = Table(
    "quotas",
    metadata,
    Column("project", String(NAME_CHARS_MAX), primary_key=True),
    Column("domain", String(NAME_CHARS_MAX), primary_key=True),
    Column("running_executions_max", BigInteger, nullable=False, comment="0 for any number, as what follows"),
    Column("executions_per_minute_max", BigInteger, nullable=False),
    Column("active_schedules_max", BigInteger, nullable=False),
)

audit_events = Table(
    "audit_events",
    metadata,
    id_column(),
    time_column("occurred_at_us", nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("principal", String(NAME_CHARS_MAX), nullable=False, comment="empty until clients have to say"),
    Column("peer", String(NAME_CHARS_MAX), nullable=False),
    Column("request_id", String(NAME_CHARS_MAX), nullable=False),
    Column("rpc", String(64), nullable=False),
    Column("project", String(NAME_CHARS_MAX), nullable=False),
    Column("domain", String(NAME_CHARS_MAX), nullable=False),
    Column("entity", String(ENTITY_CHARS_MAX), nullable=False),
    Column("code", String(32), nullable=False, comment="name of the gRPC code"),
    Index("audit_events_of_project", "project", "domain", "id"),
    Index("audit_events_of_principal", "principal", "id"),
    Index("audit_events_by_time", "occurred_at_us"),
)

retention_policies = Table(
    "retention_policies",
    metadata,
    Column("project", String(NAME_CHARS_MAX), primary_key=True),
    Column("domain", String(NAME_CHARS_MAX), primary_key=True, comment="empty for each"),
    Column("phase", Integer, primary_key=True, autoincrement=False, comment="core.WorkflowExecution.Phase; 0 for each"),
    Column("age_s_max", BigInteger, nullable=False, comment="0 for any, as what follows"),
    Column("executions_max", BigInteger, nullable=False),
)

execution_deletions = Table(
    "execution_deletions",
    metadata,
    Column("execution_id", BigInteger, primary_key=True, autoincrement=False, comment="the row that goes"),
    Column("root_id", BigInteger, nullable=False, comment="the one whose nodes have, directly or not, started it"),
    Column("keeps_outputs", Boolean, nullable=False, comment="of the root: some may be in the cache"),
    Column("is_told", Boolean, nullable=False, comment="propeller is told to forget it"),
)
