"""Who waits for whom: the graph of one workflow's nodes, and its cycles."""

from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sailplane_protos.core import compiler_pb2, workflow_pb2

from ..errors import Problem
from ..ids import END_NODE_ID, START_NODE_ID
from . import problems, walk

CYCLES_REPORTED_MAX = 20
"""More cycles in one workflow are not reported: their author has enough to do."""


@dataclass(slots=True)
class Edges:
    """The edges between top-level nodes, and, upstream only, those into nodes of branches and the failure node."""

    upstream: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    downstream: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def add(self, before: str, after: str) -> None:
        """`after` waits for `before`."""
        self.upstream.setdefault(after, set()).add(before)
        self.downstream.setdefault(before, set()).add(after)

    def to_message(self) -> compiler_pb2.ConnectionSet:
        """Both directions, ids sorted."""
        result = compiler_pb2.ConnectionSet()
        for ours, theirs in ((self.upstream, result.upstream), (self.downstream, result.downstream)):
            for node_id in sorted(ours):
                theirs[node_id].ids.extend(sorted(ours[node_id]))
        return result


def connect(template: workflow_pb2.WorkflowTemplate, found: list[Problem]) -> Edges:
    """The edges that upstream ids and bindings imply, for a template whose nodes have their final ids.

    A branch waits for whatever one of its cases may need. (Flyte lets the case wait, once it is chosen.) Nodes that
    wait for nothing wait for the start node; the end node waits for those that nobody waits for, or for the start node
    if there are none.
    """
    edges = Edges()
    top = [node for node in template.nodes if node.id not in (START_NODE_ID, END_NODE_ID)]
    known = {node.id for node in top} | {START_NODE_ID}
    for node in top:
        for member in walk.branch_members(node):
            for before in _waits_for(member, known, found):
                edges.add(before, node.id)
                if member is not node:
                    edges.upstream.setdefault(member.id, set()).add(before)
    if template.HasField("failure_node"):
        for member in walk.branch_members(template.failure_node):
            for before in _waits_for(member, known, found):
                edges.upstream.setdefault(member.id, set()).add(before)
    end = next(node for node in template.nodes if node.id == END_NODE_ID)
    for before in _waits_for(end, known, found):
        edges.add(before, END_NODE_ID)
    for node in top:
        if node.id not in edges.upstream:
            edges.add(START_NODE_ID, node.id)
        if node.id not in edges.downstream:
            edges.add(node.id, END_NODE_ID)
    if not top:
        edges.add(START_NODE_ID, END_NODE_ID)
    return edges


def _waits_for(node: workflow_pb2.Node, known: set[str], found: list[Problem]) -> list[str]:
    wanted = dict.fromkeys(node.upstream_node_ids)
    wanted.update(dict.fromkeys(promise.node_id for promise in walk.promises(node.inputs)))
    found.extend(problems.node_not_found(node.id, one) for one in wanted if one not in known)
    return [one for one in wanted if one in known]


def sort(ids: Iterable[str], edges: Edges) -> tuple[list[str], list[list[str]]]:
    """The nodes in an order in which each comes after those that it waits for, and the cycles that prevent it.

    With cycles, the nodes in and after them come last, in the order given.
    """
    left = {one: len(edges.upstream.get(one, ())) for one in ids}
    ready = deque(one for one, count in left.items() if not count)
    order: list[str] = []
    while ready:
        current = ready.popleft()
        order.append(current)
        for after in sorted(edges.downstream.get(current, ())):
            left[after] -= 1
            if not left[after]:
                ready.append(after)
    if len(order) == len(left):
        return order, []
    stuck = [one for one, count in left.items() if count]
    return order + stuck, _cycles(stuck, edges.upstream)


def _cycles(stuck: list[str], upstream: Mapping[str, set[str]]) -> list[list[str]]:
    """Cycles among nodes each of which waits for another of them, at least one in every knot, up to a limit.

    Each is written in the direction of the work, from its earliest written node back to it.
    """
    position = {one: index for index, one in enumerate(stuck)}
    seen: set[str] = set()
    reported: set[str] = set()
    cycles: list[list[str]] = []
    for first in stuck:
        path: dict[str, Iterator[str]] = {} if first in seen else {first: _waited_for(first, upstream, position)}
        while path and len(cycles) < CYCLES_REPORTED_MAX:
            current = next(reversed(path))
            seen.add(current)
            before = next(path[current], None)
            if before is None:
                del path[current]
            elif before not in seen:
                path[before] = _waited_for(before, upstream, position)
            elif before in path and not reported & {before, current}:
                steps = list(path)
                members = steps[steps.index(before) :][::-1]
                reported.update(members)
                start = members.index(min(members, key=position.__getitem__))
                cycles.append([*members[start:], *members[: start + 1]])
    return cycles


def _waited_for(node_id: str, upstream: Mapping[str, set[str]], among: Container[str]) -> Iterator[str]:
    return iter(sorted(one for one in upstream[node_id] if one in among))
