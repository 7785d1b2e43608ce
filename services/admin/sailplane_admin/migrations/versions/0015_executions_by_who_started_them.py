"""Lists of the executions that somebody started find them in the order of age."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_index(
        "executions_by_user",
        "executions",
        ["execution_project", "execution_domain", "state", "user", "execution_created_at_us"],
    )
