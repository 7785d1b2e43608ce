"""Admin's own tables. Times are microseconds since the epoch, UTC; messages are serialized as they are served."""

from .base import metadata, time_us, timestamp_of
from .registry import (
    description_entities,
    launch_plans,
    named_entities,
    projects,
    tasks,
    workflows,
)

__all__ = [
    "description_entities",
    "launch_plans",
    "metadata",
    "named_entities",
    "projects",
    "tasks",
    "time_us",
    "timestamp_of",
    "workflows",
]
