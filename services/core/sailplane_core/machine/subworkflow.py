"""Sub-workflow nodes: a graph of their own inside the same execution."""

from ..failures import Failure
from ..phases import NodePhase
from . import boundary, lifecycle
from .commands import BindInputs
from .observations import BindingFailed, InputsBound, NodeObservation
from .state import NodeState
from .step import Step


def ready(step: Step, node: NodeState) -> None:
    """Everything upstream is there: write the inputs that the children will read."""
    step.do(BindInputs(node.id, node.attempt))


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """The inputs are written, and the scope opens; or they cannot be."""
    match seen:
        case InputsBound() if node.phase is NodePhase.QUEUED:
            running = lifecycle.run(step, node)
            boundary.open_scope(step, running.id, running.inputs_uri)
        case BindingFailed(failure=failure) if node.phase is NodePhase.QUEUED:
            lifecycle.fail(step, node, failure)
        case _:
            pass


def abort(step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
    """The children are ended one by one by whoever ends the node; nothing else is left behind."""
    lifecycle.fail(step, node, failure, phase)


def outputs(step: Step, node: NodeState) -> str:
    """Its graph's."""
    return boundary.collected(step, node)


def graph_succeeded(step: Step, node: NodeState, outputs_uri: str) -> None:
    """The graph has its outputs."""
    lifecycle.succeed(step, node, outputs_uri)


def fail(step: Step, node: NodeState, failure: Failure) -> None:
    """The graph failed, and the node with it: its children had their retries already."""
    lifecycle.fail(step, node, failure)
