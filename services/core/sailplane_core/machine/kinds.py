"""Node kind -> the module that answers for it, and how a kind is told from the template."""

from typing import Protocol

from sailplane_protos.core import workflow_pb2

from ..failures import Failure
from ..ids import END_NODE_ID
from . import boundary, subworkflow, task, unsupported
from .observations import NodeObservation
from .state import NodeKind, NodeState
from .step import Step


class Kind(Protocol):
    """The questions that every kind of node answers."""

    def ready(self, step: Step, node: NodeState) -> None:
        """Every upstream node is done: begin. `node` is fresh, still in phase UNDEFINED."""
        ...

    def observe(self, step: Step, node: NodeState, seen: NodeObservation) -> None:
        """Something was seen of the node's present attempt; the node has not ended."""
        ...

    def abort(self, step: Step, node: NodeState, failure: Failure) -> None:
        """End the node now; it has not ended. `failure` says why."""
        ...


KINDS: dict[NodeKind, Kind] = {
    NodeKind.START: boundary,
    NodeKind.END: boundary,
    NodeKind.TASK: task,
    NodeKind.SUBWORKFLOW: subworkflow,
    NodeKind.UNSUPPORTED: unsupported,
}


def kind_of(spec: workflow_pb2.Node) -> NodeKind:
    """What a node of a template is."""
    if spec.id == END_NODE_ID:
        return NodeKind.END
    match spec.WhichOneof("target"):
        case "task_node":
            return NodeKind.TASK
        case "workflow_node" if spec.workflow_node.WhichOneof("reference") == "sub_workflow_ref":
            return NodeKind.SUBWORKFLOW
        case _:
            return NodeKind.UNSUPPORTED
