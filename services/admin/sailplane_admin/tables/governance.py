"""What operators allow."""

from sqlalchemy import BigInteger, Column, String, Table

from .base import metadata
from .registry import NAME_CHARS_MAX

quotas = Table(
    "quotas",
    metadata,
    Column("project", String(NAME_CHARS_MAX), primary_key=True),
    Column("domain", String(NAME_CHARS_MAX), primary_key=True),
    Column("running_executions_max", BigInteger, nullable=False, comment="0 for any number, as what follows"),
    Column("executions_per_minute_max", BigInteger, nullable=False),
    Column("active_schedules_max", BigInteger, nullable=False),
)
