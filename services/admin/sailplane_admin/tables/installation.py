"""What this installation keeps about itself."""

from sailplane_runtime.store.times import time_column
from sqlalchemy import Column, LargeBinary, String, Table

from .base import metadata

installation_keys = Table(
    "installation_keys",
    metadata,
    Column("name", String(63), primary_key=True, comment="what it is for"),
    Column("key", LargeBinary, nullable=False, comment="random; whoever has it can make up what it seals"),
    time_column("created_at_us", nullable=False),
)
