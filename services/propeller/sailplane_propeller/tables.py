"""Propeller's own tables: an execution's header, and one row per node that was reached.

The outbox (`sailplane_runtime.store`) lies in the same database, so that a transition and its commands are one commit.
"""

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

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
    Column("scope", String(64), nullable=False, comment="the sub-workflow node it lies in, '' at the top"),
    Column("kind", String(16), nullable=False, comment="machine.NodeKind"),
    Column("phase", Integer, nullable=False, comment="core.NodeExecution.Phase"),
    Column("task_phase", Integer, nullable=False, comment="core.TaskExecution.Phase of the present attempt"),
    Column("task_phase_version", Integer, nullable=False),
    Column("attempt", Integer, nullable=False, comment="from 0; fences observations"),
    Column("user_failures", Integer, nullable=False, comment="attempts that spent the user's retries"),
    Column("system_failures", Integer, nullable=False, comment="attempts that spent the system's retries"),
    Column("removing", Boolean, nullable=False, comment="its Pod is on its way out"),
    Column("queued_at", DateTime(timezone=True)),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("outputs_uri", Text, nullable=False),
    Column("failure", Text, comment="JSON of failures.Failure"),
    Column("reason", Text, nullable=False, comment="why it waits, for people"),
)
