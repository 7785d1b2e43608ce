"""Admin's own tables. Times are microseconds since the epoch, UTC; messages are serialized as they are served."""

from sailplane_runtime.store.times import duration_of, duration_us, time_of, time_us, timestamp_of

from .base import metadata
from .catalog import cache_entries, catalog_artifacts, catalog_datasets, catalog_reservations, catalog_tags
from .executions import (
    RUNS,
    RUNS_BY_ITSELF,
    WAITS,
    execution_tags,
    executions,
    external_resources,
    node_executions,
    signals,
    task_executions,
)
from .governance import audit_events, execution_deletions, quotas, retention_policies
from .installation import installation_keys
from .notifications import notification_deliveries
from .registry import (
    attributes,
    description_entities,
    launch_plans,
    named_entities,
    projects,
    tasks,
    workflows,
)

__all__ = [
    "RUNS",
    "RUNS_BY_ITSELF",
    "WAITS",
    "attributes",
    "audit_events",
    "cache_entries",
    "catalog_artifacts",
    "catalog_datasets",
    "catalog_reservations",
    "catalog_tags",
    "description_entities",
    "duration_of",
    "duration_us",
    "execution_deletions",
    "execution_tags",
    "executions",
    "external_resources",
    "installation_keys",
    "launch_plans",
    "metadata",
    "named_entities",
    "node_executions",
    "notification_deliveries",
    "projects",
    "quotas",
    "retention_policies",
    "signals",
    "task_executions",
    "tasks",
    "time_of",
    "time_us",
    "timestamp_of",
    "workflows",
]
