"""The rows that events change: read together, written together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sailplane_core.ids import EntityId, ExecutionId, ResourceType
from sailplane_core.phases import NODE_TERMINAL, TASK_TERMINAL, ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import catalog_pb2
from sqlalchemy import Connection, bindparam, insert, select, update

from . import external_resources, tables
from .execution_rows import course_columns, execution_values, in_execution, is_of_execution
from .external_resources import Resources

_NODES = tables.node_executions.c
_TASKS = tables.task_executions.c

NODES_AT_ONCE = 500
"""Node ids of one SELECT; SQLite takes 32,766 parameters."""


@dataclass(slots=True)
class ChangeNumbers:
    """Of one execution: each row that is written gets the next. `last` is the last one given out."""

    last: int

    def next(self) -> int:
        """Another one."""
        self.last += 1
        return self.last


@dataclass(slots=True)
class NodeRecord:
    """A node's row. `row_id` is None until it was written once."""

    row_id: int | None = None
    parent_node_id: str = ""
    input_uri: str = ""
    metadata: node_execution_pb2.NodeExecutionMetaData = field(default_factory=node_execution_pb2.NodeExecutionMetaData)
    closure: node_execution_pb2.NodeExecutionClosure = field(default_factory=node_execution_pb2.NodeExecutionClosure)
    generated: node_execution_pb2.DynamicWorkflowNodeMetadata | None = None
    """The workflow that its task has generated, if an event tells now."""
    is_changed: bool = False

    @property
    def updated_at(self) -> datetime | None:
        """When its last event was reported."""
        return self.closure.updated_at.ToDatetime(UTC) if self.closure.HasField("updated_at") else None


@dataclass(frozen=True, slots=True)
class TaskKey:
    """One attempt of one node's task."""

    node_id: str
    attempt: int
    task: EntityId


@dataclass(slots=True)
class TaskRecord:
    """An attempt's row. `row_id` is None until it was written once."""

    row_id: int | None = None
    phase_version: int = 0
    input_uri: str = ""
    closure: task_execution_pb2.TaskExecutionClosure = field(default_factory=task_execution_pb2.TaskExecutionClosure)
    resources: Resources = field(default_factory=Resources)
    is_changed: bool = False

    @property
    def updated_at(self) -> datetime | None:
        """When its last event was reported."""
        return self.closure.updated_at.ToDatetime(UTC) if self.closure.HasField("updated_at") else None


# Reading

_OPEN_NODES = select(_NODES.node_id).where(
    *is_of_execution(tables.node_executions), _NODES.phase.not_in([phase.name for phase in NODE_TERMINAL])
)
_OPEN_TASKS = select(_TASKS.node_id).where(
    *is_of_execution(tables.task_executions), _TASKS.phase.not_in([phase.name for phase in TASK_TERMINAL])
)
_NODES_OF = select(_NODES.id, _NODES.node_id, _NODES.input_uri, _NODES.metadata, _NODES.closure).where(
    *is_of_execution(tables.node_executions), _NODES.node_id.in_(bindparam("node_ids", expanding=True))
)
_TASKS_OF = select(tables.task_executions).where(
    *is_of_execution(tables.task_executions), _TASKS.node_id.in_(bindparam("node_ids", expanding=True))
)


def left_open(connection: Connection, id: ExecutionId) -> tuple[set[str], set[str]]:
    """The nodes that have not ended, and the nodes of which an attempt has not."""
    values = execution_values(id)
    return set(connection.scalars(_OPEN_NODES, values)), set(connection.scalars(_OPEN_TASKS, values))


def load_nodes(connection: Connection, id: ExecutionId, node_ids: Iterable[str]) -> dict[str, NodeRecord]:
    """Those of the nodes that are recorded."""
    wanted = sorted(node_ids)
    found: dict[str, NodeRecord] = {}
    for start in range(0, len(wanted), NODES_AT_ONCE):
        values = {**execution_values(id), "node_ids": wanted[start : start + NODES_AT_ONCE]}
        for row in connection.execute(_NODES_OF, values):
            found[row.node_id] = NodeRecord(
                row_id=row.id,
                input_uri=row.input_uri,
                metadata=node_execution_pb2.NodeExecutionMetaData.FromString(row.metadata),
                closure=node_execution_pb2.NodeExecutionClosure.FromString(row.closure),
            )
    return found


def load_tasks(connection: Connection, id: ExecutionId, node_ids: Iterable[str]) -> dict[TaskKey, TaskRecord]:
    """Every recorded attempt of these nodes."""
    wanted = sorted(node_ids)
    found: dict[TaskKey, TaskRecord] = {}
    for start in range(0, len(wanted), NODES_AT_ONCE):
        values = {**execution_values(id), "node_ids": wanted[start : start + NODES_AT_ONCE]}
        for row in connection.execute(_TASKS_OF, values):
            task = EntityId(ResourceType.TASK, row.project, row.domain, row.name, row.version)
            found[TaskKey(row.node_id, row.retry_attempt, task)] = TaskRecord(
                row_id=row.id,
                phase_version=row.phase_version,
                input_uri=row.input_uri,
                closure=task_execution_pb2.TaskExecutionClosure.FromString(row.closure),
            )
    return found


# Writing

_EXECUTION_CHANGES = (
    "phase",
    "started_at_us",
    "duration_us",
    "error_kind",
    "error_code",
    "execution_updated_at_us",
    "abort_cause",
    "closure",
    "change",
    "last_change",
)
_UPDATE_EXECUTION = (
    update(tables.executions)
    .where(tables.executions.c.id == bindparam("row_id"))
    .values({name: bindparam(name) for name in _EXECUTION_CHANGES})
)
_UPDATE_LAST_CHANGE = (
    update(tables.executions)
    .where(tables.executions.c.id == bindparam("row_id"))
    .values(last_change=bindparam("last_change"))
)
_NODE_CHANGES = (
    "phase",
    "started_at_us",
    "duration_us",
    "error_kind",
    "error_code",
    "node_execution_updated_at_us",
    "input_uri",
    "cache_status",
    "metadata",
    "closure",
    "change",
)
_UPDATE_NODE = (
    update(tables.node_executions)
    .where(_NODES.id == bindparam("row_id"))
    .values({name: bindparam(name) for name in _NODE_CHANGES})
)
_INSERT_NODE = insert(tables.node_executions)
_TASK_CHANGES = (
    "phase",
    "started_at_us",
    "duration_us",
    "error_kind",
    "error_code",
    "phase_version",
    "task_execution_updated_at_us",
    "input_uri",
    "closure",
    "change",
)
_UPDATE_TASK = (
    update(tables.task_executions)
    .where(_TASKS.id == bindparam("row_id"))
    .values({name: bindparam(name) for name in _TASK_CHANGES})
)
_INSERT_TASK = insert(tables.task_executions)


def save_execution(
    connection: Connection, row_id: int, closure: execution_pb2.ExecutionClosure, numbers: ChangeNumbers
) -> None:
    """Write an execution's closure, with the columns that follow from it, and the last number given out."""
    change = numbers.next()
    aborted = closure.WhichOneof("output_result") == "abort_metadata"
    connection.execute(
        _UPDATE_EXECUTION,
        {
            "row_id": row_id,
            **course_columns(closure, ExecutionPhase(closure.phase).name),
            "execution_updated_at_us": tables.time_us(closure.updated_at),
            "abort_cause": closure.abort_metadata.cause if aborted else None,
            "closure": closure.SerializeToString(),
            "change": change,
            "last_change": change,
        },
    )


def save_last_change(connection: Connection, row_id: int, numbers: ChangeNumbers) -> None:
    """Write the last number given out, when nothing else of the execution's own row has changed."""
    connection.execute(_UPDATE_LAST_CHANGE, {"row_id": row_id, "last_change": numbers.last})


def save_nodes(
    connection: Connection, id: ExecutionId, nodes: Mapping[str, NodeRecord], numbers: ChangeNumbers
) -> None:
    """Write the nodes that changed. Parents come before their children, as their first events do."""
    key = execution_values(id)
    updates: list[dict[str, Any]] = []
    inserts: list[dict[str, Any]] = []
    for node_id, record in nodes.items():
        if not record.is_changed:
            continue
        columns = _node_columns(record) | {"change": numbers.next()}
        if record.row_id is not None:
            updates.append(columns | {"row_id": record.row_id})
            continue
        created_at_us = tables.time_us(record.closure.created_at)
        parent = {"parent_id": _parent_row_id(connection, id, nodes, inserts, record.parent_node_id)}
        inserts.append(key | parent | columns | {"node_id": node_id, "node_execution_created_at_us": created_at_us})
    if inserts:
        connection.execute(_INSERT_NODE, inserts)
    if updates:
        connection.execute(_UPDATE_NODE, updates)
    for node_id, record in nodes.items():
        if record.generated is not None:
            of_node = (*in_execution(tables.node_executions, id), _NODES.node_id == node_id)
            generated = record.generated.SerializeToString()
            connection.execute(update(tables.node_executions).where(*of_node).values(dynamic_workflow=generated))


def _parent_row_id(
    connection: Connection,
    id: ExecutionId,
    nodes: Mapping[str, NodeRecord],
    inserts: list[dict[str, Any]],
    parent_node_id: str,
) -> int | None:
    """The row of a parent; one that is new itself is inserted now."""
    if not parent_node_id:
        return None
    parent = nodes[parent_node_id]
    if parent.row_id is None:
        connection.execute(_INSERT_NODE, list(inserts))
        inserts.clear()
        parent.row_id = load_nodes(connection, id, [parent_node_id])[parent_node_id].row_id
    return parent.row_id


def save_tasks(
    connection: Connection, id: ExecutionId, tasks: Mapping[TaskKey, TaskRecord], numbers: ChangeNumbers
) -> None:
    """Write the attempts that changed."""
    updates: list[dict[str, Any]] = []
    inserts: list[dict[str, Any]] = []
    for key, record in tasks.items():
        if not record.is_changed:
            continue
        columns = _task_columns(record) | {"change": numbers.next()}
        if record.row_id is not None:
            updates.append(columns | {"row_id": record.row_id})
            continue
        inserts.append(
            execution_values(id)
            | columns
            | {
                "project": key.task.project,
                "domain": key.task.domain,
                "name": key.task.name,
                "version": key.task.version,
                "node_id": key.node_id,
                "retry_attempt": key.attempt,
                "task_execution_created_at_us": tables.time_us(record.closure.created_at),
            }
        )
    if inserts:
        connection.execute(_INSERT_TASK, inserts)
    if updates:
        connection.execute(_UPDATE_TASK, updates)
    _save_resources(connection, id, tasks)


def _save_resources(connection: Connection, id: ExecutionId, tasks: Mapping[TaskKey, TaskRecord]) -> None:
    telling = {key: record for key, record in tasks.items() if record.resources.changed}
    unknown = {key.node_id for key, record in telling.items() if record.row_id is None}
    inserted = load_tasks(connection, id, unknown) if unknown else {}
    by_row: dict[int, Resources] = {}
    for key, record in telling.items():
        row_id = record.row_id if record.row_id is not None else inserted[key].row_id
        if row_id is not None:
            by_row[row_id] = record.resources
    external_resources.save(connection, by_row)


def _node_columns(record: NodeRecord) -> dict[str, Any]:
    closure = record.closure
    is_task = closure.WhichOneof("target_metadata") == "task_node_metadata"
    status = catalog_pb2.CatalogCacheStatus.Name(closure.task_node_metadata.cache_status) if is_task else None
    return {
        **course_columns(closure, NodePhase(closure.phase).name),
        "node_execution_updated_at_us": tables.time_us(closure.updated_at),
        "input_uri": record.input_uri,
        "cache_status": status,
        "metadata": record.metadata.SerializeToString(),
        "closure": closure.SerializeToString(),
    }


def _task_columns(record: TaskRecord) -> dict[str, Any]:
    return {
        **course_columns(record.closure, TaskPhase(record.closure.phase).name),
        "phase_version": record.phase_version,
        "task_execution_updated_at_us": tables.time_us(record.closure.updated_at),
        "input_uri": record.input_uri,
        "closure": record.closure.SerializeToString(),
    }
