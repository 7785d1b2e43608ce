"""When the last transition was decided, which puts what is told in order."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "decided_at",
                sa.DateTime(timezone=True),
                nullable=True,
                comment="of the last transition; never earlier than the one before",
            )
        )
