"""The scheduler's own tables: what admin said of each launch plan that has a schedule."""

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, MetaData, String, Table

metadata = MetaData()

schedules = Table(
    "schedules",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("domain", String(64), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("version", String(255), primary_key=True),
    Column("schedule", LargeBinary, nullable=False, comment="sailplane.admin.Schedule"),
    Column("active", Boolean, nullable=False),
    Column("changed_at_us", BigInteger, nullable=False, comment="by admin's clock; an older change is ignored"),
    Column("last_fired_at_us", BigInteger, comment="scheduled time of the latest fire known to have an execution"),
)
