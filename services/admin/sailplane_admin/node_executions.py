"""Node executions: read and list."""

from typing import Any

from sailplane_core import validation
from sailplane_core.errors import NotFound
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import ExecutionId
from sailplane_protos.admin import node_execution_pb2
from sailplane_protos.core import identifier_pb2
from sqlalchemy import ColumnElement, Connection, false, select

from . import tables
from .execution_rows import EXECUTION_FIELDS, NODE_FIELDS, execution_key, in_execution
from .listing import Join, Listing, list_page
from .paging import page_request
from .ports import AdminPorts
from .task_executions import find_row_id

NodeExecution = node_execution_pb2.NodeExecution

_NODES = tables.node_executions.c
_COLUMNS = [_NODES.id, _NODES.node_id, _NODES.input_uri, _NODES.metadata, _NODES.closure]
_LISTING = Listing(
    Entity.NODE_EXECUTION,
    tables.node_executions,
    fields={
        Entity.NODE_EXECUTION: NODE_FIELDS,
        Entity.EXECUTION: EXECUTION_FIELDS,
    },
    joins={Entity.EXECUTION: Join(execution_key(tables.node_executions), execution_key(tables.executions))},
)


async def load(ports: AdminPorts, id: identifier_pb2.NodeExecutionIdentifier) -> NodeExecution:
    """One node. Raises `NotFound`."""
    validation.check_node_execution_id(id)
    execution = ExecutionId.of(id.execution_id)
    query = select(*_COLUMNS).where(*in_execution(tables.node_executions, execution), _NODES.node_id == id.node_id)
    row = await ports.store.read(lambda connection: connection.execute(query).one_or_none())
    if row is None:
        raise NotFound("node execution", f"{execution}/{id.node_id}")
    return message(id.execution_id, row)


async def find_generated(
    ports: AdminPorts, id: identifier_pb2.NodeExecutionIdentifier
) -> node_execution_pb2.DynamicWorkflowNodeMetadata | None:
    """The workflow that a node's task has generated; None if there is none."""
    query = select(_NODES.dynamic_workflow).where(
        *in_execution(tables.node_executions, ExecutionId.of(id.execution_id)), _NODES.node_id == id.node_id
    )
    generated = await ports.store.read(lambda connection: connection.execute(query).scalar_one_or_none())
    return None if generated is None else node_execution_pb2.DynamicWorkflowNodeMetadata.FromString(generated)


async def get_generated(
    ports: AdminPorts, request: node_execution_pb2.GetDynamicNodeWorkflowRequest
) -> node_execution_pb2.DynamicNodeWorkflowResponse:
    """The workflow that a node's task has generated. Raises `NotFound`."""
    validation.check_node_execution_id(request.id)
    generated = await find_generated(ports, request.id)
    if generated is None:
        raise NotFound("dynamic workflow", f"{ExecutionId.of(request.id.execution_id)}/{request.id.node_id}")
    return node_execution_pb2.DynamicNodeWorkflowResponse(compiled_workflow=generated.compiled_workflow)


async def get(ports: AdminPorts, request: node_execution_pb2.NodeExecutionGetRequest) -> NodeExecution:
    """One node."""
    return await load(ports, request.id)


async def list_nodes(
    ports: AdminPorts, request: node_execution_pb2.NodeExecutionListRequest
) -> node_execution_pb2.NodeExecutionList:
    """The nodes at the top of an execution, or those that lie in the node `unique_parent_id`."""
    validation.check_execution_id(request.workflow_execution_id)
    id = ExecutionId.of(request.workflow_execution_id)

    asked = await page_request(ports, "ListNodeExecutions", request)

    def query(connection: Connection) -> node_execution_pb2.NodeExecutionList:
        scope = [*in_execution(tables.node_executions, id), _of_parent(connection, id, request.unique_parent_id)]
        page = list_page(connection, _LISTING, _COLUMNS, scope, asked, filters=request.filters)
        nodes = [message(request.workflow_execution_id, row) for row in page.rows]
        return node_execution_pb2.NodeExecutionList(node_executions=nodes, token=page.next_token)

    return await ports.store.read(query)


def _of_parent(connection: Connection, id: ExecutionId, parent_node_id: str) -> ColumnElement[bool]:
    if not parent_node_id:
        return _NODES.parent_id.is_(None)
    parent = select(_NODES.id).where(*in_execution(tables.node_executions, id), _NODES.node_id == parent_node_id)
    row_id = connection.execute(parent).scalar_one_or_none()
    if row_id is None:
        raise NotFound("node execution", f"{id}/{parent_node_id}")
    return _NODES.parent_id == row_id


async def list_for_task(
    ports: AdminPorts, request: node_execution_pb2.NodeExecutionForTaskListRequest
) -> node_execution_pb2.NodeExecutionList:
    """The nodes that an attempt started in the way of old engines: none, but the attempt must exist."""
    validation.check_task_execution_id(request.task_execution_id)

    asked = await page_request(ports, "ListNodeExecutionsForTask", request)

    def query(connection: Connection) -> None:
        list_page(connection, _LISTING, [_NODES.id], [false()], asked, filters=request.filters)
        if find_row_id(connection, request.task_execution_id) is None:
            raise NotFound("task execution", request.task_execution_id.node_execution_id.node_id)

    await ports.store.read(query)
    return node_execution_pb2.NodeExecutionList()


def id_of(
    execution_id: identifier_pb2.WorkflowExecutionIdentifier, node_id: str
) -> identifier_pb2.NodeExecutionIdentifier:
    """A node of an execution."""
    return identifier_pb2.NodeExecutionIdentifier(node_id=node_id, execution_id=execution_id)


def message(execution_id: identifier_pb2.WorkflowExecutionIdentifier, row: Any) -> NodeExecution:
    """A row as it is answered."""
    return NodeExecution(
        id=id_of(execution_id, row.node_id),
        input_uri=row.input_uri,
        metadata=node_execution_pb2.NodeExecutionMetaData.FromString(row.metadata),
        closure=node_execution_pb2.NodeExecutionClosure.FromString(row.closure),
    )
