"""Reservations that have lapsed are found."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index("catalog_reservations_lapsed", "catalog_reservations", ["expires_at_us"])
