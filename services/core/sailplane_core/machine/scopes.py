"""Scopes: the workflow itself (""), and the inside of each node that contains others, by that node's unique id.

Sub-workflows and tasks that generated a graph contain a whole graph, from start to end node. A branch contains the one
case that was taken, an array its items; neither has edges, and what a case is bound to lies in the scope around it.
"""

from collections.abc import Callable, Iterator

from sailplane_protos.core import tasks_pb2, workflow_pb2

from ..errors import InvariantBroken
from ..ids import EntityId, unique_node_id
from ..plan import Graph, Plan
from .state import NodeKind, NodeState

Lookup = Callable[[str], NodeState]
"""Unique node id -> the row of a node that was reached."""

Path = tuple[str, ...]
"""The way to a node by the ids of templates: the same in every execution of a workflow, whatever was tried again."""


def graph_of(plan: Plan, lookup: Lookup, scope: str) -> Graph:
    """The graph that the nodes of a scope belong to."""
    return inside(plan, lookup, lookup(scope)) if scope else plan.primary


def inside(plan: Plan, lookup: Lookup, node: NodeState) -> Graph:
    """The graph that a node contains."""
    match node.kind:
        case NodeKind.SUBWORKFLOW:
            graph = graph_of(plan, lookup, node.scope)
            return graph.closure.graph(EntityId.of(graph.nodes[node.spec_id].workflow_node.sub_workflow_ref))
        case NodeKind.TASK:
            return plan.generated_by(node.id).primary
        case NodeKind.BRANCH | NodeKind.ARRAY:
            return graph_of(plan, lookup, node.scope).inside(node.spec_id)
        case _:
            raise InvariantBroken(f"node {node.id} of kind {node.kind} contains no others")


def spec_of(plan: Plan, lookup: Lookup, node: NodeState) -> workflow_pb2.Node:
    """The node as written in its workflow."""
    return graph_of(plan, lookup, node.scope).nodes[node.spec_id]


def task_of(plan: Plan, lookup: Lookup, node: NodeState) -> tasks_pb2.TaskTemplate:
    """The template that a task node runs."""
    graph = graph_of(plan, lookup, node.scope)
    return graph.closure.task(graph.nodes[node.spec_id])


def binding_scope(lookup: Lookup, node: NodeState) -> str:
    """The scope whose nodes a node's bindings name: its own, or that around the branches it is a case of."""
    return next((container.id for container in containers(lookup, node) if container.kind is not NodeKind.BRANCH), "")


def id_in(lookup: Lookup, scope: str, spec_id: str) -> str:
    """The unique id of a template's node within a scope."""
    return unique_node_id(scope, lookup(scope).attempt if scope else 0, spec_id)


def item_id(array: NodeState, index: int) -> str:
    """The unique id of an array's item."""
    return unique_node_id(array.id, array.attempt, f"n{index}")


def path_to(lookup: Lookup, node: NodeState) -> Path:
    """The way to a node."""
    steps = [f"[{one.item}]" if one.is_item else one.spec_id for one in outwards(lookup, node)]
    return tuple(reversed(steps))


def outwards(lookup: Lookup, node: NodeState) -> Iterator[NodeState]:
    """The node and its containers."""
    yield node
    yield from containers(lookup, node)


def containers(lookup: Lookup, node: NodeState) -> Iterator[NodeState]:
    """The node that a node lies in, the one that lies in, and so on."""
    while node.scope:
        node = lookup(node.scope)
        yield node
