"""One evaluation in progress: reads through to the state, collects what changes, and leaves the state alone."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import chain

from sailplane_protos.core import tasks_pb2, workflow_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.propeller import queue_pb2

from ..errors import InvariantBroken
from ..layout import Layout
from ..phases import NODE_TERMINAL, NodePhase, move_node
from ..plan import Graph, Plan
from . import lineage, scopes
from .commands import Command
from .state import NO_ITEMS, ExecutionState, Header, ItemCounts, NodeKind, NodeState, Policies

ITEMS_BEGUN_MAX = 1000
"""Of one array in one step. A recovered array takes over many at once, and nothing else is done meanwhile."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What an evaluation decided: the rows that change, what to do after the commit, and what to tell admin.

    Nothing changed and nothing to do means there is nothing to save: `is_empty`.
    """

    header: Header
    nodes: Mapping[str, NodeState]
    remaining: Mapping[str, int]
    commands: tuple[Command, ...]
    events: tuple[queue_pb2.Event, ...]
    is_empty: bool

    def apply(self, state: ExecutionState) -> None:
        """Bring a state in memory up to date, once the transition is saved."""
        state.header = self.header
        state.remaining.update(self.remaining)
        for node in self.nodes.values():
            state.replace(node)


class Step:
    """The working set of one evaluation."""

    def __init__(self, plan: Plan, state: ExecutionState, now: datetime) -> None:
        self.plan = plan
        self.now = state.header.time_of_next(now)
        self.start = state.start
        self.header = state.header
        self.changed: dict[str, NodeState] = {}
        self.commands: dict[Command, None] = {}
        """In order, each once."""
        self.events: list[queue_pb2.Event] = []
        self.ended: deque[NodeState] = deque()
        """Nodes that ended in this step and whose followers were not looked at yet."""
        self.beginning: deque[NodeState] = deque()
        """Nodes whose turn has come in this step and which were not begun yet."""
        self.item_reports: dict[str, dict[tuple[int, int], event_pb2.ExternalResourceInfo]] = {}
        """What is to be told of arrays' items, by array, and by index and attempt."""
        self._state = state
        self._remaining: dict[str, int] = {}
        self._items: dict[str, ItemCounts] = {}
        self._items_begun: dict[str, int] = {}
        self._changed_in: dict[str, list[str]] = {}
        """The ids of changed nodes, by the scope they lie in."""
        self._held = len(state.holding)
        self._waiting = iter(state.waiting)
        self._waiting_count = len(state.waiting)
        self._newly_waiting: deque[str] = deque()

    @cached_property
    def layout(self) -> Layout:
        """The paths of this execution."""
        return self.start.layout

    @property
    def policies(self) -> Policies:
        """What holds for this execution's nodes."""
        return self.start.policies

    # Looking

    def find(self, node_id: str) -> NodeState | None:
        """The node's present row, changes of this step included; None if it was not reached yet."""
        return self.changed.get(node_id) or self._state.nodes.get(node_id)

    def node(self, node_id: str) -> NodeState:
        """The row of a node that must have been reached."""
        found = self.find(node_id)
        if found is None:
            raise InvariantBroken(f"node {node_id} was never reached")
        return found

    def graph(self, scope: str) -> Graph:
        """The graph that the nodes of a scope belong to."""
        return scopes.graph_of(self.plan, self.node, scope)

    def spec(self, node: NodeState) -> workflow_pb2.Node:
        """The node as written in its workflow."""
        return scopes.spec_of(self.plan, self.node, node)

    def task(self, node: NodeState) -> tasks_pb2.TaskTemplate:
        """The template that a task node runs."""
        return scopes.task_of(self.plan, self.node, node)

    def id_in(self, scope: str, spec_id: str) -> str:
        """The unique id of a template's node within a scope."""
        return scopes.id_in(self.node, scope, spec_id)

    def earlier(self, node: NodeState) -> NodeState | None:
        """The same node in an execution that this one recovers, if it can be taken from there."""
        return lineage.earlier(self.plan, self.node, self._state.earlier, node)

    def active_in(self, scope: str) -> list[NodeState]:
        """The nodes directly in a scope that have not ended, in order of their ids."""
        ids = self._state.inside.get(scope, set[str]()).union(self._changed_in.get(scope, ()))
        nodes = [self.node(node_id) for node_id in sorted(ids)]
        return [node for node in nodes if not node.is_terminal]

    def active_gates(self) -> list[NodeState]:
        """The gates that have not opened, in order of their ids."""
        nodes = [self.node(node_id) for node_id in chain(self._state.active, self.changed)]
        gates = {node.id: node for node in nodes if node.kind is NodeKind.GATE and not node.is_terminal}
        return [gates[node_id] for node_id in sorted(gates)]

    def removals_left(self) -> int:
        """How many Pods and child executions are being removed."""
        count = len(self._state.removing)
        for node_id, node in self.changed.items():
            before = self._state.nodes.get(node_id)
            count += int(node.removing) - int(before is not None and before.removing)
        return count

    def is_removing_within(self, scope: str) -> bool:
        """Whether a Pod or child execution of a node in the scope, at any depth, is being removed."""
        nodes = (self.node(node_id) for node_id in chain(self.changed, self._state.removing))
        return any(node.removing and self._lies_in(node, scope) for node in nodes)

    def _lies_in(self, node: NodeState, scope: str) -> bool:
        return any(one.scope == scope for one in scopes.outwards(self.node, node))

    def containers(self, node: NodeState) -> Iterator[NodeState]:
        """The node that this one lies in, the one that lies in, and so on."""
        return scopes.containers(self.node, node)

    def depth(self, node: NodeState) -> int:
        """How many nodes the node lies in."""
        return sum(1 for _ in self.containers(node))

    def upstream_left(self, scope: str, spec_id: str) -> int:
        """How many of a node's upstream nodes had not ended when this step last counted."""
        node_id = self.id_in(scope, spec_id)
        if node_id in self._remaining:
            return self._remaining[node_id]
        if node_id in self._state.remaining:
            return self._state.remaining[node_id]
        upstream = self.graph(scope).upstream.get(spec_id, ())
        before = (self._state.nodes.get(self.id_in(scope, above)) for above in upstream)
        return sum(1 for node in before if node is None or not node.is_terminal)

    def items(self, array_id: str) -> ItemCounts:
        """How the items of an array stand."""
        return self._items.get(array_id) or self._state.items.get(array_id, NO_ITEMS)

    def has_slot(self) -> bool:
        """Whether another node may run in parallel."""
        return not self.policies.max_parallelism or self._held < self.policies.max_parallelism

    def is_anybody_waiting(self) -> bool:
        """Whether a node is held back, which comes before any whose turn comes only now."""
        return self._waiting_count > 0

    def next_waiting(self) -> NodeState | None:
        """The node that was held back longest; each is given once per step."""
        for node_id in self._waiting:
            if self.node(node_id).is_waiting:
                return self.node(node_id)
        while self._newly_waiting:
            node = self.node(self._newly_waiting.popleft())
            if node.is_waiting:
                return node
        return None

    # Changing

    def do(self, command: Command) -> None:
        """Have this done after the commit."""
        self.commands[command] = None

    def put(self, node: NodeState) -> None:
        """Replace the node's row."""
        before = self.find(node.id)
        if node.id not in self.changed:
            self._changed_in.setdefault(node.scope, []).append(node.id)
        self.changed[node.id] = node
        self._held += int(node.holds_slot) - int(before is not None and before.holds_slot)
        self._waiting_count += int(node.is_waiting) - int(before is not None and before.is_waiting)
        if node.is_item:
            self._items[node.scope] = self.items(node.scope).moved(before, node)
        if node.is_waiting and not (before is not None and before.is_waiting):
            self._newly_waiting.append(node.id)

    def move(self, node: NodeState, phase: NodePhase) -> NodeState:
        """Bring the node into a phase, with the times that go with it; the result is already put."""
        moved = replace(node, phase=move_node(node.phase, phase))
        if phase is NodePhase.QUEUED:
            moved = replace(moved, queued_at=node.queued_at or self.now)
        elif phase is NodePhase.RUNNING:
            moved = replace(moved, started_at=node.started_at or self.now)
        if phase in NODE_TERMINAL:
            moved = replace(moved, ended_at=self.now, is_waiting=False, holds_slot=False)
            self.ended.append(moved)
        self.put(moved)
        return moved

    def begin(self, scope: str, spec_id: str) -> None:
        """Let a node begin, if it may, before this step is over."""
        spec = self.graph(scope).nodes[spec_id]
        self.beginning.append(NodeState(self.id_in(scope, spec_id), spec_id, scope, NodeKind.of(spec)))

    def items_left_to_begin(self, array_id: str) -> int:
        """How many more items of an array may begin in this step."""
        return ITEMS_BEGUN_MAX - self._items_begun.get(array_id, 0)

    def begin_item(self, array: NodeState, index: int) -> None:
        """The same for an array's item. Its row is there at once, so that it counts."""
        spec = self.spec(array).array_node.node
        item = NodeState(scopes.item_id(array, index), spec.id, array.id, NodeKind.of(spec), item=index)
        self.put(item)
        self.beginning.append(item)
        self._items_begun[array.id] = self._items_begun.get(array.id, 0) + 1

    def count_down(self, scope: str, spec_id: str) -> int:
        """One more upstream node of this one has ended; how many are left."""
        left = self.upstream_left(scope, spec_id) - 1
        self._remaining[self.id_in(scope, spec_id)] = left
        return left

    def finish(self) -> Transition:
        """The decision, with the version counted up if there is anything to save."""
        is_empty = self.header == self._state.header and not (self.changed or self.commands or self.events)
        header = (
            self.header
            if is_empty
            else replace(self.header, version=self._state.header.version + 1, decided_at=self.now)
        )
        return Transition(
            header, self.changed, self._remaining, tuple(self.commands), tuple(self.events), is_empty=is_empty
        )
