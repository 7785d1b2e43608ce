"""Dynamic tasks: a task that leaves a graph instead of outputs goes on as the node that this graph lies in."""

from dataclasses import replace

from ..phases import NodePhase
from . import boundary, lifecycle, report
from .commands import BuildGraph
from .observations import GraphBuilt
from .state import NodeState
from .step import Step


def build(step: Step, node: NodeState) -> None:
    """The task has ended and left a graph: have it compiled."""
    step.do(BuildGraph(node.id, node.attempt))


def take_over(step: Step, node: NodeState) -> None:
    """The execution that this one recovers had its graph already: go on with the same, whose nodes are then known."""
    build(step, lifecycle.run(step, node))


def unfold(step: Step, node: NodeState, seen: GraphBuilt) -> None:
    """The graph is there: enter it. Its nodes count as running in parallel, this one no longer does."""
    unfolded = replace(node, graph_uri=seen.graph_uri, holds_slot=False)
    unfolded = step.move(unfolded, NodePhase.DYNAMIC_RUNNING)
    report.node(step, unfolded, NodePhase.DYNAMIC_RUNNING, job_spec_uri=seen.job_spec_uri)
    boundary.open_scope(step, unfolded.id, unfolded.inputs_uri)
