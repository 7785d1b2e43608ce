"""State changes as Flyte's event messages, appended to the step in the order in which they happened."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_protos.core import execution_pb2, identifier_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.propeller import queue_pb2

from ..failures import Failure, FailureKind
from ..ids import ExecutionId, pod_name
from ..phases import ExecutionPhase, NodePhase, TaskPhase
from .state import NodeKind, NodeState
from .step import Step

PRODUCER_ID = "propeller"
EVENT_VERSION = 2
"""Flyte's number for events whose node ids are unique in the execution and whose children name their parent."""


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


def node(step: Step, node: NodeState, phase: NodePhase, *, at: datetime | None = None, deck_uri: str = "") -> None:
    """A node entered a phase, at `at` or now."""
    event = event_pb2.NodeExecutionEvent(
        id=_node_execution_id(step, node),
        producer_id=PRODUCER_ID,
        phase=phase.value,
        occurred_at=timestamp(at or step.now),
        reported_at=timestamp(step.now),
        spec_node_id=node.spec_id,
        event_version=EVENT_VERSION,
        is_parent=node.kind is NodeKind.SUBWORKFLOW,
        deck_uri=deck_uri,
    )
    if node.scope:
        event.parent_node_metadata.node_id = node.scope
        event.retry_group = str(step.node(node.scope).attempt)
    if node.kind is NodeKind.START:
        event.input_uri = node.outputs_uri
    elif node.kind is not NodeKind.END:
        event.node_name = step.spec(node).metadata.name
        event.input_uri = step.layout.inputs_uri(node.id)
    if phase is NodePhase.SUCCEEDED:
        event.output_uri = node.outputs_uri
    if node.failure is not None and phase in (NodePhase.FAILED, NodePhase.ABORTED, NodePhase.TIMED_OUT):
        event.error.CopyFrom(execution_error(node.failure))
    step.events.append(queue_pb2.Event(node=event))


def task(
    step: Step, node: NodeState, phase: TaskPhase, *, at: datetime | None = None, failure: Failure | None = None
) -> None:
    """The node's present attempt entered a phase, at `at` or now."""
    template = step.plan.task(step.spec(node))
    event = event_pb2.TaskExecutionEvent(
        task_id=template.id,
        parent_node_execution_id=_node_execution_id(step, node),
        retry_attempt=node.attempt,
        phase=phase.value,
        phase_version=node.task_phase_version,
        producer_id=PRODUCER_ID,
        occurred_at=timestamp(at or step.now),
        reported_at=timestamp(step.now),
        input_uri=step.layout.inputs_uri(node.id),
        task_type=template.type,
        event_version=EVENT_VERSION,
    )
    event.metadata.generated_name = pod_name(step.start.id, node.id, node.attempt)
    event.metadata.plugin_identifier = "container"
    if node.reason:
        event.reasons.add(reason=node.reason, occurred_at=timestamp(at or step.now))
    if phase is TaskPhase.SUCCEEDED:
        event.output_uri = step.layout.outputs_uri(node.id, node.attempt)
    if failure is not None:
        event.error.CopyFrom(execution_error(failure))
    step.events.append(queue_pb2.Event(task=event))
