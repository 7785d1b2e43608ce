"""What the rows of executions, nodes and attempts have in common, and how messages become their columns."""

from dataclasses import dataclass
from typing import Any

from sailplane_core.errors import NotFound
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import ExecutionId
from sailplane_protos.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_protos.core import identifier_pb2
from sqlalchemy import ColumnElement, Connection, Table, bindparam, select

from . import tables
from .listing import NO_NUMBER, fields_of

Closure = (
    execution_pb2.ExecutionClosure | node_execution_pb2.NodeExecutionClosure | task_execution_pb2.TaskExecutionClosure
)

EXECUTION_COLUMNS = ("execution_project", "execution_domain", "execution_name")

_EXECUTIONS = tables.executions.c


def is_of_execution(table: Table) -> list[ColumnElement[bool]]:
    """The condition that picks the rows of one execution; its parameters are `execution_values`."""
    return [table.c[name] == bindparam(name) for name in EXECUTION_COLUMNS]


def in_execution(table: Table, id: ExecutionId) -> list[ColumnElement[bool]]:
    """The same, with the values in it."""
    return [
        table.c.execution_project == id.project,
        table.c.execution_domain == id.domain,
        table.c.execution_name == id.name,
    ]


def timed_fields(entity: Entity, table: Table, **kept_elsewhere: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """The fields of an entity that has its times under a name of its own (`execution_created_at`) too."""
    created_at, updated_at = table.c[f"{entity}_created_at_us"], table.c[f"{entity}_updated_at_us"]
    return fields_of(entity, table, created_at=created_at, updated_at=updated_at, **kept_elsewhere)


_PARENTS = tables.executions.alias("parents").c
_PARENT_NODE = (
    select(tables.node_executions.c.id)
    .where(
        _PARENTS.id == _EXECUTIONS.parent_execution_id,
        *(tables.node_executions.c[name] == _PARENTS[name] for name in EXECUTION_COLUMNS),
        tables.node_executions.c.node_id == _EXECUTIONS.parent_node_id,
    )
    .correlate(tables.executions)
    .scalar_subquery()
)
"""The row of the node that started an execution, once that node is recorded."""
EXECUTION_FIELDS = timed_fields(Entity.EXECUTION, tables.executions, parent_node_execution=_PARENT_NODE)
NODE_FIELDS = timed_fields(Entity.NODE_EXECUTION, tables.node_executions, parent_task_execution_id=NO_NUMBER)


def execution_key(table: Table) -> list[ColumnElement[str]]:
    """Project, domain and name of the execution that rows of this table belong to, to join by."""
    return [table.c.execution_project, table.c.execution_domain, table.c.execution_name]


def execution_values(id: ExecutionId) -> dict[str, str]:
    """The columns that identify an execution."""
    return {"execution_project": id.project, "execution_domain": id.domain, "execution_name": id.name}


_FIND = select(
    _EXECUTIONS.id,
    _EXECUTIONS.spec,
    _EXECUTIONS.closure,
    _EXECUTIONS.cluster,
    _EXECUTIONS.parent_execution_id,
    _EXECUTIONS.parent_node_id,
    _EXECUTIONS.plan_name_id,
    _EXECUTIONS.starts_below,
    _EXECUTIONS.last_change,
).where(*is_of_execution(tables.executions))
_LOCK = _FIND.with_for_update()


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """What is stored of an execution: its row's number, the two messages as bytes, where it runs, and for whom.

    `parent_execution_id` is the row of the execution whose node `parent_node_id` has started this one, if one has.
    `plan_name_id` is the name in whose concurrency it counts, if it does, and `starts_below` is set while it waits.
    `last_change` is the number of the last change of it, of its nodes or attempts.
    """

    row_id: int
    spec: bytes
    closure: bytes
    cluster: str
    parent_execution_id: int | None
    parent_node_id: str | None
    plan_name_id: int | None
    starts_below: int | None
    last_change: int


def find_execution(connection: Connection, id: ExecutionId) -> StoredExecution | None:
    """The execution; None if there is none."""
    row = connection.execute(_FIND, execution_values(id)).one_or_none()
    return None if row is None else StoredExecution(*row)


def lock_execution(connection: Connection, id: ExecutionId) -> StoredExecution:
    """The execution, in a transaction that will write to it, to its nodes or attempts: others wait until it is through.

    On a database with several writers two events might else be judged by the same row. Raises `NotFound`.
    """
    row = connection.execute(_LOCK, execution_values(id)).one_or_none()
    if row is None:
        raise NotFound("execution", str(id))
    return StoredExecution(*row)


def execution_of(row: Any) -> execution_pb2.Execution:
    """The message of a row that has the three names, `spec` and `closure`."""
    id = identifier_pb2.WorkflowExecutionIdentifier(
        project=row.execution_project, domain=row.execution_domain, name=row.execution_name
    )
    return execution_pb2.Execution(
        id=id,
        spec=execution_pb2.ExecutionSpec.FromString(row.spec),
        closure=execution_pb2.ExecutionClosure.FromString(row.closure),
    )


def course_columns(closure: Closure, phase: str) -> dict[str, Any]:
    """How far it has come, as columns."""
    error = closure.error if closure.WhichOneof("output_result") == "error" else None
    return {
        "phase": phase,
        "started_at_us": tables.time_us(closure.started_at) if closure.HasField("started_at") else None,
        "duration_us": closure.duration.ToMicroseconds() if closure.HasField("duration") else None,
        "error_kind": None if error is None else phases_pb2.ExecutionError.ErrorKind.Name(error.kind),
        "error_code": None if error is None else error.code[:255],
    }
