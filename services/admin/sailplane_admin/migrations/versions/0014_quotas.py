"""Quotas of project-domains."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

RUNS_BY_ITSELF = "parent_execution_id IS NULL AND phase NOT IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')"


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("project", sa.String(255), primary_key=True),
        sa.Column("domain", sa.String(255), primary_key=True),
        sa.Column(
            "running_executions_max", sa.BigInteger(), nullable=False, comment="0 for any number, as what follows"
        ),
        sa.Column("executions_per_minute_max", sa.BigInteger(), nullable=False),
        sa.Column("active_schedules_max", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "executions_running",
        "executions",
        ["execution_project", "execution_domain", "parent_execution_id"],
        sqlite_where=sa.text(RUNS_BY_ITSELF),
        postgresql_where=sa.text(RUNS_BY_ITSELF),
    )
