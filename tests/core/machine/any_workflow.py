"""Workflows over all kinds of nodes by chance, and a world in which anything may happen to them at any time."""

from collections.abc import Sequence
from random import Random

from core.machine.language import Library
from core.machine.run import Run
from core.machine.world import FINAL, SYSTEM, USER
from sailplane_core.failures import Failure
from sailplane_core.machine import (
    AbortRequested,
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
    GatherItems,
    GraphRefused,
    LaunchChild,
    LaunchFailed,
    LaunchPod,
    LookUpCache,
    Observation,
    OpenArray,
    Policies,
    PopulateCache,
    SetTimer,
    SignalSet,
    SignalTaken,
    Started,
    TakeBranch,
    TakeSignal,
    TaskEnded,
    TaskProgressed,
    TerminateChild,
    Timer,
)
from sailplane_core.phases import ExecutionPhase, TaskPhase
from sailplane_protos.core import catalog_pb2

DEPTH_MAX = 3
NODES_MAX = 4
"""Of one graph."""
STEPS_MAX = 5000
"""Until an execution to which nothing more happens has come to rest."""
_UNDER_WAY = (TaskPhase.QUEUED, TaskPhase.WAITING_FOR_RESOURCES, TaskPhase.INITIALIZING, TaskPhase.RUNNING)
_BINDING = (BindInputs, LaunchPod, LookUpCache, TakeBranch, OpenArray, GatherItems, LaunchChild)
_PAUSES = (Timer.RETRY, Timer.SLEEP, Timer.CACHE, Timer.ITEMS)
_SIGNALS = ("s0", "s1")


class Author:
    """Writes workflows."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.library = Library()
        self.texts: list[str] = []

    def workflow(self, name: str, depth: int = 0) -> None:
        """Define a workflow of this name, and before it what it needs."""
        lines: list[str] = []
        ids: list[str] = []
        for index in range(self.chance.randint(1, NODES_MAX)):
            above = [one for one in ids if self.chance.random() < 0.4]
            edges = f" <- {', '.join(above)}" if above else ""
            lines += self._node(f"n{index}", depth, edges, 0)
            ids.append(f"n{index}")
        if self.chance.random() < 0.3:
            first, *rest = self._node("f", depth + 1, "", 0)
            lines += [f"on failure {first}", *rest]
        text = "\n".join(lines)
        after = self.chance.random() < 0.4
        self.texts.append(f"define {name}{' after' if after else ''}\n{text}")
        self.library.define(name, text, after=after)

    def _node(self, id: str, depth: int, edges: str, indent: int) -> list[str]:
        kinds = ["task", "task", "task", "gate", "launch-plan"]
        if depth < DEPTH_MAX:
            kinds += ["workflow", "branch", "array", "generates"]
        kind = self.chance.choice(kinds)
        limits = self._some("timeout=60s", "queued_timeout=20s")
        below: list[str] = []
        match kind:
            case "task":
                words = "task" + self._some("retries=2", "retries=2", "backoff=5s", "cached", "serialized")
            case "generates":
                words = f"task generates={self._other(depth)}" + self._some("retries=1", "serialized")
            case "workflow":
                words = f"workflow {self._other(depth)}"
            case "gate":
                words = "gate " + self.chance.choice(["sleep=5s", "approve=s0", "signal=s1"])
            case "branch":
                words = "branch"
                below = self._node(f"{id}a", depth + 1, "", indent + 1)
                other = self._node(f"{id}b", depth + 1, "", indent + 1)
                if self.chance.random() < 0.5:
                    other[0] = f"{' ' * (indent + 1)}else {other[0].strip()}"
                below += other
            case "array":
                words = "array" + self._some("concurrency=2", "run_all", "min_ratio=0.5")
                below = [f"{' ' * (indent + 1)}{self._item(id, depth)}"]
            case _:
                words = kind
        return [f"{' ' * indent}{id}: {words}{limits}{edges}", *below]

    def _item(self, id: str, depth: int) -> str:
        match self.chance.randint(0, 3):
            case 0:
                return f"{id}i: workflow {self._other(depth)}"
            case 1:
                return f"{id}i: launch-plan"
            case _:
                return f"{id}i: task" + self._some("retries=2", "cached", "serialized")

    def _other(self, depth: int) -> str:
        name = f"w{len(self.texts)}-{self.chance.randint(0, 10**9)}"
        self.workflow(name, depth + 1)
        return name

    def _some(self, *words: str) -> str:
        return "".join(f" {word}" for word in words if self.chance.random() < 0.3)


def policies(chance: Random) -> Policies:
    """Any policies."""
    return Policies(
        max_parallelism=chance.choice([0, 1, 2]),
        array_items_at_once_max=chance.choice([1, 2, 100]),
        system_retries=chance.randint(0, 2),
        retry_backoff_s=chance.choice([0.0, 3.0]),
        workflow_max_s=chance.choice([None, None, 600.0]),
    )


class Fate:
    """Decides what happens to an execution next."""

    def __init__(self, run: Run, chance: Random) -> None:
        self.run = run
        self.chance = chance
        self.badness = chance.choice([0.0, 0.2, 1.0])
        """How much of what may go wrong does: where everything may, nothing gets far."""
        self.seen: list[Observation] = []
        self.done: list[Command] = []

    def strike(self, steps: int) -> None:
        """Let so many things happen, likely ones and others."""
        self._see(Started())
        for _ in range(steps):
            if self.run.state.header.is_terminal and self.chance.random() < 0.3:
                return
            batch = [one for _ in range(self.chance.choice([1, 1, 1, 2, 3])) for one in self._something()]
            if batch:
                self._see(*batch)

    def settle(self) -> None:
        """From now on all goes well, whatever is waited for comes, and the execution must come to its end."""
        run = self.run
        for _ in range(STEPS_MAX):
            for command in [one for one in run.ledger.outstanding if not run.is_current(one)]:
                run.done(command)
            command = self._next()
            if command is None:
                return
            run.done(command)
            match command:
                case SetTimer():
                    self._see(run.timer(command))
                case AwaitSignal():
                    self._see(SignalTaken(command.node_id, command.attempt))
                case _:
                    for seen in run.usual(command):
                        self._see(seen)
        raise AssertionError(f"it does not come to rest in {STEPS_MAX} steps")

    def _next(self) -> Command | None:
        outstanding = self.run.ledger.outstanding
        ready = [one for one in outstanding if not isinstance(one, SetTimer) or one.timer in _PAUSES]
        return self.chance.choice(ready) if ready else None

    def _see(self, *seen: Observation) -> None:
        self.seen += seen
        self.run.see(*seen)

    def _something(self) -> Sequence[Observation]:
        roll = self.chance.random()
        if roll < 0.01 * self.badness:
            return [AbortRequested("enough", "ann")]
        if roll < 0.03:
            return [SignalSet(self.chance.choice(_SIGNALS))]
        if roll < 0.15:
            return [self.chance.choice(self.seen[-self.chance.choice([5, 1000]) :])]
        if roll < 0.20 and self.done:
            return self._again(self.chance.choice(self.done))
        outstanding = [one for one in self.run.ledger.outstanding if not self._is_spared(one)]
        if not outstanding:
            return []
        command = self.chance.choice(outstanding)
        if not isinstance(command, LaunchPod | LaunchChild | AwaitSignal):
            self.run.done(command)
            self.done.append(command)
        if not self.run.is_current(command):
            self.run.done(command)
            return []
        return self._outcome(command)

    def _is_spared(self, command: Command) -> bool:
        """A deadline that does not pass, as things do not go that badly."""
        is_deadline = isinstance(command, SetTimer) and command.timer not in _PAUSES
        return is_deadline and not self._goes_wrong(1.0)

    def _again(self, command: Command) -> Sequence[Observation]:
        """A command is carried out once more, because nobody knew that it had been, and may lead to something else."""
        return self._outcome(command) if self.run.is_current(command) else []

    def _failure(self) -> Failure:
        return self.chance.choice([USER, SYSTEM, FINAL])

    def _goes_wrong(self, share: float) -> bool:
        return self.chance.random() < share * self.badness

    def _outcome(self, command: Command) -> Sequence[Observation]:
        if isinstance(command, SetTimer):
            return [self.run.timer(command)]
        node_id, attempt = command.node_id, command.attempt
        if isinstance(command, _BINDING) and self._goes_wrong(0.03):
            return [BindingFailed(node_id, attempt, self._failure())]
        match command:
            case LaunchPod():
                return [self._pod(node_id, attempt)]
            case LookUpCache():
                return [self._look_up(node_id, attempt)]
            case PopulateCache() if self._goes_wrong(0.2):
                return [CachePopulated(node_id, attempt, catalog_pb2.CACHE_PUT_FAILURE)]
            case BuildGraph() if self._goes_wrong(0.1):
                return [GraphRefused(node_id, attempt, FINAL)]
            case TakeBranch():
                return [BranchTaken(node_id, attempt, self.chance.choice(self.run.cases(node_id)))]
            case OpenArray():
                return [ArrayOpened(node_id, attempt, self.chance.randint(0, 6))]
            case LaunchChild():
                return [self._child(node_id, attempt)]
            case TerminateChild():
                ended = ChildEnded(node_id, self.run.child_name(node_id, attempt), ExecutionPhase.ABORTED, failure=USER)
                return [self.chance.choice([ended, ChildGone(node_id, attempt)])]
            case AwaitSignal() if self.chance.random() < 0.5:
                return []
            case AwaitSignal() | TakeSignal():
                return [SignalTaken(node_id, attempt, FINAL if self._goes_wrong(0.3) else None)]
            case _:
                return self.run.usual(command)

    def _pod(self, node_id: str, attempt: int) -> Observation:
        roll = self.chance.random()
        if self._goes_wrong(0.03):
            return LaunchFailed(node_id, attempt, self._failure())
        if roll < 0.4:
            return TaskProgressed(node_id, attempt, self.chance.choice(_UNDER_WAY), "", self.run.now)
        if not self._goes_wrong(0.3):
            has_graph = bool(self.run.generated(node_id)) and self.chance.random() < 0.9
            return TaskEnded(node_id, attempt, None, has_graph=has_graph)
        return TaskEnded(node_id, attempt, self._failure(), pod_lingers=self.chance.random() < 0.5)

    def _look_up(self, node_id: str, attempt: int) -> Observation:
        (usual,) = self.run.usual(LookUpCache(node_id, attempt))
        others = [
            CacheLookedUp(node_id, attempt, catalog_pb2.CACHE_HIT),
            CacheLookedUp(node_id, attempt, catalog_pb2.CACHE_LOOKUP_FAILURE),
            CacheLookedUp(node_id, attempt, catalog_pb2.CACHE_MISS, is_busy=True),
        ]
        return self.chance.choice([usual, usual, *others])

    def _child(self, node_id: str, attempt: int) -> Observation:
        name = self.run.child_name(node_id, attempt)
        good = [
            ChildStarted(node_id, attempt),
            ChildEnded(node_id, name, ExecutionPhase.SUCCEEDED, "file:///child/outputs.pb"),
        ]
        bad = [
            ChildEnded(node_id, name, ExecutionPhase.FAILED, failure=self._failure()),
            ChildEnded(node_id, name, ExecutionPhase.ABORTED, failure=FINAL),
            ChildRefused(node_id, attempt, FINAL),
        ]
        return self.chance.choice(bad if self._goes_wrong(0.5) else good)
