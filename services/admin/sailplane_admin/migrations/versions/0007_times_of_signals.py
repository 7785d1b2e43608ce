"""Signals know when they were made and given their value."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_AS_OLD_AS_ITS_EXECUTION = """
    UPDATE signals SET created_at_us = coalesce((
        SELECT execution_created_at_us FROM executions
        WHERE executions.execution_project = signals.execution_project
            AND executions.execution_domain = signals.execution_domain
            AND executions.execution_name = signals.execution_name
    ), 0)
"""
TIMES = {"created_at_us": "when its gate asked for it", "updated_at_us": "when it was last given a value"}


def upgrade() -> None:
    for name, comment in TIMES.items():
        op.add_column("signals", sa.Column(name, sa.BigInteger(), nullable=True, comment=comment))
    op.execute(_AS_OLD_AS_ITS_EXECUTION)
    op.execute("UPDATE signals SET updated_at_us = created_at_us")
    with op.batch_alter_table("signals") as batch_op:
        for name in TIMES:
            batch_op.alter_column(name, existing_type=sa.BigInteger(), nullable=False)
