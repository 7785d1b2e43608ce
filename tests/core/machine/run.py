"""An execution under watch: whatever the machine decides is checked from all sides, and admin's record kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.machine.invariants import Ledger, check_state, check_step
from core.machine.language import Library
from core.machine.record import Record
from core.machine.world import NOON
from sailplane_core.ids import ExecutionId, child_execution_name
from sailplane_core.machine import (
    ArrayOpened,
    AwaitSignal,
    BindingFailed,
    BindInputs,
    BranchTaken,
    BuildGraph,
    CacheLookedUp,
    CachePopulated,
    ChildEnded,
    ChildGone,
    ChildRefused,
    ChildStarted,
    Command,
    ExecutionState,
    GatherItems,
    GraphBuilt,
    GraphRefused,
    InputsBound,
    ItemsGathered,
    LaunchChild,
    LaunchFailed,
    LaunchPod,
    LookUpCache,
    NodeState,
    Observation,
    OpenArray,
    PodRemoved,
    Policies,
    PopulateCache,
    ReleaseReservation,
    RemovePod,
    SetTimer,
    SignalTaken,
    StartInfo,
    TakeBranch,
    TakeSignal,
    TaskEnded,
    TerminateChild,
    TimerFired,
    Transition,
    evaluate,
    lineage,
    scopes,
)
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_core.plan import Plan
from sailplane_protos.core import catalog_pb2, workflow_pb2


@dataclass
class Run:
    """One execution of a definition of a library. Each evaluation comes a second after the one before it."""

    library: Library
    definition: str
    policies: Policies = field(default_factory=Policies)
    name: str = "x"
    earlier: Sequence[lineage.Nodes] = ()
    now: datetime = NOON
    plan: Plan = field(init=False)
    state: ExecutionState = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        self.plan = self.library.plan(self.definition)
        id = ExecutionId("p", "development", self.name)
        self.state = ExecutionState(
            StartInfo(id, "file:///in.pb", "file:///blobs", "file:///raw", self.policies), earlier=self.earlier
        )

    def see(self, *seen: Observation) -> Transition:
        """Show the machine what is so, check what it decides, and apply it."""
        self.now += timedelta(seconds=1)
        for one in seen:
            self.ledger.saw(one)
            if isinstance(one, GraphBuilt):
                self.plan.generated[one.node_id] = self.library.closure(self.generated(one.node_id))
        transition = evaluate(self.plan, self.state, seen, self.now)
        check_step(self.state, transition)
        transition.apply(self.state)
        for command in [one for one in self.ledger.outstanding if any(answers(each, one) for each in seen)]:
            if not self._goes_on(command):
                self.done(command)
        self.ledger.decided(transition.commands)
        self.record.tell(transition.events)
        check_state(self.plan, self.state)
        self.record.check(self.state)
        self.ledger.check(self.state)
        return transition

    def done(self, command: Command) -> None:
        """The command needs no more doing."""
        self.ledger.outstanding.pop(command, None)

    def timer(self, command: SetTimer) -> TimerFired:
        """Wait for a timer."""
        self.now = max(self.now, command.at)
        return TimerFired(command.node_id, command.attempt, command.timer)

    def is_current(self, command: Command) -> bool:
        """Whether whoever carries commands out would still do this one."""
        if isinstance(command, RemovePod | TerminateChild | ReleaseReservation) or not command.node_id:
            return True
        node = self.state.nodes[command.node_id]
        return not node.is_terminal and node.attempt == command.attempt

    def _goes_on(self, command: Command) -> bool:
        """Whether what the command launched is still running."""
        node = self.state.nodes.get(command.node_id)
        if node is None or not self.is_current(command):
            return False
        is_pod, is_child = isinstance(command, LaunchPod), isinstance(command, LaunchChild)
        return (is_pod and node.task_phase is TaskPhase.RUNNING) or (is_child and node.phase is NodePhase.RUNNING)

    def spec(self, node_id: str) -> workflow_pb2.Node:
        """A node that was reached, as written."""
        return scopes.spec_of(self.plan, self.state.nodes.__getitem__, self.state.nodes[node_id])

    def generated(self, node_id: str) -> str:
        """The definition of the graph that a dynamic task leaves; "" if it is none."""
        return self.library.generates.get(self.spec(node_id).metadata.name, "")

    def cases(self, node_id: str) -> list[str]:
        """The ids of a branch's cases."""
        return list(scopes.inside(self.plan, self.state.nodes.__getitem__, self.state.nodes[node_id]).nodes)

    def child_name(self, node_id: str, attempt: int) -> str:
        """The execution that a launch-plan node starts."""
        return child_execution_name(self.state.start.id, node_id, attempt)

    def usual(self, command: Command) -> Sequence[Observation]:
        """What a command leads to when all goes well. Timers and signals are waited for, and lead to nothing here."""
        node_id, attempt = command.node_id, command.attempt
        match command:
            case BindInputs():
                return [InputsBound(node_id, attempt)]
            case LaunchPod():
                return [TaskEnded(node_id, attempt, None, has_graph=bool(self.generated(node_id)))]
            case RemovePod():
                return [PodRemoved(node_id, attempt)]
            case LookUpCache():
                return [CacheLookedUp(node_id, attempt, catalog_pb2.CACHE_MISS, is_reserved=self._reserves(node_id))]
            case PopulateCache():
                return [CachePopulated(node_id, attempt, catalog_pb2.CACHE_POPULATED)]
            case BuildGraph():
                return [GraphBuilt(node_id, attempt, f"file:///{node_id}/closure.pb", f"file:///{node_id}/futures.pb")]
            case TakeBranch():
                return [BranchTaken(node_id, attempt, self.cases(node_id)[0])]
            case OpenArray():
                return [ArrayOpened(node_id, attempt, self.library.sizes[self.spec(node_id).metadata.name])]
            case GatherItems():
                return [ItemsGathered(node_id, attempt)]
            case LaunchChild():
                name = self.child_name(node_id, attempt)
                ended = ChildEnded(node_id, name, ExecutionPhase.SUCCEEDED, "file:///child/outputs.pb")
                return [ChildStarted(node_id, attempt), ended]
            case TerminateChild():
                return [ChildGone(node_id, attempt)]
            case TakeSignal():
                return [SignalTaken(node_id, attempt)]
            case _:
                return []

    def _reserves(self, node_id: str) -> bool:
        spec = self.spec(node_id)
        node = self.state.nodes[node_id]
        template = scopes.task_of(self.plan, self.state.nodes.__getitem__, node)
        return spec.HasField("task_node") and template.metadata.cache_serializable


_ANSWERS: Mapping[type[Observation], tuple[type[Command], ...]] = {
    InputsBound: (BindInputs,),
    BindingFailed: (BindInputs, LaunchPod, LookUpCache, TakeBranch, OpenArray, GatherItems, LaunchChild, AwaitSignal),
    LaunchFailed: (LaunchPod,),
    TaskEnded: (LaunchPod,),
    PodRemoved: (LaunchPod, RemovePod),
    CacheLookedUp: (LookUpCache,),
    CachePopulated: (PopulateCache,),
    GraphBuilt: (BuildGraph,),
    GraphRefused: (BuildGraph,),
    BranchTaken: (TakeBranch,),
    ArrayOpened: (OpenArray,),
    ItemsGathered: (GatherItems,),
    ChildRefused: (LaunchChild,),
    ChildEnded: (LaunchChild, TerminateChild),
    ChildGone: (LaunchChild, TerminateChild),
    SignalTaken: (AwaitSignal, TakeSignal),
    TimerFired: (SetTimer,),
}


def answers(seen: Observation, command: Command) -> bool:
    """Whether this is what the command was to lead to."""
    if not isinstance(command, _ANSWERS.get(type(seen), ())) or getattr(seen, "node_id", None) != command.node_id:
        return False
    if isinstance(seen, TimerFired) and isinstance(command, SetTimer) and seen.timer != command.timer:
        return False
    return isinstance(seen, ChildEnded) or getattr(seen, "attempt", None) == command.attempt


def earlier_of(run: Run) -> dict[scopes.Path, NodeState]:
    """What an execution came to, as one that recovers it knows it."""
    nodes = run.state.nodes
    return {scopes.path_to(nodes.__getitem__, node): node for node in nodes.values()}
