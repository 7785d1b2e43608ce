"""CacheService keeps outputs under keys."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "cache_entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("key", sa.String(512), nullable=False, comment="made up by whoever computes"),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), comment="cacheservice.CachedOutput; null if that is in the blob store"),
        sa.Column("data_uri", sa.Text(), nullable=False, comment="where it is if it is large"),
        sa.UniqueConstraint("key", name="cache_entries_key"),
    )
