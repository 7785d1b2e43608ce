"""What holds after every transition, whatever was seen in whatever order."""

from collections.abc import Sequence

from sailplane_core.machine import (
    CacheLookedUp,
    ChildEnded,
    ChildGone,
    ChildRefused,
    Command,
    ExecutionState,
    LaunchChild,
    LaunchPod,
    LookUpCache,
    NodeKind,
    NodeState,
    Observation,
    PodRemoved,
    ReleaseReservation,
    RemovePod,
    SetTimer,
    TakeSignal,
    TaskEnded,
    TerminateChild,
    Transition,
    scopes,
)
from sailplane_core.phases import NODE_MOVES, NodePhase
from sailplane_core.plan import Plan

INDEXES = ("nodes", "active", "inside", "removing", "holding", "waiting", "items")
PARALLEL = frozenset({NodeKind.TASK, NodeKind.ARRAY, NodeKind.LAUNCH_PLAN})


def check_state(plan: Plan, state: ExecutionState) -> None:
    """One state by itself."""
    loaded = ExecutionState.load(state.start, state.header, state.nodes.values())
    for index in INDEXES:
        assert getattr(loaded, index) == getattr(state, index), f"{index} differs from what the rows say"
    at_once = state.start.policies.max_parallelism
    assert not at_once or len(state.holding) <= at_once, f"{sorted(state.holding)} run at once"
    for node in state.nodes.values():
        _check_node(plan, state, node)
    if state.header.is_terminal:
        assert not state.active, f"the execution has ended, {sorted(state.active)} have not"
        assert not state.removing, f"the execution has ended, {sorted(state.removing)} are being removed"


def _check_node(plan: Plan, state: ExecutionState, node: NodeState) -> None:
    if not node.is_terminal and node.scope:
        assert not state.nodes[node.scope].is_terminal, f"{node.scope} has ended, {node.id} in it has not"
    assert not (node.is_terminal and (node.holds_slot or node.is_waiting)), f"{node.id} has ended and counts as running"
    if state.start.policies.max_parallelism and _runs_in_parallel(state, node):
        assert node.holds_slot, f"{node.id} runs without a place"
    if node.kind is NodeKind.ARRAY:
        counts = state.items.get(node.id)
        spec = scopes.spec_of(plan, state.nodes.__getitem__, node).array_node
        at_once = spec.parallelism or state.start.policies.array_items_at_once_max
        assert counts is None or counts.active <= at_once, f"{node.id} runs {counts.active} items at once"
        assert counts is None or counts.begun <= node.size, node.id


def _runs_in_parallel(state: ExecutionState, node: NodeState) -> bool:
    """Whether it is something that the limit counts, has begun, and has not handed its place on."""
    if node.kind not in PARALLEL or node.is_terminal or node.is_waiting or node.graph_uri:
        return False
    above = node
    while above.scope:
        above = state.nodes[above.scope]
        if above.kind is NodeKind.ARRAY:
            return False
    return node.phase is not NodePhase.UNDEFINED


def check_step(before: ExecutionState, transition: Transition) -> None:
    """One transition, before it is applied."""
    if transition.is_empty:
        assert not any((transition.nodes, transition.commands, transition.events))
        return
    assert transition.header.version == before.header.version + 1
    assert not before.header.is_terminal or transition.header.phase is before.header.phase
    for node in transition.nodes.values():
        old = before.nodes.get(node.id)
        if old is None:
            continue
        assert old.attempt <= node.attempt <= old.attempt + 1, f"{node.id} goes from attempt {old.attempt}"
        if old.phase is not node.phase:
            assert not old.is_terminal, f"{node.id} goes from {old.phase.name} to {node.phase.name}"
            assert old.phase is NodePhase.UNDEFINED or _reachable(old.phase, node.phase), node.id


def _reachable(before: NodePhase, after: NodePhase) -> bool:
    """By any number of moves: one transition may make several."""
    seen, left = {before}, [before]
    while left:
        for phase in NODE_MOVES.get(left.pop(), frozenset()):
            if phase not in seen:
                seen.add(phase)
                left.append(phase)
    return after in seen


_MAY_BE_REPEATED = (SetTimer, LookUpCache, TakeSignal, ReleaseReservation)
"""What led to them, a timer, a signal or an answer that came too late, may come again before they are done."""


class Ledger:
    """What the commands have brought into the world and what must go again: Pods, child executions, reservations.

    `outstanding` are the commands that were decided and not yet answered.
    """

    def __init__(self) -> None:
        self.outstanding: dict[Command, None] = {}
        self.pods: set[tuple[str, int]] = set()
        self.children: set[str] = set()
        self.reserved: set[str] = set()
        self._removed: set[tuple[str, int]] = set()

    def decided(self, commands: Sequence[Command]) -> None:
        """These are to be done."""
        for command in commands:
            again = isinstance(command, _MAY_BE_REPEATED)
            assert again or command not in self.outstanding, f"{command} is under way already"
            self.outstanding[command] = None
            match command:
                case LaunchPod(node_id=node_id, attempt=attempt):
                    assert (node_id, attempt) not in self.pods, f"{command} for the second time"
                    self.pods.add((node_id, attempt))
                case RemovePod(node_id=node_id, attempt=attempt):
                    self._removed.add((node_id, attempt))
                case LaunchChild(node_id=node_id):
                    self.children.add(node_id)
                case TerminateChild(node_id=node_id):
                    self.children.discard(node_id)
                case ReleaseReservation(node_id=node_id):
                    self.reserved.discard(node_id)
                case _:
                    pass

    def saw(self, seen: Observation) -> None:
        """This is so; to be called before the transition that it leads to."""
        match seen:
            case TaskEnded(pod_lingers=False) | PodRemoved():
                self._removed.add((seen.node_id, seen.attempt))
            case CacheLookedUp(is_reserved=True):
                self.reserved.add(seen.node_id)
            case ChildRefused() | ChildGone() | ChildEnded():
                self.children.discard(seen.node_id)
            case _:
                pass

    def check(self, state: ExecutionState) -> None:
        """When the execution has ended, everything has gone or was ordered to."""
        if not state.header.is_terminal:
            return
        assert not self.pods - self._removed, f"Pods stay: {sorted(self.pods - self._removed)}"
        assert not self.children, f"child executions stay: {sorted(self.children)}"
        assert not self.reserved, f"reservations stay: {sorted(self.reserved)}"
