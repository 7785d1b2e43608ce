"""State changes as Flyte's event messages, appended to the step in the order in which they happened."""

from dataclasses import replace
from datetime import datetime
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_protos.core import catalog_pb2, execution_pb2, identifier_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.propeller import queue_pb2

from ..failures import Failure, FailureKind
from ..ids import EntityId, ExecutionId, ResourceType, pod_name
from ..log_links import links
from ..phases import NODE_DONE, NODE_TERMINAL, ExecutionPhase, NodePhase, TaskPhase
from . import retries
from .state import NodeKind, NodeState
from .step import Step

PRODUCER_ID = "propeller"
EVENT_VERSION = 2
"""Flyte's number for events whose node ids are unique in the execution and whose children name their parent."""
ARRAY_TASK_TYPE = "container_array"
"""What Flyte calls the task execution of an array, whatever its items run."""
ITEM_ERROR_CHARS_MAX = 1000
"""Of an item's error message; the array's own error has the first ones whole."""

_N, _T = NodePhase, TaskPhase
_AS_TASK_PHASE = {
    _N.QUEUED: _T.QUEUED,
    _N.RUNNING: _T.RUNNING,
    _N.DYNAMIC_RUNNING: _T.RUNNING,
    _N.SUCCEEDED: _T.SUCCEEDED,
    _N.RECOVERED: _T.SUCCEEDED,
    _N.FAILED: _T.FAILED,
    _N.TIMED_OUT: _T.FAILED,
    _N.ABORTED: _T.ABORTED,
}
"""An item's phase as the phase of its part of the array's task execution."""


def timestamp(at: datetime) -> Timestamp:
    """A time as the wire has it."""
    message = Timestamp()
    message.FromDatetime(at)
    return message


def execution_error(failure: Failure) -> execution_pb2.ExecutionError:
    """A failure as the wire has it."""
    kind = (
        execution_pb2.ExecutionError.USER if failure.kind is FailureKind.USER else execution_pb2.ExecutionError.SYSTEM
    )
    error = execution_pb2.ExecutionError(code=failure.code, message=failure.message, kind=kind, worker=failure.worker)
    if failure.at_s is not None:
        error.timestamp.FromNanoseconds(int(failure.at_s * 1e9))
    return error


def execution_event(
    id: ExecutionId, phase: ExecutionPhase, at: datetime, *, output_uri: str = "", failure: Failure | None = None
) -> queue_pb2.Event:
    """That an execution entered a phase."""
    event = event_pb2.WorkflowExecutionEvent(
        execution_id=id.to_message(), producer_id=PRODUCER_ID, phase=phase.value, occurred_at=timestamp(at)
    )
    if output_uri:
        event.output_uri = output_uri
    if failure is not None:
        event.error.CopyFrom(execution_error(failure))
    return queue_pb2.Event(workflow=event)


def execution(step: Step, phase: ExecutionPhase, *, output_uri: str = "", failure: Failure | None = None) -> None:
    """The execution entered a phase."""
    step.events.append(execution_event(step.start.id, phase, step.now, output_uri=output_uri, failure=failure))


def _node_execution_id(step: Step, node: NodeState) -> identifier_pb2.NodeExecutionIdentifier:
    return identifier_pb2.NodeExecutionIdentifier(node_id=node.id, execution_id=step.start.id.to_message())


def is_told(node: NodeState) -> bool:
    """Whether admin knows it as a node: of an array's items only those in which other nodes lie."""
    return not node.is_item or node.kind is NodeKind.SUBWORKFLOW


def node(
    step: Step,
    node: NodeState,
    phase: NodePhase,
    *,
    at: datetime | None = None,
    catalog: bytes = b"",
    job_spec_uri: str = "",
) -> None:
    """A node entered a phase, at `at` or now. An array's items are told as parts of its task execution instead."""
    if node.is_item:
        _item(step, node, _AS_TASK_PHASE[phase], failure=node.failure)
    if not is_told(node):
        return
    event = event_pb2.NodeExecutionEvent(
        id=_node_execution_id(step, node),
        producer_id=PRODUCER_ID,
        phase=phase.value,
        occurred_at=timestamp(at or step.now),
        reported_at=timestamp(step.now),
        spec_node_id=node.spec_id,
        event_version=EVENT_VERSION,
        is_parent=node.kind in (NodeKind.SUBWORKFLOW, NodeKind.BRANCH) or bool(node.graph_uri),
        is_dynamic=bool(node.graph_uri),
        is_array=node.kind is NodeKind.ARRAY,
        deck_uri=node.deck_uri if phase in NODE_TERMINAL else "",
    )
    if node.scope:
        event.parent_node_metadata.node_id = node.scope
        event.retry_group = str(step.node(node.scope).attempt)
    if node.kind is NodeKind.START:
        event.input_uri = node.outputs_uri
    elif node.kind is not NodeKind.END:
        event.node_name = step.spec(node).metadata.name
        event.input_uri = node.inputs_uri
    if phase in NODE_DONE:
        event.output_uri = node.outputs_uri
    if node.failure is not None and phase in (NodePhase.FAILED, NodePhase.ABORTED, NodePhase.TIMED_OUT):
        event.error.CopyFrom(execution_error(node.failure))
    _target_metadata(step, node, event, catalog, job_spec_uri)
    step.events.append(queue_pb2.Event(node=event))


def parked_node_event(id: ExecutionId, node: NodeState, at: datetime) -> queue_pb2.Event:
    """That a node was aborted whose graph cannot be asked: no more than its row says."""
    event = event_pb2.NodeExecutionEvent(
        id=identifier_pb2.NodeExecutionIdentifier(node_id=node.id, execution_id=id.to_message()),
        producer_id=PRODUCER_ID,
        phase=NodePhase.ABORTED.value,
        occurred_at=timestamp(at),
        reported_at=timestamp(at),
        spec_node_id=node.spec_id,
        event_version=EVENT_VERSION,
    )
    if node.scope:
        event.parent_node_metadata.node_id = node.scope
    if node.failure is not None:
        event.error.CopyFrom(execution_error(node.failure))
    return queue_pb2.Event(node=event)


def _target_metadata(
    step: Step, node: NodeState, event: event_pb2.NodeExecutionEvent, catalog: bytes, job_spec_uri: str
) -> None:
    """What is told of some kinds of nodes only."""
    if node.child_name:
        if node.started_at is None and event.phase != NodePhase.RECOVERED:
            return  # the child may not exist, and clients that follow the link would fail
        event.workflow_node_metadata.execution_id.CopyFrom(_child_id(step, node))
    elif node.kind is NodeKind.TASK and event.phase != NodePhase.QUEUED:
        told = event.task_node_metadata
        told.cache_status = cast("catalog_pb2.CatalogCacheStatus.ValueType", node.cache_status)
        if catalog:
            told.catalog_key.ParseFromString(catalog)
        if node.is_reserved:
            told.reservation_status = catalog_pb2.CatalogReservation.RESERVATION_ACQUIRED
        told.checkpoint_uri = step.layout.checkpoint_uri(node.id, node.attempt)
        if job_spec_uri:
            generated = step.plan.generated_by(node.id)
            told.dynamic_workflow.id.CopyFrom(generated.message.primary.template.id)
            told.dynamic_workflow.compiled_workflow.CopyFrom(generated.message)
            told.dynamic_workflow.dynamic_job_spec_uri = job_spec_uri


def _child_id(step: Step, node: NodeState) -> identifier_pb2.WorkflowExecutionIdentifier:
    return ExecutionId(step.start.id.project, step.start.id.domain, node.child_name).to_message()


def task(
    step: Step, node: NodeState, phase: TaskPhase, *, at: datetime | None = None, failure: Failure | None = None
) -> None:
    """The node's present attempt entered a phase, at `at` or now."""
    if node.is_item:
        if phase is not TaskPhase.SUCCEEDED:  # what is left to do, such as filling the cache, may still be aborted
            _item(step, node, phase, failure=failure)
        return
    template = step.task(node)
    event = event_pb2.TaskExecutionEvent(
        task_id=template.id,
        parent_node_execution_id=_node_execution_id(step, node),
        retry_attempt=node.attempt,
        phase=phase.value,
        phase_version=node.task_phase_version,
        producer_id=PRODUCER_ID,
        occurred_at=timestamp(at or step.now),
        reported_at=timestamp(step.now),
        input_uri=node.inputs_uri,
        task_type=template.type,
        event_version=EVENT_VERSION,
    )
    event.metadata.generated_name = pod_name(step.start.id, node.id, node.attempt)
    event.metadata.plugin_identifier = "container"
    if retries.is_interruptible(node, step.spec(node), step.plan.primary.template, step.policies):
        event.metadata.instance_class = event_pb2.TaskExecutionMetadata.INTERRUPTIBLE
    if phase not in (TaskPhase.QUEUED, TaskPhase.WAITING_FOR_RESOURCES, TaskPhase.INITIALIZING):
        event.logs.extend(_log_links(step, node))
    if node.reason:
        event.reasons.add(reason=node.reason, occurred_at=timestamp(at or step.now))
    if phase is TaskPhase.SUCCEEDED:
        event.output_uri = step.layout.outputs_uri(node.id, node.attempt)
    if failure is not None:
        event.error.CopyFrom(execution_error(failure))
    step.events.append(queue_pb2.Event(task=event))


def _log_links(step: Step, node: NodeState) -> list[execution_pb2.TaskLog]:
    name = pod_name(step.start.id, node.id, node.attempt)
    return links(step.policies.log_links, step.start.id, step.start.namespace, name, node.id)


# Arrays: one task execution, whose external resources are the items' attempts


def array(step: Step, node: NodeState, phase: TaskPhase, *, failure: Failure | None = None) -> None:
    """An array's task execution entered a phase, with what was not yet told of its items."""
    event = event_pb2.TaskExecutionEvent(
        task_id=_array_task_id(step, node),
        parent_node_execution_id=_node_execution_id(step, node),
        phase=phase.value,
        phase_version=node.task_phase_version,
        producer_id=PRODUCER_ID,
        occurred_at=timestamp(step.now),
        reported_at=timestamp(step.now),
        input_uri=node.inputs_uri,
        task_type=ARRAY_TASK_TYPE,
        event_version=EVENT_VERSION,
    )
    event.metadata.plugin_identifier = ARRAY_TASK_TYPE
    event.metadata.external_resources.extend(step.item_reports.pop(node.id, {}).values())
    if phase is TaskPhase.SUCCEEDED:
        event.output_uri = step.layout.outputs_uri(node.id, node.attempt)
    if failure is not None:
        event.error.CopyFrom(execution_error(failure))
    step.events.append(queue_pb2.Event(task=event))


def flush_items(step: Step) -> None:
    """Tell what happened to items of arrays that go on, in one event for each array."""
    for array_id in list(step.item_reports):
        node = step.node(array_id)
        if node.is_terminal:
            del step.item_reports[array_id]
            continue
        told = replace(node, task_phase_version=node.task_phase_version + 1)
        step.put(told)
        array(step, told, TaskPhase.RUNNING)


def _item(step: Step, node: NodeState, phase: TaskPhase, *, failure: Failure | None) -> None:
    """What is to be told of an item's present attempt; what is told later in the same step stands instead of it."""
    resource = event_pb2.ExternalResourceInfo(
        external_id=node.child_name or pod_name(step.start.id, node.id, node.attempt),
        index=node.item,
        retry_attempt=node.attempt,
        phase=phase.value,
        cache_status=cast("catalog_pb2.CatalogCacheStatus.ValueType", node.cache_status),
    )
    if node.child_name:
        resource.workflow_node_metadata.execution_id.CopyFrom(_child_id(step, node))
    if node.kind is NodeKind.TASK and phase is not TaskPhase.QUEUED:
        resource.logs.extend(_log_links(step, node))
    if failure is not None:
        error = {"code": failure.code, "message": failure.message[:ITEM_ERROR_CHARS_MAX]}
        resource.custom_info.update({"error": error})
    step.item_reports.setdefault(node.scope, {})[node.item, node.attempt] = resource


def _array_task_id(step: Step, node: NodeState) -> identifier_pb2.Identifier:
    """The task that the items run; of other arrays, a name that says which node it is, as in Flyte."""
    inner = step.spec(node).array_node.node
    if inner.HasField("task_node"):
        return inner.task_node.reference_id
    id = step.start.id
    return EntityId(ResourceType.TASK, id.project, id.domain, node.id, "v1").to_message()
