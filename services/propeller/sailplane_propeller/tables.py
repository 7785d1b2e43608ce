"""Propeller's own tables: an execution's header, and one row per node that was reached.

The outbox (`sailplane_runtime.store`) lies in the same database, so that a transition and its commands are one commit.
"""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

metadata = MetaData()

executions = Table(
    "executions",
    metadata,
    Column("id", String(255), primary_key=True, comment="project/domain/name"),
    Column("version", Integer, nullable=False, comment="counts transitions; every save compares and sets it"),
    Column("phase", Integer, nullable=False, comment="core.WorkflowExecution.Phase"),
    Column("is_terminal", Boolean, nullable=False, comment="set by the move into a terminal phase"),
    Column("start", LargeBinary, nullable=False, comment="sailplane.propeller.Start, as admin sent it"),
    Column("failure", Text, comment="JSON of failures.Failure; set on entering FAILING or ABORTING"),
    Column("failed_node_id", String(64), nullable=False),
    Column("abort_cause", Text, nullable=False),
    Column("abort_principal", String(255), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True), comment="set by the move into a terminal phase"),
    Column("decided_at", DateTime(timezone=True), comment="of the last transition; never earlier than the one before"),
    Column("parked_at", DateTime(timezone=True), comment="set when a broken invariant took it out of service"),
    Column("parked_reason", Text, comment="what was broken, in a sentence"),
    Column("parked_evidence", Text, comment="what was being observed, and the traceback"),
    Index("executions_in_service", "is_terminal", "parked_at"),
    Index("executions_ended", "ended_at"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("execution_id", ForeignKey("executions.id"), primary_key=True),
    Column("id", String(64), primary_key=True, comment="unique within the execution"),
    Column("spec_id", String(255), nullable=False, comment="id within the template"),
    Column("scope", String(64), nullable=False, comment="the node it lies in, '' at the top"),
    Column("kind", String(16), nullable=False, comment="machine.NodeKind"),
    Column("phase", Integer, nullable=False, comment="core.NodeExecution.Phase"),
    Column("task_phase", Integer, nullable=False, comment="core.TaskExecution.Phase of the present attempt"),
    Column("task_phase_version", Integer, nullable=False),
    Column("attempt", Integer, nullable=False, comment="from 0; fences observations"),
    Column("user_failures", Integer, nullable=False, comment="attempts that spent the user's retries"),
    Column("system_failures", Integer, nullable=False, comment="attempts that spent the system's retries"),
    Column("removing", Boolean, nullable=False, comment="its Pod or child execution is on its way out"),
    Column("item", Integer, nullable=False, server_default="-1", comment="index of an array's item, -1 for others"),
    Column("is_waiting", Boolean, nullable=False, server_default=false(), comment="held back by max_parallelism"),
    Column("holds_slot", Boolean, nullable=False, server_default=false(), comment="counts for max_parallelism"),
    Column("size", Integer, nullable=False, server_default="-1", comment="an array's number of items, -1 until known"),
    Column("cache_status", Integer, nullable=False, server_default="0", comment="core.CatalogCacheStatus"),
    Column("is_reserved", Boolean, nullable=False, server_default=false(), comment="others wait for what it computes"),
    Column("graph_uri", Text, nullable=False, server_default="", comment="the graph that its task generated"),
    Column("child_name", String(64), nullable=False, server_default="", comment="of the execution it started"),
    Column("culprit_id", String(64), nullable=False, server_default="", comment="the node inside that made it fail"),
    Column("queued_at", DateTime(timezone=True)),
    Column("attempt_started_at", DateTime(timezone=True), comment="when the present attempt's launch was decided"),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("inputs_uri", Text, nullable=False, server_default=""),
    Column("outputs_uri", Text, nullable=False),
    Column("deck_uri", Text, nullable=False, server_default=""),
    Column("failure", Text, comment="JSON of failures.Failure"),
    Column("reason", Text, nullable=False, comment="why it waits, for people"),
)
