"""Task executions, which are the attempts of task nodes: read and list."""

from typing import Any

from sailplane_core import validation
from sailplane_core.errors import NotFound
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import EntityId, ExecutionId, ResourceType
from sailplane_protos.admin import task_execution_pb2
from sailplane_protos.core import identifier_pb2
from sqlalchemy import ColumnElement, Connection, Table, select

from . import external_resources, tables
from .execution_rows import EXECUTION_FIELDS, NODE_FIELDS, execution_key, in_execution, timed_fields
from .listing import Join, Listing, fields_of, list_page
from .paging import page_request
from .ports import AdminPorts

TaskExecution = task_execution_pb2.TaskExecution

_TASKS = tables.task_executions.c


def _task_key(table: Table) -> list[ColumnElement[str]]:
    return [table.c.project, table.c.domain, table.c.name, table.c.version]


def _node_key(table: Table) -> list[ColumnElement[str]]:
    return [*execution_key(table), table.c.node_id]


_LISTING = Listing(
    Entity.TASK_EXECUTION,
    tables.task_executions,
    fields={
        Entity.TASK_EXECUTION: timed_fields(Entity.TASK_EXECUTION, tables.task_executions),
        Entity.TASK: fields_of(Entity.TASK, tables.tasks),
        Entity.EXECUTION: EXECUTION_FIELDS,
        Entity.NODE_EXECUTION: NODE_FIELDS,
    },
    joins={
        Entity.TASK: Join(_task_key(tables.task_executions), _task_key(tables.tasks)),
        Entity.EXECUTION: Join(execution_key(tables.task_executions), execution_key(tables.executions)),
        Entity.NODE_EXECUTION: Join(_node_key(tables.task_executions), _node_key(tables.node_executions)),
    },
)


def _is(id: identifier_pb2.TaskExecutionIdentifier) -> list[ColumnElement[bool]]:
    return [
        *in_execution(tables.task_executions, ExecutionId.of(id.node_execution_id.execution_id)),
        _TASKS.node_id == id.node_execution_id.node_id,
        _TASKS.retry_attempt == id.retry_attempt,
        _TASKS.project == id.task_id.project,
        _TASKS.domain == id.task_id.domain,
        _TASKS.name == id.task_id.name,
        _TASKS.version == id.task_id.version,
    ]


def find_row_id(connection: Connection, id: identifier_pb2.TaskExecutionIdentifier) -> int | None:
    """The attempt's row; None if it is not recorded."""
    return connection.execute(select(_TASKS.id).where(*_is(id))).scalar_one_or_none()


async def load(ports: AdminPorts, id: identifier_pb2.TaskExecutionIdentifier) -> TaskExecution:
    """One attempt, without its external resources. Raises `NotFound`."""
    validation.check_task_execution_id(id)
    row = await ports.store.read(lambda connection: _find(connection, id))
    return message(id.node_execution_id, row)


def _find(connection: Connection, id: identifier_pb2.TaskExecutionIdentifier) -> Any:
    row = connection.execute(select(tables.task_executions).where(*_is(id))).one_or_none()
    if row is None:
        node = id.node_execution_id
        execution = ExecutionId.of(node.execution_id)
        raise NotFound("task execution", f"{execution}/{node.node_id}/{id.retry_attempt}")
    return row


async def find_attempt(ports: AdminPorts, node: identifier_pb2.NodeExecutionIdentifier, attempt: int) -> TaskExecution:
    """The attempt of a node, whatever its task, without its external resources. Raises `NotFound`."""
    execution = ExecutionId.of(node.execution_id)
    query = select(tables.task_executions).where(
        *in_execution(tables.task_executions, execution),
        _TASKS.node_id == node.node_id,
        _TASKS.retry_attempt == attempt,
    )
    row = await ports.store.read(lambda connection: connection.execute(query).first())
    if row is None:
        raise NotFound("task execution", f"{execution}/{node.node_id}/{attempt}")
    return message(node, row)


async def get(ports: AdminPorts, request: task_execution_pb2.TaskExecutionGetRequest) -> TaskExecution:
    """One attempt, with as many of its external resources as a reply shows (`external_resources.show`)."""
    validation.check_task_execution_id(request.id)

    def query(connection: Connection) -> TaskExecution:
        row = _find(connection, request.id)
        attempt = message(request.id.node_execution_id, row)
        external_resources.show(connection, row.id, attempt.closure, _limit(ports))
        return attempt

    return await ports.store.read(query)


async def list_attempts(
    ports: AdminPorts, request: task_execution_pb2.TaskExecutionListRequest
) -> task_execution_pb2.TaskExecutionList:
    """The attempts of a node's task, with their whole errors.

    Of their external resources each shows an equal share of what a reply may; `get` shows more of one attempt.
    """
    node = request.node_execution_id
    validation.check_node_execution_id(node)
    scope = [
        *in_execution(tables.task_executions, ExecutionId.of(node.execution_id)),
        _TASKS.node_id == node.node_id,
    ]

    asked = await page_request(ports, "ListTaskExecutions", request)

    def query(connection: Connection) -> task_execution_pb2.TaskExecutionList:
        page = list_page(connection, _LISTING, list(_TASKS), scope, asked, filters=request.filters)
        attempts = [message(node, row) for row in page.rows]
        limit = _limit(ports).share(len(attempts))
        for row, attempt in zip(page.rows, attempts, strict=True):
            external_resources.show(connection, row.id, attempt.closure, limit)
        return task_execution_pb2.TaskExecutionList(task_executions=attempts, token=page.next_token)

    return await ports.store.read(query)


def _limit(ports: AdminPorts) -> external_resources.Limit:
    settings = ports.settings
    return external_resources.Limit(settings.external_resources_max, settings.external_resources_bytes_max)


def message(node: identifier_pb2.NodeExecutionIdentifier, row: Any) -> TaskExecution:
    """A row as it is answered, without its external resources."""
    task = EntityId(ResourceType.TASK, row.project, row.domain, row.name, row.version)
    return TaskExecution(
        id=identifier_pb2.TaskExecutionIdentifier(
            task_id=task.to_message(), node_execution_id=node, retry_attempt=row.retry_attempt
        ),
        input_uri=row.input_uri,
        closure=task_execution_pb2.TaskExecutionClosure.FromString(row.closure),
    )
