"""How long executions are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

HAS_SOURCE = "source_execution_id IS NOT NULL"


def upgrade() -> None:
    op.create_table(
        "retention_policies",
        sa.Column("project", sa.String(255), primary_key=True),
        sa.Column("domain", sa.String(255), primary_key=True, comment="empty for each"),
        sa.Column(
            "phase",
            sa.Integer(),
            primary_key=True,
            autoincrement=False,
            comment="core.WorkflowExecution.Phase; 0 for each",
        ),
        sa.Column("age_s_max", sa.BigInteger(), nullable=False, comment="0 for any, as what follows"),
        sa.Column("executions_max", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "execution_deletions",
        sa.Column("execution_id", sa.BigInteger(), primary_key=True, autoincrement=False, comment="the row that goes"),
        sa.Column(
            "root_id",
            sa.BigInteger(),
            nullable=False,
            comment="the one whose nodes have, directly or not, started it",
        ),
        sa.Column("keeps_outputs", sa.Boolean(), nullable=False, comment="of the root: some may be in the cache"),
        sa.Column("is_told", sa.Boolean(), nullable=False, comment="propeller is told to forget it"),
    )
    op.create_index(
        "executions_of_source",
        "executions",
        ["source_execution_id"],
        sqlite_where=sa.text(HAS_SOURCE),
        postgresql_where=sa.text(HAS_SOURCE),
    )
