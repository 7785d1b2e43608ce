"""Scopes: the workflow itself (""), and each sub-workflow node's inside, by that node's unique id."""

from collections.abc import Callable

from sailplane_protos.core import workflow_pb2

from ..ids import EntityId, unique_node_id
from ..plan import Graph, Plan
from .state import NodeState

Lookup = Callable[[str], NodeState]
"""Unique node id -> the row of a node that was reached."""


def graph_of(plan: Plan, lookup: Lookup, scope: str) -> Graph:
    """The graph that the nodes of a scope belong to."""
    if not scope:
        return plan.primary
    spec = spec_of(plan, lookup, lookup(scope))
    return plan.graph(EntityId.of(spec.workflow_node.sub_workflow_ref))


def spec_of(plan: Plan, lookup: Lookup, node: NodeState) -> workflow_pb2.Node:
    """The node as written in its workflow."""
    return graph_of(plan, lookup, node.scope).nodes[node.spec_id]


def id_in(lookup: Lookup, scope: str, spec_id: str) -> str:
    """The unique id of a template's node within a scope."""
    return unique_node_id(scope, lookup(scope).attempt if scope else 0, spec_id)
