"""Slots, what became of them, and who leads."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "fires",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("slot_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "version",
            sa.String(length=255),
            nullable=False,
            comment="the one that was active when the slot was decided",
        ),
        sa.Column("state", sa.Integer(), nullable=False, comment="scheduler.FireState"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it was left out, failed, or waits"),
        sa.Column("noted_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, comment="how often admin was asked to start it"),
        sa.Column("next_try_us", sa.BigInteger(), nullable=False, comment="while it is DUE: not before"),
        sa.PrimaryKeyConstraint("project", "domain", "name", "slot_us"),
    )
    with op.batch_alter_table("fires", schema=None) as batch_op:
        batch_op.create_index("fires_by_age", ["updated_at_us"], unique=False)
        batch_op.create_index(
            "fires_to_start",
            ["next_try_us"],
            unique=False,
            sqlite_where=sa.text("state = 1"),
            postgresql_where=sa.text("state = 1"),
        )

    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column(
            "fence",
            sa.BigInteger(),
            nullable=False,
            comment="grows whenever it is taken; who has an old one writes nothing",
        ),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    # No schedule has ever fired before this revision, and all of them are learned from admin again.
    op.drop_table("schedules")
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
            "activated_at_us",
            sa.BigInteger(),
            nullable=False,
            comment="slots begin after it, and fixed rates count from it",
        ),
        sa.Column("paused_at_us", sa.BigInteger(), nullable=True, comment="null unless it is paused"),
        sa.Column("pause_reason", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "decided_until_us",
            sa.BigInteger(),
            nullable=False,
            comment="what becomes of slots up to it is written in fires",
        ),
        sa.Column(
            "due_us",
            sa.BigInteger(),
            nullable=True,
            comment="when the next slot is to be decided; null when there is none",
        ),
        sa.Column(
            "last_fired_at_us", sa.BigInteger(), nullable=True, comment="the latest slot known to have an execution"
        ),
        sa.PrimaryKeyConstraint("project", "domain", "name", "version"),
    )
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.create_index(
            "schedules_due",
            ["due_us"],
            unique=False,
            sqlite_where=sa.text("due_us IS NOT NULL"),
            postgresql_where=sa.text("due_us IS NOT NULL"),
        )
