"""Start and end nodes: where a scope's inputs come in and its outputs leave."""

from dataclasses import replace

from ..failures import Failure
from ..ids import START_NODE_ID
from ..phases import NodePhase
from . import report
from .commands import BindInputs
from .observations import BindingFailed, InputsBound, NodeObservation
from .state import NodeKind, NodeState
from .step import Step


def open_scope(step: Step, scope: str, inputs_uri: str) -> None:
    """Enter a workflow or sub-workflow: its start node has succeeded, with the scope's inputs as its outputs."""
    node = NodeState(step.id_in(scope, START_NODE_ID), START_NODE_ID, scope, NodeKind.START, outputs_uri=inputs_uri)
    started = replace(node, queued_at=step.now, started_at=step.now)
    report.node(step, step.move(started, NodePhase.SUCCEEDED), NodePhase.SUCCEEDED)


def ready(step: Step, node: NodeState) -> None:
    """Every node of the scope has succeeded: collect the scope's outputs."""
    queued = step.move(node, NodePhase.QUEUED)
    report.node(step, queued, NodePhase.QUEUED)
    step.commands.append(BindInputs(queued.id, queued.attempt))


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """The outputs are written, or cannot be."""
    match seen:
        case InputsBound():
            done = replace(node, started_at=node.queued_at, outputs_uri=step.layout.outputs_uri(node.id, node.attempt))
            report.node(step, step.move(done, NodePhase.SUCCEEDED), NodePhase.SUCCEEDED)
        case BindingFailed(failure=failure):
            failed = step.move(replace(node, failure=failure), NodePhase.FAILED)
            report.node(step, failed, NodePhase.FAILED)
        case _:
            pass


def abort(step: Step, node: NodeState, failure: Failure) -> None:
    """Binding outputs leaves nothing behind."""
    report.node(step, step.move(replace(node, failure=failure), NodePhase.ABORTED), NodePhase.ABORTED)
