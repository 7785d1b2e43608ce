"""Executions know whose concurrency they count for, and what waits is kept with its order to start."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_RUNS = (
    "plan_name_id IS NOT NULL AND starts_below IS NULL AND phase NOT IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')"
)
_WAITS = "starts_below IS NOT NULL"
_FROM_LAUNCH_PLANS = """
    UPDATE executions SET plan_name_id = (
        SELECT named.id FROM launch_plans AS plan JOIN named_entities AS named
            ON named.resource_type = 3
            AND named.project = plan.project
            AND named.domain = plan.domain
            AND named.name = plan.name
        WHERE plan.id = executions.launch_plan_id
    )
    WHERE launch_entity = 'LAUNCH_PLAN' AND phase NOT IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')
"""


def upgrade() -> None:
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "plan_name_id",
                sa.Integer(),
                nullable=True,
                comment="the named entity of its launch plan, if it counts for its concurrency",
            )
        )
        batch_op.add_column(
            sa.Column(
                "starts_below",
                sa.Integer(),
                nullable=True,
                comment="it waits until fewer than this many run; NULL once it is to run",
            )
        )
        batch_op.add_column(
            sa.Column(
                "start_order",
                sa.LargeBinary(),
                nullable=True,
                comment="propeller.ExecutionCommand, for when it starts; NULL likewise",
            )
        )
    op.execute(_FROM_LAUNCH_PLANS)
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.create_index(
            "executions_that_run",
            ["plan_name_id"],
            unique=False,
            sqlite_where=sa.text(_RUNS),
            postgresql_where=sa.text(_RUNS),
        )
        batch_op.create_index(
            "executions_that_wait",
            ["plan_name_id", "id"],
            unique=False,
            sqlite_where=sa.text(_WAITS),
            postgresql_where=sa.text(_WAITS),
        )
