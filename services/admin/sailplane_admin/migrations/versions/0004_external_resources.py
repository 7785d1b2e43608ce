"""External resources of attempts have rows of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "external_resources",
        sa.Column(
            "task_execution_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="whose attempt it is",
        ),
        sa.Column(
            "item",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="of a map: which element",
        ),
        sa.Column(
            "retry_attempt",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="which attempt of that element",
        ),
        sa.Column("resource", sa.LargeBinary(), nullable=False, comment="event.ExternalResourceInfo"),
        sa.ForeignKeyConstraint(["task_execution_id"], ["task_executions.id"]),
        sa.PrimaryKeyConstraint("task_execution_id", "item", "retry_attempt"),
    )
