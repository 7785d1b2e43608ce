"""Start and end nodes: where a scope's inputs come in and its outputs leave."""

from dataclasses import replace

from ..failures import Failure
from ..ids import END_NODE_ID, START_NODE_ID
from ..phases import NodePhase
from . import lifecycle, report
from .commands import BindInputs
from .observations import BindingFailed, InputsBound, NodeObservation
from .state import NodeKind, NodeState
from .step import Step


def open_scope(step: Step, scope: str, inputs_uri: str) -> None:
    """Enter a graph: its start node has succeeded, with the scope's inputs as its outputs."""
    node = NodeState(step.id_in(scope, START_NODE_ID), START_NODE_ID, scope, NodeKind.START, outputs_uri=inputs_uri)
    started = replace(node, queued_at=step.now, started_at=step.now)
    report.node(step, step.move(started, NodePhase.SUCCEEDED), NodePhase.SUCCEEDED)


def ready(step: Step, node: NodeState) -> None:
    """Every node of the scope has succeeded: collect the scope's outputs."""
    step.do(BindInputs(node.id, node.attempt))


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """The outputs are written, or cannot be."""
    match seen:
        case InputsBound():
            lifecycle.succeed(step, replace(node, started_at=node.queued_at), outputs(step, node))
        case BindingFailed(failure=failure):
            lifecycle.fail(step, node, failure)
        case _:
            pass


def abort(step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
    """Binding outputs leaves nothing behind."""
    lifecycle.fail(step, node, failure, phase)


def outputs(step: Step, node: NodeState) -> str:
    """A start node's are the scope's inputs, an end node's the scope's outputs."""
    if node.kind is NodeKind.START:
        return node.outputs_uri
    return step.layout.outputs_uri(node.id, node.attempt)


def collected(step: Step, container: NodeState) -> str:
    """Where the outputs lie of the graph inside a node: its end node has collected them."""
    return step.node(step.id_in(container.id, END_NODE_ID)).outputs_uri
