"""How long things may take.

    QUEUED     from an attempt's launch until it runs; then the attempt has failed, as the system's fault
    EXECUTION  from an attempt's launch until its end; then the attempt has failed, as the user's fault
    ACTIVE     from the node's first turn until its end, all attempts together: twice the timeout, as Flyte has it,
               and the pauses between attempts; then the node is TIMED_OUT
    WORKFLOW   the whole execution; then it fails

A node's timeout is `NodeMetadata.timeout`; what it does not say comes from the server's settings.
"""

from datetime import timedelta

from google.protobuf import duration_pb2
from sailplane_protos.core import workflow_pb2

from ..durations import timedelta_of
from ..failures import Failure, FailureKind
from . import retries
from .commands import SetTimer, Timer
from .state import NodeKind, NodeState
from .step import Step

ACTIVE_TIMES = 2
"""How many times its timeout a node may take over all its attempts."""


def arm_node(step: Step, node: NodeState) -> None:
    """The node's turn has come. The pauses between its attempts are not counted."""
    spec = step.spec(node)
    timeout = _timeout(step, spec)
    if timeout is not None:
        pauses = timedelta()
        if node.kind is NodeKind.TASK:
            pauses = retries.RetryPolicy.of(spec, step.task(node), step.policies).pauses_max
        _set(step, node, Timer.ACTIVE, ACTIVE_TIMES * timeout + pauses)


def arm_attempt(step: Step, node: NodeState) -> None:
    """An attempt is launched, or a node that knows no attempts begins."""
    spec = step.spec(node)
    timeout = _timeout(step, spec)
    if timeout is not None:
        _set(step, node, Timer.EXECUTION, timeout)
    queued = _given(spec.metadata, "queued_timeout", step.policies.queued_max_s)
    if queued is not None and node.kind is NodeKind.TASK:
        _set(step, node, Timer.QUEUED, queued)


def arm_workflow(step: Step) -> None:
    """The execution starts."""
    limit = _given(step.plan.primary.template.metadata, "timeout", step.policies.workflow_max_s)
    if limit is not None:
        step.do(SetTimer("", 0, Timer.WORKFLOW, step.now + limit))


def attempt_expired(step: Step, node: NodeState) -> Failure:
    """What an attempt fails with that took too long."""
    timeout = _timeout(step, step.spec(node))
    return Failure("TimeoutExpired", f"task execution timeout [{_shown(timeout)}] expired", FailureKind.USER)


def queue_expired(step: Step, node: NodeState) -> Failure:
    """What an attempt fails with that did not begin to run in time."""
    limit = _given(step.spec(node).metadata, "queued_timeout", step.policies.queued_max_s)
    return Failure("QueuedTimeoutExpired", f"it did not run within {_shown(limit)}", FailureKind.SYSTEM)


def node_expired(step: Step, node: NodeState) -> Failure:
    """What a node ends with that took too long over all its attempts."""
    timeout = _timeout(step, step.spec(node))
    limit = None if timeout is None else ACTIVE_TIMES * timeout
    message = f"the node did not end within {_shown(limit)}, twice its timeout, over all its attempts"
    return Failure("Timeout", message, FailureKind.USER, retryable=False)


def workflow_expired(step: Step) -> Failure:
    """What an execution fails with that took too long."""
    limit = _given(step.plan.primary.template.metadata, "timeout", step.policies.workflow_max_s)
    return Failure("Timeout", f"the execution did not end within {_shown(limit)}", FailureKind.USER, retryable=False)


def _set(step: Step, node: NodeState, timer: Timer, after: timedelta) -> None:
    step.do(SetTimer(node.id, node.attempt, timer, step.now + after))


def _timeout(step: Step, spec: workflow_pb2.Node) -> timedelta | None:
    return _given(spec.metadata, "timeout", step.policies.execution_max_s)


def _given(
    metadata: workflow_pb2.NodeMetadata | workflow_pb2.WorkflowMetadata, field: str, default_s: float | None
) -> timedelta | None:
    """The duration in a field; 0 is no limit, as in Flyte, and an unset field leaves it to the server."""
    if not metadata.HasField(field):  # pyright: ignore[reportArgumentType]
        return None if default_s is None else timedelta(seconds=default_s)
    given: duration_pb2.Duration = getattr(metadata, field)
    limit = timedelta_of(given)
    return limit if limit > timedelta() else None


def _shown(limit: timedelta | None) -> str:
    return "no limit" if limit is None else f"{limit.total_seconds():g}s"
