"""What admin makes of an execution's events: every one must be admitted, and the record must agree with the engine.

The rulings and closures are the real ones (`sailplane_core.admission`, `sailplane_core.closures`); only the tables are
missing.
"""

from collections.abc import Iterable
from datetime import UTC

from sailplane_core.admission import Verdict, judge_node, judge_task, judge_workflow
from sailplane_core.closures import (
    apply_node_event,
    apply_task_event,
    apply_workflow_event,
    merged_resource,
    resource_key,
    task_phase,
)
from sailplane_core.ids import EntityId
from sailplane_core.machine import ExecutionState, NodeKind, NodeState
from sailplane_core.phases import (
    EXECUTION_TERMINAL,
    NODE_DONE,
    NODE_TERMINAL,
    TASK_TERMINAL,
    ExecutionPhase,
    NodePhase,
    TaskPhase,
)
from sailplane_protos.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.propeller import queue_pb2

TaskKey = tuple[str, str, int]
"""Task id, node id, attempt."""


class Record:
    """One execution as recorded."""

    def __init__(self) -> None:
        self.closure = execution_pb2.ExecutionClosure(phase=ExecutionPhase.QUEUED.value)
        self.nodes: dict[str, node_execution_pb2.NodeExecutionClosure] = {}
        self.parents: dict[str, str] = {}
        self.tasks: dict[TaskKey, task_execution_pb2.TaskExecutionClosure] = {}
        self.versions: dict[TaskKey, int] = {}
        self.resources: dict[TaskKey, dict[tuple[int, int], event_pb2.ExternalResourceInfo]] = {}

    def tell(self, events: Iterable[queue_pb2.Event]) -> None:
        """Record events in order."""
        for event in events:
            match event.WhichOneof("event"):
                case "workflow":
                    self._workflow(event.workflow)
                case "node":
                    self._node(event.node)
                case _:
                    self._task(event.task)

    def check(self, state: ExecutionState) -> None:
        """The record says what the engine's rows say, and contains nothing that cannot be."""
        recorded = ExecutionPhase(self.closure.phase)
        if state.header.phase not in (ExecutionPhase.UNDEFINED, ExecutionPhase.ABORTING):
            assert recorded is state.header.phase, f"recorded {recorded.name}, it is {state.header.phase.name}"
        for node in state.nodes.values():
            self._check_node(node)
        for node_id, parent in self.parents.items():
            if NodePhase(self.nodes[parent].phase) in NODE_TERMINAL:
                assert NodePhase(self.nodes[node_id].phase) in NODE_TERMINAL, f"{parent} has ended, {node_id} has not"
        for (_, node_id, attempt), closure in self.tasks.items():
            if NodePhase(self.nodes[node_id].phase) in NODE_TERMINAL:
                assert TaskPhase(closure.phase) in TASK_TERMINAL, f"{node_id} has ended, attempt {attempt} has not"
        if recorded in EXECUTION_TERMINAL:
            for node_id, closure in self.nodes.items():
                assert NodePhase(closure.phase) in NODE_TERMINAL, f"the execution has ended, {node_id} has not"
            self._check_resources()

    def _workflow(self, event: event_pb2.WorkflowExecutionEvent) -> None:
        _admitted(judge_workflow(self.closure.phase, event))
        self.closure = apply_workflow_event(self.closure, event)

    def _node(self, event: event_pb2.NodeExecutionEvent) -> None:
        node_id = event.id.node_id
        assert ExecutionPhase(self.closure.phase) not in EXECUTION_TERMINAL, f"{node_id}: the execution has ended"
        known = self.nodes.get(node_id)
        updated_at = known.updated_at.ToDatetime(UTC) if known is not None else None
        _admitted(judge_node(known.phase if known is not None else None, event, updated_at))
        parent = event.parent_node_metadata.node_id
        if parent:
            assert parent in self.nodes, f"{node_id} lies in {parent}, of which nothing is known"
            self.parents[node_id] = parent
        self.nodes[node_id] = apply_node_event(known or node_execution_pb2.NodeExecutionClosure(), event)

    def _task(self, event: event_pb2.TaskExecutionEvent) -> None:
        node_id = event.parent_node_execution_id.node_id
        key = (str(EntityId.of(event.task_id)), node_id, event.retry_attempt)
        assert node_id in self.nodes, f"an attempt of {node_id}, of which nothing is known"
        assert NodePhase(self.nodes[node_id].phase) not in NODE_TERMINAL, f"an attempt of {node_id}, which has ended"
        known = self.tasks.get(key)
        _admitted(judge_task(known.phase if known is not None else None, self.versions.get(key, 0), event))
        self.versions[key] = event.phase_version
        self.tasks[key] = apply_task_event(known or task_execution_pb2.TaskExecutionClosure(), event)
        resources = self.resources.setdefault(key, {})
        for told in event.metadata.external_resources:
            before = resources.get(resource_key(told))
            if before is not None and TaskPhase(before.phase) in TASK_TERMINAL:
                assert told.phase == before.phase, f"item {told.index} of {node_id} had ended"
            resources[resource_key(told)] = merged_resource(before, told, task_phase(event))

    def _check_node(self, node: NodeState) -> None:
        if node.is_item and node.kind is not NodeKind.SUBWORKFLOW:
            self._check_item(node)
            return
        if node.phase is NodePhase.UNDEFINED:
            return
        recorded = NodePhase(self.nodes[node.id].phase)
        is_retried = node.phase is NodePhase.QUEUED and recorded is NodePhase.RUNNING
        assert recorded is node.phase or is_retried, f"{node.id}: recorded {recorded.name}, it is {node.phase.name}"
        if node.phase in NODE_DONE:
            assert self.nodes[node.id].output_uri == node.outputs_uri, node.id
        if node.failure is not None and node.is_terminal:
            assert self.nodes[node.id].error.code == node.failure.code, node.id

    def _check_item(self, node: NodeState) -> None:
        key = next((key for key in self.tasks if key[1] == node.scope), None)
        assert key is not None, f"{node.scope} has items and no task execution"
        told = self.resources[key].get((node.item, node.attempt))
        assert told is not None or not node.is_terminal, f"{node.id} ended, and nothing was told of it"
        if told is not None and node.is_terminal:
            assert (TaskPhase(told.phase) is TaskPhase.SUCCEEDED) is (node.phase in NODE_DONE), node.id
            assert TaskPhase(told.phase) in TASK_TERMINAL, node.id

    def _check_resources(self) -> None:
        for (_, node_id, _), resources in self.resources.items():
            for told in resources.values():
                assert TaskPhase(told.phase) in TASK_TERMINAL, f"item {told.index} of {node_id} is shown as going on"


def _admitted(verdict: Verdict) -> None:
    assert verdict.accepted, f"{verdict.ruling.name}: {verdict.error}"
