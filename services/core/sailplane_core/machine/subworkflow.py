"""Sub-workflow nodes: a scope of their own inside the same execution."""

from dataclasses import replace

from ..failures import Failure
from ..phases import NodePhase
from . import boundary, report
from .commands import BindInputs
from .observations import BindingFailed, InputsBound, NodeObservation
from .state import NodeState
from .step import Step


def ready(step: Step, node: NodeState) -> None:
    """Everything upstream is there: write the inputs that the children will read."""
    queued = step.move(node, NodePhase.QUEUED)
    report.node(step, queued, NodePhase.QUEUED)
    step.commands.append(BindInputs(queued.id, queued.attempt))


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """The inputs are written, and the scope opens; or they cannot be."""
    match seen:
        case InputsBound() if node.phase is NodePhase.QUEUED:
            report.node(step, step.move(node, NodePhase.RUNNING), NodePhase.RUNNING)
            boundary.open_scope(step, node.id, step.layout.inputs_uri(node.id))
        case BindingFailed(failure=failure):
            fail(step, node, failure)
        case _:
            pass


def succeed(step: Step, node: NodeState, outputs_uri: str) -> None:
    """The scope has its outputs."""
    done = step.move(replace(node, outputs_uri=outputs_uri), NodePhase.SUCCEEDED)
    report.node(step, done, NodePhase.SUCCEEDED)


def fail(step: Step, node: NodeState, failure: Failure) -> None:
    """The scope failed, and the node with it: its children had their retries already."""
    report.node(step, step.move(replace(node, failure=failure), NodePhase.FAILED), NodePhase.FAILED)


def abort(step: Step, node: NodeState, failure: Failure) -> None:
    """The children are ended one by one by whoever ends the node; nothing else is left behind."""
    report.node(step, step.move(replace(node, failure=failure), NodePhase.ABORTED), NodePhase.ABORTED)
