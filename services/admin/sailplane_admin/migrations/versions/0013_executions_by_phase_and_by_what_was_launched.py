"""Lists of executions by phase, by workflow and by launch plan find them in the order of age."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_COPY_NAMES = """
    UPDATE executions SET
        launch_plan_name = (SELECT plan.name FROM launch_plans AS plan WHERE plan.id = executions.launch_plan_id),
        workflow_name = (SELECT workflow.name FROM workflows AS workflow WHERE workflow.id = executions.workflow_id)
"""


def upgrade() -> None:
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("launch_plan_name", sa.String(length=265), comment="a copy, for lists of its executions")
        )
        batch_op.add_column(sa.Column("workflow_name", sa.String(length=265), comment="a copy likewise"))
    op.execute(_COPY_NAMES)
    for column in ("phase", "workflow_name", "launch_plan_name"):
        op.create_index(
            f"executions_by_{column}",
            "executions",
            ["execution_project", "execution_domain", "state", column, "execution_created_at_us"],
        )
