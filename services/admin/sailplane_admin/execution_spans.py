"""Where the time of an execution went: what is recorded of it and of its children, as spans."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sailplane_core.errors import LimitReached, NotFound
from sailplane_core.ids import EntityId, ExecutionId
from sailplane_core.plan import Closure
from sailplane_core.spans import Course, NodeExecution, TaskExecution, execution_span
from sailplane_protos.admin import execution_pb2, node_execution_pb2
from sailplane_protos.core import identifier_pb2
from sqlalchemy import Connection, select

from . import executions, node_executions, tables, task_executions, workflows
from .execution_rows import in_execution
from .ports import AdminPorts

NODES_MAX = 5_000
"""Nodes and attempts of one answer, children included: what its spans take of the 4 MiB that clients accept."""


async def get(
    ports: AdminPorts, request: execution_pb2.WorkflowExecutionGetMetricsRequest
) -> execution_pb2.WorkflowExecutionGetMetricsResponse:
    """The spans of an execution, `depth` levels of them. Raises `LimitReached` when there are too many."""
    course = await _Reading(ports).course(request.id, request.depth)
    return execution_pb2.WorkflowExecutionGetMetricsResponse(span=execution_span(course, request.depth))


class _Reading:
    """One answer's reading, which has a limit."""

    def __init__(self, ports: AdminPorts) -> None:
        self._ports = ports
        self._left = NODES_MAX

    async def course(self, id: Any, depth: int) -> Course:
        """An execution with all of it that `depth` levels show."""
        execution = await executions.get(self._ports, execution_pb2.WorkflowExecutionGetRequest(id=id))
        if not depth:
            return Course(execution)
        workflow = await workflows.load(self._ports, EntityId.of(execution.closure.workflow_id))
        nodes, attempts, generated = await self._ports.store.read(
            lambda connection: self._rows(connection, ExecutionId.of(id), is_top_only=depth == 1)
        )
        return Course(
            execution,
            Closure(workflow.closure.compiled_workflow),
            nodes,
            attempts,
            generated,
            await self._children([one for some in nodes.values() for one in some], depth),
        )

    async def _children(self, nodes: Sequence[NodeExecution], depth: int) -> dict[str, Course]:
        """The executions that nodes have started; at the depth where nodes alone are shown, none."""
        children: dict[str, Course] = {}
        if depth == 1:
            return children
        for node in nodes:
            if node.closure.HasField("workflow_node_metadata"):
                try:
                    child = await self.course(node.closure.workflow_node_metadata.executionId, depth - 2)
                except NotFound:  # it was told of before it was begun, or has been deleted
                    continue
                children[node.id.node_id] = child
        return children

    def _rows(
        self, connection: Connection, id: ExecutionId, *, is_top_only: bool
    ) -> tuple[dict[str, list[NodeExecution]], dict[str, list[TaskExecution]], dict[str, Closure]]:
        table = tables.node_executions.c
        query = select(tables.node_executions).where(*in_execution(tables.node_executions, id))
        if is_top_only:
            query = query.where(table.parent_id.is_(None))
        rows = connection.execute(query.limit(self._left + 1)).all()
        self._count(len(rows))
        names: dict[int | None, str] = {None: "", **{row.id: row.node_id for row in rows}}
        nodes: dict[str, list[NodeExecution]] = defaultdict(list)
        generated: dict[str, Closure] = {}
        for row in rows:
            nodes[names.get(row.parent_id, "")].append(node_executions.message(id.to_message(), row))
            if row.dynamic_workflow is not None:
                told = node_execution_pb2.DynamicWorkflowNodeMetadata.FromString(row.dynamic_workflow)
                generated[row.node_id] = Closure(told.compiled_workflow)
        attempts: dict[str, list[TaskExecution]] = defaultdict(list)
        if not is_top_only:
            of_tasks = select(tables.task_executions).where(*in_execution(tables.task_executions, id))
            found = connection.execute(of_tasks.limit(self._left + 1)).all()
            self._count(len(found))
            for row in found:
                node_id = identifier_pb2.NodeExecutionIdentifier(node_id=row.node_id, execution_id=id.to_message())
                attempts[row.node_id].append(task_executions.message(node_id, row))
        return nodes, attempts, generated

    def _count(self, rows: int) -> None:
        self._left -= rows
        if self._left < 0:
            raise LimitReached(f"the time of at most {NODES_MAX} nodes and attempts is shown; ask for a smaller depth")
