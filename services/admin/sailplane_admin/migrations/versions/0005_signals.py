"""Signals."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "signals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_project", sa.String(length=255), nullable=False),
        sa.Column("execution_domain", sa.String(length=255), nullable=False),
        sa.Column("execution_name", sa.String(length=63), nullable=False),
        sa.Column("signal_id", sa.String(length=255), nullable=False, comment="chosen by the author of the workflow"),
        sa.Column("type", sa.LargeBinary(), nullable=False, comment="core.LiteralType; never changes"),
        sa.Column("value", sa.LargeBinary(), nullable=True, comment="core.Literal, once somebody has given it"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("execution_project", "execution_domain", "execution_name", "signal_id", name="signals_id"),
    )
