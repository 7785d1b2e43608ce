"""What an execution takes over from those that it recovers: from one that it recovers itself, and from those before.

A node of an earlier execution is of use only if it was made of what lies upstream of it here, too. An earlier execution
may have gone on after another one began to recover it, and each of the two may have made something of the same node;
what follows from the one does not go together with the other. What a node has made is known by where its outputs lie,
which stays the same when it is taken over.
"""

from collections.abc import Mapping, Sequence

from ..phases import NODE_DONE
from ..plan import Plan
from . import scopes
from .state import NodeKind, NodeState

Nodes = Mapping[scopes.Path, NodeState]
"""What an earlier execution came to, by the way to each node."""


def earlier(plan: Plan, lookup: scopes.Lookup, executions: Sequence[Nodes], node: NodeState) -> NodeState | None:
    """The same node in the earlier execution that got furthest with it, the nearest one if several did.

    None if no execution got there that this node can be taken from.
    """
    if not executions:
        return None
    path = scopes.path_to(lookup, node)
    found = [one[path] for one in alike(plan, lookup, executions, node) if path in one]
    return max(found, key=_worth, default=None)


def alike(plan: Plan, lookup: scopes.Lookup, executions: Sequence[Nodes], node: NodeState) -> list[Nodes]:
    """Those executions in which this node, and all that it lies in, was made of the same as here."""
    kept = list(executions)
    for one in scopes.outwards(lookup, node):
        if not kept:
            break
        upstream = _upstream(plan, lookup, one)
        graph_uri = one.graph_uri if one is not node else ""
        path = scopes.path_to(lookup, one)
        kept = [nodes for nodes in kept if _agrees(nodes, upstream, path, graph_uri)]
    return kept


def _upstream(plan: Plan, lookup: scopes.Lookup, node: NodeState) -> list[tuple[scopes.Path, NodeState]]:
    graph = scopes.graph_of(plan, lookup, node.scope)
    above = (lookup(scopes.id_in(lookup, node.scope, spec_id)) for spec_id in graph.upstream.get(node.spec_id, ()))
    return [(scopes.path_to(lookup, one), one) for one in above if one.kind is not NodeKind.START]


def _agrees(nodes: Nodes, upstream: Sequence[tuple[scopes.Path, NodeState]], path: scopes.Path, graph_uri: str) -> bool:
    if graph_uri and (path not in nodes or nodes[path].graph_uri != graph_uri):
        return False
    return all(above in nodes and nodes[above].outputs_uri == here.outputs_uri for above, here in upstream)


def _worth(node: NodeState) -> int:
    """How much there is to take over: outputs, a graph or child that goes on from where it was, or nothing."""
    return 2 if node.phase in NODE_DONE else 1 if node.graph_uri or node.child_name else 0
