# pyright: reportDeprecated=false
# Fields that Flyte calls deprecated are the ones that clients read.
"""What events make of executions, nodes and task attempts: the closures that clients read.

Every function takes a closure and gives a new one; admission (`sailplane_core.admission`) comes first, so that an
ended closure never meets another event. Times are the events' own.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2
from google.protobuf.message import Message
from sailplane_protos.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_protos.event import event_pb2

from .failures import CODE_BYTES_MAX, MESSAGE_BYTES_MAX, bounded
from .phases import EXECUTION_TERMINAL, NODE_TERMINAL, TASK_TERMINAL, ExecutionPhase, NodePhase, TaskPhase

REASONS_MAX = 256
"""Of an attempt that gives more reasons, the latest are kept."""
LIST_ERROR_BYTES_MAX = 100
"""Lists show the beginning of error messages."""

ABORTED = "ExecutionAborted"
"""The error code of an execution that somebody aborted."""

M = TypeVar("M", bound=Message)

_WAITING = frozenset({TaskPhase.QUEUED, TaskPhase.INITIALIZING})
_RETRYABLE_FAILED = phases_pb2.TaskExecution.RETRYABLE_FAILED


def apply_workflow_event(
    closure: execution_pb2.ExecutionClosure, event: event_pb2.WorkflowExecutionEvent
) -> execution_pb2.ExecutionClosure:
    """The execution after the event.

    What an abort says stays when the end is reported, unless the execution got to another end first.
    """
    after = _copy(closure)
    after.phase = event.phase
    after.updated_at.CopyFrom(event.occurred_at)
    phase = ExecutionPhase(event.phase)
    if phase is ExecutionPhase.RUNNING and not after.HasField("started_at"):
        after.started_at.CopyFrom(event.occurred_at)
    if phase in EXECUTION_TERMINAL and after.HasField("started_at"):
        after.duration.CopyFrom(_between(after.started_at, event.occurred_at))
    if phase in EXECUTION_TERMINAL - {ExecutionPhase.ABORTED}:
        after.ClearField("abort_metadata")
    match event.WhichOneof("output_result"):
        case "output_uri":
            after.outputs.uri = event.output_uri
        case "output_data":
            after.output_data.CopyFrom(event.output_data)
        case "error" if not after.HasField("abort_metadata"):
            after.error.CopyFrom(event.error)
            shorten_error(after.error, MESSAGE_BYTES_MAX)
        case _:
            pass
    return after


def apply_abort(
    closure: execution_pb2.ExecutionClosure, cause: str, principal: str, now: datetime
) -> execution_pb2.ExecutionClosure:
    """The execution after somebody asked to abort it: ABORTING at once, the engine reports the end."""
    after = _copy(closure)
    after.phase = phases_pb2.WorkflowExecution.ABORTING
    after.updated_at.FromDatetime(now)
    after.abort_metadata.cause = bounded(cause, MESSAGE_BYTES_MAX)
    after.abort_metadata.principal = principal
    return after


def result_of(closure: execution_pb2.ExecutionClosure) -> tuple[str, phases_pb2.ExecutionError | None]:
    """What an ended execution came to: where its outputs are stored, or "", and why it did not succeed, or None.

    Of an aborted one the message is the reason that was given.
    """
    match closure.WhichOneof("output_result"):
        case "outputs":
            return closure.outputs.uri, None
        case "error":
            return "", closure.error
        case "abort_metadata":
            kind = phases_pb2.ExecutionError.USER
            return "", phases_pb2.ExecutionError(code=ABORTED, message=closure.abort_metadata.cause, kind=kind)
        case _:
            return "", None


def apply_node_event(
    closure: node_execution_pb2.NodeExecutionClosure, event: event_pb2.NodeExecutionEvent
) -> node_execution_pb2.NodeExecutionClosure:
    """The node after the event. The first event also creates it: an empty closure is what it is applied to."""
    after = _copy(closure)
    if not after.HasField("created_at"):
        after.created_at.CopyFrom(event.occurred_at)
    after.phase = event.phase
    after.updated_at.CopyFrom(_reported_at(event))
    phase = NodePhase(event.phase)
    if phase in (NodePhase.RUNNING, NodePhase.DYNAMIC_RUNNING) and not after.HasField("started_at"):
        after.started_at.CopyFrom(event.occurred_at)
    if phase in NODE_TERMINAL and after.HasField("started_at"):
        after.duration.CopyFrom(_between(after.started_at, event.occurred_at))
    _set_node_result(after, event, phase)
    if event.deck_uri:
        after.deck_uri = event.deck_uri
    _set_node_target(after, event)
    return after


def apply_node_metadata(
    metadata: node_execution_pb2.NodeExecutionMetaData, event: event_pb2.NodeExecutionEvent
) -> node_execution_pb2.NodeExecutionMetaData:
    """What kind of node it is: a flag stays once an event has raised it, as a dynamic node's does when it unfolds."""
    after = _copy(metadata)
    after.retry_group = event.retry_group or metadata.retry_group
    after.spec_node_id = event.spec_node_id or metadata.spec_node_id
    after.is_parent_node = metadata.is_parent_node or event.is_parent
    after.is_dynamic = metadata.is_dynamic or event.is_dynamic
    after.is_array = metadata.is_array or event.is_array
    after.is_eager = metadata.is_eager or event.is_eager
    return after


def apply_task_event(
    closure: task_execution_pb2.TaskExecutionClosure, event: event_pb2.TaskExecutionEvent
) -> task_execution_pb2.TaskExecutionClosure:
    """The attempt after the event. The first event also creates it: an empty closure is what it is applied to.

    Its external resources are left out, as a map has many and an event is about few: see `merged_resource`.
    """
    after = _copy(closure)
    if not after.HasField("created_at"):
        after.created_at.CopyFrom(event.occurred_at)
    phase = task_phase(event)
    after.phase = phase.value
    after.updated_at.CopyFrom(_reported_at(event))
    if phase is TaskPhase.RUNNING and not after.HasField("started_at"):
        after.started_at.CopyFrom(event.occurred_at)
    if phase in TASK_TERMINAL and after.HasField("started_at"):
        after.duration.CopyFrom(_between(after.started_at, event.occurred_at))
    match event.WhichOneof("output_result"):
        case "output_uri":
            after.output_uri = event.output_uri
        case "output_data":
            after.output_data.CopyFrom(event.output_data)
        case "error":
            after.error.CopyFrom(event.error)
            shorten_error(after.error, MESSAGE_BYTES_MAX)
        case _:
            pass
    after.task_type = event.task_type or after.task_type
    after.event_version = max(after.event_version, event.event_version)
    _replace_logs(after, _merged_logs(after.logs, event.logs, phase))
    _add_reasons(after, event)
    if event.HasField("custom_info"):
        after.custom_info.CopyFrom(_patched(after.custom_info, event.custom_info))
    if event.HasField("metadata"):
        after.metadata.CopyFrom(_merged_metadata(after.metadata, event.metadata))
    if event.HasField("log_context"):
        after.log_context.CopyFrom(event.log_context)
    return after


def end_node(
    closure: node_execution_pb2.NodeExecutionClosure, execution: execution_pb2.ExecutionClosure
) -> node_execution_pb2.NodeExecutionClosure:
    """A node of which nothing more will be told, after its execution has failed or was aborted."""
    event = event_pb2.NodeExecutionEvent(phase=NodePhase.ABORTED.value, occurred_at=execution.updated_at)
    if (error := result_of(execution)[1]) is not None:
        event.error.CopyFrom(error)
    return apply_node_event(closure, event)


def end_task(
    closure: task_execution_pb2.TaskExecutionClosure, execution: execution_pb2.ExecutionClosure
) -> task_execution_pb2.TaskExecutionClosure:
    """The same for an attempt."""
    event = event_pb2.TaskExecutionEvent(phase=TaskPhase.ABORTED.value, occurred_at=execution.updated_at)
    if (error := result_of(execution)[1]) is not None:
        event.error.CopyFrom(error)
    return apply_task_event(closure, event)


def task_phase(event: event_pb2.TaskExecutionEvent) -> TaskPhase:
    """The phase that the event reports; a retryable failure is a failure of this attempt."""
    return TaskPhase.FAILED if event.phase == _RETRYABLE_FAILED else TaskPhase(event.phase)


def shorten_error(error: phases_pb2.ExecutionError, bytes_max: int) -> None:
    """Cut a long message, code or name of a worker, in place."""
    error.message = bounded(error.message, bytes_max)
    error.code = bounded(error.code, CODE_BYTES_MAX)
    error.worker = bounded(error.worker, CODE_BYTES_MAX)


def _copy(message: M) -> M:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _reported_at(event: event_pb2.NodeExecutionEvent | event_pb2.TaskExecutionEvent) -> timestamp_pb2.Timestamp:
    return event.reported_at if event.HasField("reported_at") else event.occurred_at


def _between(start: timestamp_pb2.Timestamp, end: timestamp_pb2.Timestamp) -> duration_pb2.Duration:
    """How long it took; 0 if two clocks disagree about which came first."""
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(max(0, end.ToNanoseconds() - start.ToNanoseconds()))
    return duration


def _set_node_result(
    after: node_execution_pb2.NodeExecutionClosure, event: event_pb2.NodeExecutionEvent, phase: NodePhase
) -> None:
    match event.WhichOneof("output_result"):
        case "output_uri":
            after.output_uri = event.output_uri
        case "output_data":
            after.output_data.CopyFrom(event.output_data)
        case "error":
            after.error.CopyFrom(event.error)
            shorten_error(after.error, MESSAGE_BYTES_MAX)
        case _:
            if phase in (NodePhase.SUCCEEDED, NodePhase.RECOVERED):
                after.ClearField("error")


def _set_node_target(after: node_execution_pb2.NodeExecutionClosure, event: event_pb2.NodeExecutionEvent) -> None:
    match event.WhichOneof("target_metadata"):
        case "workflow_node_metadata":
            after.workflow_node_metadata.executionId.CopyFrom(event.workflow_node_metadata.execution_id)
        case "task_node_metadata":
            told, kept = event.task_node_metadata, after.task_node_metadata
            kept.cache_status = told.cache_status
            if told.HasField("catalog_key"):
                kept.catalog_key.CopyFrom(told.catalog_key)
            kept.checkpoint_uri = told.checkpoint_uri or kept.checkpoint_uri
            if told.dynamic_workflow.dynamic_job_spec_uri:
                after.dynamic_job_spec_uri = told.dynamic_workflow.dynamic_job_spec_uri
        case _:
            pass


def _replace_logs(after: task_execution_pb2.TaskExecutionClosure, logs: Sequence[phases_pb2.TaskLog]) -> None:
    del after.logs[:]
    after.logs.extend(logs)


def _merged_logs(
    known: Iterable[phases_pb2.TaskLog], told: Iterable[phases_pb2.TaskLog], phase: TaskPhase
) -> list[phases_pb2.TaskLog]:
    """One link per URI and, among those with a name, per name; the last told wins. Only links that work now."""
    told = list(told)
    kept = [
        _copy(log)
        for log in known
        if not any(log.uri == new.uri or (log.name and log.name == new.name) for new in told)
    ]
    return [log for log in kept + told if _works(log, phase)]


def _works(log: phases_pb2.TaskLog, phase: TaskPhase) -> bool:
    if phase in _WAITING:
        return log.ShowWhilePending
    return not (log.HideOnceFinished and phase in TASK_TERMINAL)


def _add_reasons(after: task_execution_pb2.TaskExecutionClosure, event: event_pb2.TaskExecutionEvent) -> None:
    told = [(reason.reason, reason.occurred_at) for reason in event.reasons]
    if not told and event.reason and event.reason != after.reason:
        told = [(event.reason, event.occurred_at)]
    for message, occurred_at in told:
        after.reason = bounded(message, MESSAGE_BYTES_MAX)
        after.reasons.add(message=after.reason, occurred_at=occurred_at)
    del after.reasons[: max(0, len(after.reasons) - REASONS_MAX)]


def _patched(known: struct_pb2.Struct, patch: struct_pb2.Struct) -> struct_pb2.Struct:
    """`known` with `patch` laid over it (RFC 7396): null removes, objects are patched in turn, the rest replaces."""
    result = struct_pb2.Struct()
    result.CopyFrom(known)
    for key, value in patch.fields.items():
        kind = value.WhichOneof("kind")
        if kind == "null_value":
            result.fields.pop(key, None)
        elif kind == "struct_value":
            below = result.fields[key].struct_value if key in result.fields else struct_pb2.Struct()
            result.fields[key].struct_value.CopyFrom(_patched(below, value.struct_value))
        else:
            result.fields[key].CopyFrom(value)
    return result


def _merged_metadata(
    known: event_pb2.TaskExecutionMetadata, told: event_pb2.TaskExecutionMetadata
) -> event_pb2.TaskExecutionMetadata:
    """What is told now over what was known, without the external resources."""
    merged = event_pb2.TaskExecutionMetadata()
    merged.CopyFrom(known)
    if told.resource_pool_info:
        del merged.resource_pool_info[:]
    merged.MergeFrom(told)
    del merged.external_resources[:]
    return merged


def resource_key(resource: event_pb2.ExternalResourceInfo) -> tuple[int, int]:
    """Which external resource of its attempt it is: its index, then the attempt of it. Replies show them so sorted."""
    return resource.index, resource.retry_attempt


def merged_resource(
    known: event_pb2.ExternalResourceInfo | None, told: event_pb2.ExternalResourceInfo, phase: TaskPhase
) -> event_pb2.ExternalResourceInfo:
    """An external resource after an event that tells of it: what is told now over what was known, if it was.

    `phase` is the attempt's, for a resource that has none of its own.
    """
    merged = event_pb2.ExternalResourceInfo()
    if known is not None:
        merged.CopyFrom(known)
    logs = _merged_logs(merged.logs, told.logs, TaskPhase(told.phase) if told.phase in set(TaskPhase) else phase)
    custom_info = _patched(merged.custom_info, told.custom_info)
    del merged.logs[:]
    merged.ClearField("custom_info")
    rest = event_pb2.ExternalResourceInfo()
    rest.CopyFrom(told)
    del rest.logs[:]
    rest.ClearField("custom_info")
    merged.MergeFrom(rest)
    merged.logs.extend(logs)
    if custom_info.fields:
        merged.custom_info.CopyFrom(custom_info)
    return merged
