"""Messages that executions owe when they end."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "notification_deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False, comment="the same for every try"),
        sa.Column("execution_project", sa.String(length=255), nullable=False),
        sa.Column("execution_domain", sa.String(length=255), nullable=False),
        sa.Column("execution_name", sa.String(length=63), nullable=False),
        sa.Column("phase", sa.String(length=32), nullable=False, comment="how it has ended"),
        sa.Column("error", sa.String(length=4096), nullable=False),
        sa.Column("workflow_project", sa.String(length=255), nullable=False),
        sa.Column("workflow_domain", sa.String(length=255), nullable=False),
        sa.Column("workflow_name", sa.String(length=265), nullable=False),
        sa.Column("workflow_version", sa.String(length=265), nullable=False),
        sa.Column("launch_plan_project", sa.String(length=255), nullable=False),
        sa.Column("launch_plan_domain", sa.String(length=255), nullable=False),
        sa.Column("launch_plan_name", sa.String(length=265), nullable=False),
        sa.Column("launch_plan_version", sa.String(length=265), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="the field of admin.Notification"),
        sa.Column("target", sa.String(length=320), nullable=False, comment="an address, or the name of a channel"),
        sa.Column("template", sa.String(length=255), nullable=False, comment="empty for the default one"),
        sa.Column("route", sa.String(length=336), nullable=False, comment="what goes one way fails together"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="PENDING, DELIVERED or GIVEN_UP"),
        sa.Column("tries", sa.Integer(), nullable=False, comment="also fences: what an earlier try came to is ignored"),
        sa.Column("last_error", sa.String(length=1024), nullable=False, comment="empty unless the last try failed"),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("tried_since_us", sa.BigInteger(), nullable=False, comment="it is given up so long after this"),
        sa.Column("next_try_at_us", sa.BigInteger(), nullable=False),
        sa.Column("leased_until_us", sa.BigInteger(), nullable=False, comment="somebody sends it; 0 if nobody does"),
        sa.Column("delivered_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("delivery_id"),
    )
    op.create_index(
        "notification_deliveries_given_up",
        "notification_deliveries",
        ["id"],
        sqlite_where=sa.text("state = 'GIVEN_UP'"),
        postgresql_where=sa.text("state = 'GIVEN_UP'"),
    )
    op.create_index(
        "notification_deliveries_of_domain",
        "notification_deliveries",
        ["execution_project", "execution_domain", "id"],
    )
    op.create_index(
        "notification_deliveries_of_execution", "notification_deliveries", ["execution_name", "id"], unique=False
    )
    op.create_index(
        "notification_deliveries_pending",
        "notification_deliveries",
        ["route", "next_try_at_us"],
        sqlite_where=sa.text("state = 'PENDING'"),
        postgresql_where=sa.text("state = 'PENDING'"),
    )
