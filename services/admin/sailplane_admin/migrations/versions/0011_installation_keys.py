"""What this installation seals its page tokens with."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "installation_keys",
        sa.Column("name", sa.String(63), primary_key=True, comment="what it is for"),
        sa.Column("key", sa.LargeBinary(), nullable=False, comment="random; whoever has it can make up what it seals"),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
    )
