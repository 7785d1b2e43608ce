"""Who has done what."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("occurred_at_us", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.String(255), nullable=False, comment="empty until clients have to say"),
        sa.Column("peer", sa.String(255), nullable=False),
        sa.Column("request_id", sa.String(255), nullable=False),
        sa.Column("rpc", sa.String(64), nullable=False),
        sa.Column("project", sa.String(255), nullable=False),
        sa.Column("domain", sa.String(255), nullable=False),
        sa.Column("entity", sa.String(512), nullable=False),
        sa.Column("code", sa.String(32), nullable=False, comment="name of the gRPC code"),
    )
    op.create_index("audit_events_of_project", "audit_events", ["project", "domain", "id"])
    op.create_index("audit_events_of_principal", "audit_events", ["principal", "id"])
    op.create_index("audit_events_by_time", "audit_events", ["occurred_at_us"])
