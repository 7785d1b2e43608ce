"""Nodes keep the workflow that their task has generated."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("node_executions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "dynamic_workflow",
                sa.LargeBinary(),
                nullable=True,
                comment="admin.DynamicWorkflowNodeMetadata, once it has generated one",
            )
        )
