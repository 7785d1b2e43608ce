"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
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
        "schedules",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("schedule", sa.LargeBinary(), nullable=False, comment="sailplane.admin.Schedule"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column(
            "changed_at_us", sa.BigInteger(), nullable=False, comment="by admin's clock; an older change is ignored"
        ),
        sa.Column(
            "last_fired_at_us",
            sa.BigInteger(),
            nullable=True,
            comment="scheduled time of the latest fire known to have an execution",
        ),
        sa.PrimaryKeyConstraint("project", "domain", "name", "version"),
    )
