"""Launch-plan nodes: an execution of its own, started through admin, whose end decides how the node ends."""

from dataclasses import replace

from ..failures import Failure, FailureKind
from ..ids import child_execution_name
from ..phases import ExecutionPhase, NodePhase
from . import lifecycle
from .commands import LaunchChild, TerminateChild
from .observations import BindingFailed, ChildEnded, ChildRefused, ChildStarted, NodeObservation
from .state import NodeState
from .step import Step


def ready(step: Step, node: NodeState) -> None:
    """Everything upstream is there: start the child."""
    named = replace(node, child_name=child_execution_name(step.start.id, node.id, node.attempt))
    step.put(named)
    step.do(LaunchChild(named.id, named.attempt))


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """The child was started, or cannot be."""
    match seen:
        case ChildStarted() if node.phase is NodePhase.QUEUED:
            lifecycle.run(step, node)
        case ChildRefused(failure=failure) if node.phase is NodePhase.QUEUED:
            lifecycle.fail(step, node, failure)
        case BindingFailed(failure=failure) if node.phase is NodePhase.QUEUED:
            # the launch may have been done once before, and its answer lost
            abort(step, node, failure, NodePhase.FAILED)
        case _:
            pass


def child_ended(step: Step, node: NodeState, seen: ChildEnded) -> None:
    """What the child has come to; its end may be seen before its start."""
    running = lifecycle.run(step, node) if node.phase is NodePhase.QUEUED else node
    if seen.phase is ExecutionPhase.SUCCEEDED:
        done = replace(running, outputs_uri=seen.outputs_uri)
        lifecycle.succeed(step, done, outputs(step, done))
    else:
        lifecycle.fail(step, running, seen.failure or _unexplained(seen.phase))


def abort(step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
    """End it now. The child is on its way out until `ChildEnded` or `ChildGone` says that it is."""
    if node.child_name:
        step.do(TerminateChild(node.id, node.attempt))
    lifecycle.fail(step, replace(node, removing=bool(node.child_name)), failure, phase)


def outputs(step: Step, node: NodeState) -> str:
    """The child's own."""
    return node.outputs_uri


def _unexplained(phase: ExecutionPhase) -> Failure:
    return Failure("ChildFailed", f"the child execution ended as {phase.name}", FailureKind.USER, retryable=False)
