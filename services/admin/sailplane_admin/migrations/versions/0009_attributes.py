"""What is said about all executions of a project, a domain or a workflow."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "attributes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("resource_type", sa.Integer(), nullable=False, comment="admin.MatchableResource"),
        sa.Column("project", sa.String(255), nullable=False, comment="empty for all, as what follows"),
        sa.Column("domain", sa.String(255), nullable=False),
        sa.Column("workflow", sa.String(255), nullable=False),
        sa.Column("launch_plan", sa.String(255), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.LargeBinary(), nullable=False, comment="admin.MatchingAttributes"),
        sa.UniqueConstraint("project", "domain", "workflow", "launch_plan", "resource_type", name="attributes_place"),
    )
