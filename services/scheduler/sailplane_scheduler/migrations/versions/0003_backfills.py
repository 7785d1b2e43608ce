"""Backfills."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "backfills",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("start_at_us", sa.BigInteger(), nullable=False),
        sa.Column("end_at_us", sa.BigInteger(), nullable=False),
        sa.Column("newest_first", sa.Boolean(), nullable=False),
        sa.Column("parallelism", sa.Integer(), nullable=False),
        sa.Column("continue_on_failure", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False, comment="scheduler.BackfillState"),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False, comment="when the state was entered"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("backfills", schema=None) as batch_op:
        batch_op.create_index("backfills_by_age", ["created_at_us", "id"], unique=False)
        batch_op.create_index("backfills_by_state", ["state"], unique=False)

    op.create_table(
        "backfill_slots",
        sa.Column("backfill_id", sa.String(length=64), nullable=False),
        sa.Column("slot_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False, comment="scheduler.BackfillSlotState"),
        sa.Column(
            "phase", sa.Integer(), nullable=False, comment="core.WorkflowExecution.Phase in which its execution ended"
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it was refused, or has to wait"),
        sa.ForeignKeyConstraint(["backfill_id"], ["backfills.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("backfill_id", "slot_us"),
    )
    with op.batch_alter_table("backfill_slots", schema=None) as batch_op:
        batch_op.create_index("backfill_slots_by_state", ["backfill_id", "state", "slot_us"], unique=False)
