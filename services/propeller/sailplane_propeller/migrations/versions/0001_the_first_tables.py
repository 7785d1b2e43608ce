"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "executions",
        sa.Column("id", sa.String(length=255), nullable=False, comment="project/domain/name"),
        sa.Column(
            "version", sa.Integer(), nullable=False, comment="counts transitions; every save compares and sets it"
        ),
        sa.Column("phase", sa.Integer(), nullable=False, comment="core.WorkflowExecution.Phase"),
        sa.Column("is_terminal", sa.Boolean(), nullable=False, comment="set by the move into a terminal phase"),
        sa.Column("start", sa.LargeBinary(), nullable=False, comment="sailplane.propeller.Start, as admin sent it"),
        sa.Column(
            "failure", sa.Text(), nullable=True, comment="JSON of failures.Failure; set on entering FAILING or ABORTING"
        ),
        sa.Column("failed_node_id", sa.String(length=64), nullable=False),
        sa.Column("abort_cause", sa.Text(), nullable=False),
        sa.Column("abort_principal", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "ended_at", sa.DateTime(timezone=True), nullable=True, comment="set by the move into a terminal phase"
        ),
        sa.Column(
            "parked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="set when a broken invariant took it out of service",
        ),
        sa.Column("parked_reason", sa.Text(), nullable=True, comment="what was broken, in a sentence"),
        sa.Column("parked_evidence", sa.Text(), nullable=True, comment="what was being observed, and the traceback"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.create_index("executions_ended", ["ended_at"], unique=False)
        batch_op.create_index("executions_in_service", ["is_terminal", "parked_at"], unique=False)

    op.create_table(
        "outbox",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="the order of sending"
        ),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column(
            "key", sa.String(length=255), nullable=False, comment="what the message is about; its order is kept per key"
        ),
        sa.Column("id", sa.String(length=512), nullable=False, comment="derived from what the message says"),
        sa.Column("payload", sa.LargeBinary(), nullable=False, comment="a serialised protobuf envelope"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "nodes",
        sa.Column("execution_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False, comment="unique within the execution"),
        sa.Column("spec_id", sa.String(length=255), nullable=False, comment="id within the template"),
        sa.Column("scope", sa.String(length=64), nullable=False, comment="the node it lies in, '' at the top"),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="machine.NodeKind"),
        sa.Column("phase", sa.Integer(), nullable=False, comment="core.NodeExecution.Phase"),
        sa.Column(
            "task_phase", sa.Integer(), nullable=False, comment="core.TaskExecution.Phase of the present attempt"
        ),
        sa.Column("task_phase_version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="from 0; fences observations"),
        sa.Column("user_failures", sa.Integer(), nullable=False, comment="attempts that spent the user's retries"),
        sa.Column("system_failures", sa.Integer(), nullable=False, comment="attempts that spent the system's retries"),
        sa.Column("removing", sa.Boolean(), nullable=False, comment="its Pod is on its way out"),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outputs_uri", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True, comment="JSON of failures.Failure"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it waits, for people"),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["executions.id"],
        ),
        sa.PrimaryKeyConstraint("execution_id", "id"),
    )
