"""Random workflows: what a seed's executions run, small, and with an outcome that can be foretold.

Everything counts in integers. A task gives a number made from its name and all numbers it was given, so that a value
that came from the wrong place shows at the end. What becomes of an attempt is a function of the task, the index of the
item, and the attempt (`Task.fate`), known to the Pods (`pods`) and to the oracle (`oracle`).
"""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Value = int | list["Value"] | None

MODULUS = 100_003
NONE_COUNTS = 7
"""What an element counts that an array could not give."""
FAILURE_NODE = "fn"
"""The id of every graph's failure node."""


class Fate(StrEnum):
    """What becomes of one attempt."""

    WELL = "well"
    EXIT = "exit"
    OOM = "oom"
    EVICTED = "evicted"
    DELETED = "deleted"
    LOST = "lost"
    ERROR_RECOVERABLE = "error_recoverable"
    ERROR_FINAL = "error_final"
    ERROR_SYSTEM = "error_system"
    GARBAGE = "garbage"
    NO_OUTPUTS = "no_outputs"
    HANG = "hang"


USER_FATES = (Fate.EXIT, Fate.OOM, Fate.ERROR_RECOVERABLE, Fate.GARBAGE, Fate.NO_OUTPUTS)
"""Spend the user's retries."""
SYSTEM_FATES = (Fate.EVICTED, Fate.DELETED, Fate.LOST, Fate.ERROR_SYSTEM)
"""Spend the system's."""


@dataclass(frozen=True)
class Ref:
    """A value from elsewhere: input `a` of the workflow if `node` is "", else an output of a node."""

    node: str = ""


Source = Ref | int | tuple["Source", ...]


@dataclass(frozen=True)
class Task:
    """A task. `frailty` is how likely an attempt goes wrong, `graph` what a dynamic one generates.

    `takes_list`: its input `a` is a list of numbers. `is_cached`: what it gave is taken again for the same inputs.
    """

    name: str
    frailty: float = 0.0
    retries: int = 0
    hangs: bool = False
    takes_list: bool = False
    is_cached: bool = False
    is_serialized: bool = False
    graph: "Graph | None" = None

    def fate(self, item: int, attempt: int) -> Fate:
        """What becomes of an attempt; `item` is -1 where there are no items.

        Attempts that may take what another one gave for the same inputs all have the same fate.
        """
        item = -1 if self.is_cached else item
        chance = random.Random(f"{self.name}/{item}/{attempt}")
        if chance.random() >= self.frailty:
            return Fate.WELL
        if self.hangs and attempt == 0:
            return Fate.HANG
        if chance.random() < 0.1:
            return Fate.ERROR_FINAL
        return chance.choice(SYSTEM_FATES if chance.random() < 0.4 else USER_FATES)

    def gives(self, given: Mapping[str, Value]) -> int:
        """The number that it makes of what it is given."""
        salt = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")
        total = salt
        for index, name in enumerate(sorted(given)):
            for place, number in enumerate(_numbers(given[name])):
                total += (index + 2) * (place + 1) * number
        return total % MODULUS


def _numbers(value: Value) -> list[int]:
    if isinstance(value, list):
        return [number for one in value for number in _numbers(one)]
    return [value if value is not None else NONE_COUNTS]


@dataclass(frozen=True)
class Branch:
    """Takes the first case whose bound is above the input `x`; `otherwise` is None where that is an error."""

    cases: tuple[tuple[int, "Node"], ...]
    otherwise: "Node | None"

    @property
    def nodes(self) -> tuple["Node", ...]:
        """Every case's."""
        default = () if self.otherwise is None else (self.otherwise,)
        return (*(node for _, node in self.cases), *default)

    def taken(self, x: Value) -> "Node | None":
        """The case for a value."""
        assert isinstance(x, int)
        return next((node for bound, node in self.cases if x < bound), self.otherwise)


@dataclass(frozen=True)
class Array:
    """A task for each element. `at_once` is 0 for no limit, `needed` how many must succeed, None for all."""

    task: Task
    size: int
    at_once: int
    needed: int | None
    has_own_inputs: bool
    """Whether each item gets inputs of its own instead of the lists."""


@dataclass(frozen=True)
class Gate:
    """Waits: `sleep` for `value` seconds, `signal` for a number, `approve` for a yes (1) or no (0)."""

    kind: str
    value: int


@dataclass(frozen=True)
class Node:
    """A node of a graph. `inputs` are bound by name; `after` are nodes it waits for besides.

    It is one of: a task, a graph inside, a launch plan, a branch, an array, a gate.
    """

    id: str
    inputs: Mapping[str, Source]
    after: tuple[str, ...] = ()
    task: Task | None = None
    graph: "Graph | None" = None
    plan: "Graph | None" = None
    branch: Branch | None = None
    array: Array | None = None
    gate: Gate | None = None

    @property
    def upstream(self) -> tuple[str, ...]:
        """Every node it waits for."""
        needed = {ref.node for source in self.inputs.values() for ref in refs(source)} | set(self.after)
        for case in self.branch.nodes if self.branch is not None else ():
            needed |= set(case.upstream)
        return tuple(sorted(needed - {""}))

    @property
    def gives_number(self) -> bool:
        """Whether its output `o` is a number."""
        return self.array is None and not (self.gate is not None and self.gate.kind == "sleep")


def refs(source: Source) -> list[Ref]:
    """Everything that a source refers to."""
    if isinstance(source, tuple):
        return [ref for one in source for ref in refs(one)]
    return [source] if isinstance(source, Ref) else []


@dataclass(frozen=True)
class Graph:
    """A workflow: takes the number `a`, gives the number `o`. `goes_on` lets other nodes finish after a failure."""

    name: str
    nodes: tuple[Node, ...]
    result: Source
    goes_on: bool = False
    cleanup: Task | None = None
    """Its failure node's."""


@dataclass
class Drawing:
    """Draws graphs. `size_left` bounds how many tasks there will be in all."""

    random: random.Random
    prefix: str
    size_left: int
    kinds: Sequence[str]
    frailty: float = 0.0
    tasks: list[Task] = field(default_factory=list[Task])
    graphs: list[Graph] = field(default_factory=list[Graph])
    plans: list[Graph] = field(default_factory=list[Graph])
    """Those that are started by launch plans, the inner before the outer."""
    gates: dict[str, Gate] = field(default_factory=dict[str, Gate])
    """By the id of their signal."""

    def graph(self, depth: int = 0) -> Graph:
        """One graph, with everything in it."""
        chance = self.random
        name = f"{self.prefix}-w{len(self.graphs)}"
        place = len(self.graphs)
        self.graphs.append(Graph(name, (), 0))
        nodes: list[Node] = []
        for index in range(chance.randint(1, 5 if depth == 0 else 3)):
            if nodes and self.size_left <= 0:
                break
            nodes.extend(self._nodes(f"n{index}", nodes, depth))
        used = {upstream for node in nodes for upstream in node.upstream}
        leaves = [node.id for node in nodes if node.id not in used and node.gives_number]
        result: Source = Ref(chance.choice(leaves)) if leaves else Ref()
        cleanup = self._task() if chance.random() < 0.2 else None
        made = Graph(name, tuple(nodes), result, chance.random() < 0.4, cleanup)
        self.graphs[place] = made
        return made

    def _nodes(self, id: str, before: Sequence[Node], depth: int) -> list[Node]:
        chance = self.random
        kinds = [kind for kind in self.kinds if kind == "task" or (depth < DEPTH_MAX and self.size_left > 1)]
        kinds = [kind for kind in kinds if kind in MAKERS]
        weights = [WEIGHTS.get(kind, 2) for kind in kinds]
        kind = chance.choices(kinds, weights)[0]
        after = tuple(node.id for node in before if chance.random() < 0.15)
        return MAKERS[kind](self, id, before, after, depth)

    def _source(self, before: Sequence[Node]) -> Source:
        chance = self.random
        numbers = [node.id for node in before if node.gives_number]
        if numbers and chance.random() < 0.6:
            return Ref(chance.choice(numbers))
        return Ref() if chance.random() < 0.7 else chance.randint(0, 99)

    def _task(self, *, takes_list: bool = False, graph: Graph | None = None) -> Task:
        chance = self.random
        self.size_left -= 1
        is_cached = graph is None and "cache" in self.kinds and chance.random() < 0.3
        task = Task(
            f"{self.prefix}-t{len(self.tasks)}",
            frailty=chance.choice((0.0, 0.0, 0.3, 0.6, 0.9)) * self.frailty,
            retries=chance.choice((0, 1, 2)),
            hangs=chance.random() < 0.1 and graph is None,
            takes_list=takes_list,
            is_cached=is_cached,
            is_serialized=is_cached and chance.random() < 0.5,
            graph=graph,
        )
        self.tasks.append(task)
        return task

    def task_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> list[Node]:
        """A task."""
        inputs = {"a": self._source(before), "b": self._source(before)}
        return [Node(id, inputs, after, task=self._task())]

    def dynamic_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> list[Node]:
        """A task that generates a graph."""
        inputs = {"a": self._source(before), "b": self._source(before)}
        return [Node(id, inputs, after, task=self._task(graph=self.graph(depth + 1)))]

    def subworkflow_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> list[Node]:
        """A graph inside."""
        return [Node(id, {"a": self._source(before)}, after, graph=self.graph(depth + 1))]

    def launch_plan_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> list[Node]:
        """An execution of its own."""
        graph = self.graph(depth + 1)
        self.plans.append(graph)
        return [Node(id, {"a": self._source(before)}, after, plan=graph)]

    def branch_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> list[Node]:
        """Some cases, one of them taken."""
        chance = self.random
        bounds = sorted(chance.sample(range(MODULUS) if chance.random() < 0.5 else range(100), chance.randint(1, 2)))
        makers = [kind for kind in CASES if kind in self.kinds]
        made = [
            MAKERS[chance.choice(makers)](self, f"{id}c{index}", before, (), depth + 1)[0]
            for index in range(len(bounds) + 1)
        ]
        otherwise = made.pop() if chance.random() < 0.8 else None
        cases = tuple(zip(bounds, made, strict=False))
        return [Node(id, {"x": self._source(before)}, after, branch=Branch(cases, otherwise))]

    def array_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> list[Node]:
        """A task for each element of a list, and one that takes what came of it."""
        chance = self.random
        size = chance.choice((0, 1, 2, 3, 5))
        lists = {name: tuple(self._source(before) for _ in range(size)) for name in ("a", "b")}
        needed = chance.randint(0, size) if chance.random() < 0.5 else None
        array = Array(self._task(), size, chance.choice((0, 1, 2)), needed, chance.random() < 0.5)
        gather = self._task(takes_list=True)
        inputs: dict[str, Source] = {"a": Ref(id), "b": self._source(before)}
        return [Node(id, lists, after, array=array), Node(f"{id}g", inputs, task=gather)]

    def gate_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> list[Node]:
        """A pause, a question, or a wait for a number."""
        chance = self.random
        kind = chance.choice(("sleep", "signal", "approve"))
        value = {"sleep": (1, 60), "signal": (0, 99), "approve": (0, 5)}[kind]
        gate = Gate(kind, min(chance.randint(*value), 1) if kind == "approve" else chance.randint(*value))
        self.gates[f"{self.graphs[-1].name}-{id}-{len(self.gates)}"] = gate
        inputs = {"o": self._source(before)} if kind == "approve" else {}
        return [Node(id, inputs, after, gate=gate)]

    def signal_of(self, gate: Gate) -> str:
        """The id of a gate's signal."""
        return next(id for id, one in self.gates.items() if one is gate)


Maker = Callable[[Drawing, str, Sequence[Node], tuple[str, ...], int], list[Node]]
MAKERS: dict[str, Maker] = {
    "task": Drawing.task_node,
    "subworkflow": Drawing.subworkflow_node,
    "launch_plan": Drawing.launch_plan_node,
    "branch": Drawing.branch_node,
    "array": Drawing.array_node,
    "gate": Drawing.gate_node,
    "dynamic": Drawing.dynamic_node,
}
"""How nodes of each kind are drawn."""
WEIGHTS = {"task": 8}
CASES = ("task", "subworkflow", "launch_plan", "dynamic", "branch")
"""What may be a case of a branch."""
DEPTH_MAX = 2


def draw(random_: random.Random, prefix: str) -> Drawing:
    """A seed's workflow: `graphs[0]` is the one to run."""
    size = random_.choice((1, 2, 3, 4, 4, 5, 6, 8))
    drawing = Drawing(random_, prefix, size, (*MAKERS, "cache"), frailty=random_.choice((0.0, 0.5, 1.0, 1.0)))
    drawing.graph()
    return drawing
