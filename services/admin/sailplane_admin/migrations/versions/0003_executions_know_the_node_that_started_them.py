"""Executions know the node that started them, whether it is recorded yet or not."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_FROM_ROW_OF_NODE = """
    UPDATE executions SET
        parent_node_id = (SELECT node_id FROM node_executions AS node WHERE node.id = parent_node_execution_id),
        parent_execution_id = (
            SELECT parent.id FROM node_executions AS node JOIN executions AS parent
                ON parent.execution_project = node.execution_project
                AND parent.execution_domain = node.execution_domain
                AND parent.execution_name = node.execution_name
            WHERE node.id = executions.parent_node_execution_id
        )
    WHERE parent_node_execution_id IS NOT NULL
"""


def upgrade() -> None:
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "parent_execution_id",
                sa.Integer(),
                nullable=True,
                comment="the execution of the node that started it",
            )
        )
        batch_op.add_column(
            sa.Column(
                "parent_node_id",
                sa.String(length=64),
                nullable=True,
                comment="that node, which may not be recorded yet",
            )
        )
    op.execute(_FROM_ROW_OF_NODE)
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.create_index(
            "executions_of_parent",
            ["parent_execution_id"],
            unique=False,
            sqlite_where=sa.text("parent_execution_id IS NOT NULL"),
            postgresql_where=sa.text("parent_execution_id IS NOT NULL"),
        )
        batch_op.drop_column("parent_node_execution_id")
