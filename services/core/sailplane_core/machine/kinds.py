"""Node kind -> the module that answers for it."""

from typing import Protocol

from ..failures import Failure
from ..phases import NodePhase
from . import array, boundary, branch, gate, launch_plan, subworkflow, task
from .observations import NodeObservation
from .state import NodeKind, NodeState
from .step import Step


class Kind(Protocol):
    """The questions that every kind of node answers."""

    def ready(self, step: Step, node: NodeState) -> None:
        """Every upstream node is done, and there is a place for it: begin. `node` is QUEUED."""
        ...

    def observe(self, step: Step, node: NodeState, seen: NodeObservation) -> None:
        """Something was seen of the node's present attempt; the node has not ended."""
        ...

    def abort(self, step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
        """End the node now in `phase`: ABORTED, FAILED or TIMED_OUT; it has not ended. `failure` says why."""
        ...

    def outputs(self, step: Step, node: NodeState) -> str:
        """Where its outputs lie once it has succeeded; "" for none."""
        ...


class GraphContainer(Protocol):
    """What nodes that a graph lies in answer besides."""

    def graph_succeeded(self, step: Step, node: NodeState, outputs_uri: str) -> None:
        """The graph's end node has collected the outputs, which are the node's own now."""
        ...

    def fail(self, step: Step, node: NodeState, failure: Failure) -> None:
        """A node inside failed, and everything else inside has ended."""
        ...


class Container(Protocol):
    """What nodes that contain others without edges answer besides."""

    def child_ended(self, step: Step, node: NodeState, child: NodeState) -> Failure | None:
        """A node inside ended; the failure, if that makes this node fail."""
        ...

    def fail(self, step: Step, node: NodeState, failure: Failure) -> None:
        """It fails, and everything inside has ended."""
        ...


KINDS: dict[NodeKind, Kind] = {
    NodeKind.START: boundary,
    NodeKind.END: boundary,
    NodeKind.TASK: task,
    NodeKind.SUBWORKFLOW: subworkflow,
    NodeKind.LAUNCH_PLAN: launch_plan,
    NodeKind.BRANCH: branch,
    NodeKind.GATE: gate,
    NodeKind.ARRAY: array,
}
GRAPH_CONTAINERS: dict[NodeKind, GraphContainer] = {NodeKind.SUBWORKFLOW: subworkflow, NodeKind.TASK: task}
CONTAINERS: dict[NodeKind, Container] = {NodeKind.BRANCH: branch, NodeKind.ARRAY: array}
PARALLEL_KINDS = frozenset({NodeKind.TASK, NodeKind.ARRAY, NodeKind.LAUNCH_PLAN})
"""What `max_parallelism` counts. What lies in an array does not count besides the array."""
