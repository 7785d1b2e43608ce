"""Which fields lists can be filtered and sorted by, under the names that Flyte's clients use.

These are the column names of Flyte's own database, so some look odd: an execution is found by `execution_name`, not
by `name`. Phases are the names of their enums, states and modes are numbers.
"""

from enum import Enum, StrEnum, auto


class Entity(StrEnum):
    """What can be named before the dot of a filter's field."""

    TASK = "task"
    WORKFLOW = "workflow"
    LAUNCH_PLAN = "launch_plan"
    EXECUTION = "execution"
    NODE_EXECUTION = "node_execution"
    TASK_EXECUTION = "task_execution"
    NAMED_ENTITY = "entities"
    NAMED_ENTITY_METADATA = "named_entity_metadata"
    DESCRIPTION_ENTITY = "description_entity"
    PROJECT = "project"
    SIGNAL = "signal"
    ADMIN_TAG = "admin_tag"
    EXECUTION_TAG = "execution_tag"


class FieldType(Enum):
    """What a field holds, and so what it can be compared to."""

    TEXT = auto()
    INTEGER = auto()
    TIME = auto()
    DURATION = auto()


_TEXT, _INTEGER, _TIME, _DURATION = FieldType.TEXT, FieldType.INTEGER, FieldType.TIME, FieldType.DURATION

DATABASE_FIELDS: dict[str, FieldType] = {"id": _INTEGER, "created_at": _TIME, "updated_at": _TIME, "deleted_at": _TIME}
"""What every entity has. Nothing that can be listed was ever deleted: `deleted_at` is null."""


def _texts(*names: str) -> dict[str, FieldType]:
    return dict.fromkeys(names, _TEXT)


_SCOPED = _texts("project", "domain", "name")
_VERSIONED = _SCOPED | _texts("version")
_OF_EXECUTION = _texts("execution_project", "execution_domain", "execution_name")

OPAQUE: dict[Entity, tuple[str, ...]] = {
    Entity.TASK: ("closure", "digest"),
    Entity.WORKFLOW: ("typed_interface", "remote_closure_identifier", "digest"),
    Entity.LAUNCH_PLAN: ("spec", "closure", "digest"),
    Entity.EXECUTION: ("closure", "spec"),
    Entity.NODE_EXECUTION: (
        "closure",
        "node_execution_metadata",
        "dynamic_workflow_remote_closure_reference",
        "internal_data",
    ),
    Entity.TASK_EXECUTION: ("closure",),
    Entity.PROJECT: ("labels",),
    Entity.SIGNAL: ("type", "value"),
}
"""Columns of Flyte's that hold serialised messages, or say where one lies. They are accepted as texts without a value:
nothing can sensibly be compared to them."""

FIELDS: dict[Entity, dict[str, FieldType]] = {
    Entity.TASK: _VERSIONED | _texts("type", "short_description"),
    Entity.WORKFLOW: _VERSIONED | _texts("short_description"),
    Entity.LAUNCH_PLAN: _VERSIONED
    | _texts("schedule_type", "launch_condition_type")
    | {"workflow_id": _INTEGER, "state": _INTEGER},
    Entity.EXECUTION: _OF_EXECUTION
    | _texts("phase", "abort_cause", "cluster", "error_kind", "error_code", "user", "launch_entity")
    | _texts("inputs_uri", "user_inputs_uri")
    | {
        "launch_plan_id": _INTEGER,
        "workflow_id": _INTEGER,
        "task_id": _INTEGER,
        "mode": _INTEGER,
        "state": _INTEGER,
        "source_execution_id": _INTEGER,
        "parent_node_execution": _INTEGER,
        "started_at": _TIME,
        "execution_created_at": _TIME,
        "execution_updated_at": _TIME,
        "duration": _DURATION,
    },
    Entity.NODE_EXECUTION: _OF_EXECUTION
    | _texts("node_id", "phase", "input_uri", "error_kind", "error_code", "cache_status")
    | {
        "parent_id": _INTEGER,
        "parent_task_execution_id": _INTEGER,
        "started_at": _TIME,
        "node_execution_created_at": _TIME,
        "node_execution_updated_at": _TIME,
        "duration": _DURATION,
    },
    Entity.TASK_EXECUTION: _VERSIONED
    | _OF_EXECUTION
    | _texts("node_id", "phase", "input_uri")
    | {
        "retry_attempt": _INTEGER,
        "phase_version": _INTEGER,
        "started_at": _TIME,
        "task_execution_created_at": _TIME,
        "task_execution_updated_at": _TIME,
        "duration": _DURATION,
    },
    Entity.NAMED_ENTITY: _SCOPED | {"resource_type": _INTEGER},
    Entity.NAMED_ENTITY_METADATA: _SCOPED | _texts("description") | {"resource_type": _INTEGER, "state": _INTEGER},
    Entity.DESCRIPTION_ENTITY: _VERSIONED | _texts("short_description") | {"resource_type": _INTEGER},
    Entity.PROJECT: _texts("identifier", "name", "description") | {"state": _INTEGER},
    Entity.SIGNAL: _OF_EXECUTION | _texts("signal_id"),
    Entity.ADMIN_TAG: {},
    Entity.EXECUTION_TAG: _OF_EXECUTION | _texts("key", "value"),
}
for _entity, _names in OPAQUE.items():
    FIELDS[_entity] |= _texts(*_names)

JOINS: dict[Entity, frozenset[Entity]] = dict.fromkeys(Entity, frozenset[Entity]()) | {
    Entity.EXECUTION: frozenset(
        {Entity.LAUNCH_PLAN, Entity.WORKFLOW, Entity.TASK, Entity.ADMIN_TAG, Entity.EXECUTION_TAG}
    ),
    Entity.LAUNCH_PLAN: frozenset({Entity.WORKFLOW}),
    Entity.NODE_EXECUTION: frozenset({Entity.EXECUTION}),
    Entity.TASK_EXECUTION: frozenset({Entity.TASK, Entity.EXECUTION, Entity.NODE_EXECUTION}),
    Entity.NAMED_ENTITY: frozenset({Entity.NAMED_ENTITY_METADATA}),
}
"""By the entity that an endpoint lists, which others its filters may name."""

RENAMED: dict[tuple[Entity, str], tuple[Entity, str]] = {
    (Entity.ADMIN_TAG, "name"): (Entity.EXECUTION_TAG, "key"),
    **{(Entity.ADMIN_TAG, name): (Entity.EXECUTION_TAG, name) for name in DATABASE_FIELDS},
    (Entity.EXECUTION, "parent_node_execution_id"): (Entity.EXECUTION, "parent_node_execution"),
    (Entity.NAMED_ENTITY, "state"): (Entity.NAMED_ENTITY_METADATA, "state"),
    (Entity.NAMED_ENTITY, "description"): (Entity.NAMED_ENTITY_METADATA, "description"),
}
"""Fields that are kept elsewhere than their name says."""
