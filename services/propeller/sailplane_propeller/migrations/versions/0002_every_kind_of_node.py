"""Every kind of node."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "item",
                sa.Integer(),
                server_default="-1",
                nullable=False,
                comment="index of an array's item, -1 for others",
            )
        )
        batch_op.add_column(
            sa.Column(
                "is_waiting",
                sa.Boolean(),
                server_default=sa.false(),
                nullable=False,
                comment="held back by max_parallelism",
            )
        )
        batch_op.add_column(
            sa.Column(
                "holds_slot",
                sa.Boolean(),
                server_default=sa.false(),
                nullable=False,
                comment="counts for max_parallelism",
            )
        )
        batch_op.add_column(
            sa.Column(
                "size",
                sa.Integer(),
                server_default="-1",
                nullable=False,
                comment="an array's number of items, -1 until known",
            )
        )
        batch_op.add_column(
            sa.Column(
                "cache_status", sa.Integer(), server_default="0", nullable=False, comment="core.CatalogCacheStatus"
            )
        )
        batch_op.add_column(
            sa.Column(
                "is_reserved",
                sa.Boolean(),
                server_default=sa.false(),
                nullable=False,
                comment="others wait for what it computes",
            )
        )
        batch_op.add_column(
            sa.Column(
                "graph_uri", sa.Text(), server_default="", nullable=False, comment="the graph that its task generated"
            )
        )
        batch_op.add_column(
            sa.Column(
                "child_name",
                sa.String(length=64),
                server_default="",
                nullable=False,
                comment="of the execution it started",
            )
        )
        batch_op.add_column(
            sa.Column(
                "culprit_id",
                sa.String(length=64),
                server_default="",
                nullable=False,
                comment="the node inside that made it fail",
            )
        )
        batch_op.add_column(
            sa.Column(
                "attempt_started_at",
                sa.DateTime(timezone=True),
                nullable=True,
                comment="when the present attempt's launch was decided",
            )
        )
        batch_op.add_column(sa.Column("inputs_uri", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("deck_uri", sa.Text(), server_default="", nullable=False))
