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
    """A task. `frailty` is how likely an attempt goes wrong, `graph` what a dynamic one generates."""

    name: str
    frailty: float = 0.0
    retries: int = 0
    hangs: bool = False
    graph: "Graph | None" = None

    def fate(self, item: int, attempt: int) -> Fate:
        """What becomes of an attempt; `item` is -1 where there are no items."""
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
    return [value if value is not None else 7]


@dataclass(frozen=True)
class Node:
    """A node of a graph. `inputs` are bound by name; `after` are nodes it waits for besides."""

    id: str
    inputs: Mapping[str, Source]
    after: tuple[str, ...] = ()
    task: Task | None = None
    graph: "Graph | None" = None

    @property
    def upstream(self) -> tuple[str, ...]:
        """Every node it waits for."""
        needed = {ref.node for source in self.inputs.values() for ref in _refs(source)} | set(self.after)
        return tuple(sorted(needed - {""}))


def _refs(source: Source) -> list[Ref]:
    if isinstance(source, tuple):
        return [ref for one in source for ref in _refs(one)]
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

    @property
    def by_id(self) -> dict[str, Node]:
        """Its nodes."""
        return {node.id: node for node in self.nodes}


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
            nodes.append(self._node(f"n{index}", nodes, depth))
        used = {upstream for node in nodes for upstream in node.upstream}
        leaves = [node.id for node in nodes if node.id not in used]
        cleanup = self._task() if chance.random() < 0.2 else None
        made = Graph(name, tuple(nodes), Ref(chance.choice(leaves)), chance.random() < 0.4, cleanup)
        self.graphs[place] = made
        return made

    def _node(self, id: str, before: Sequence[Node], depth: int) -> Node:
        chance = self.random
        kinds = [kind for kind in self.kinds if kind == "task" or (depth < 2 and self.size_left > 1)]
        weights = [4 if kind == "task" else 1 for kind in kinds]
        kind = chance.choices(kinds, weights)[0]
        after = tuple(node.id for node in before if chance.random() < 0.15)
        return MAKERS[kind](self, id, before, after, depth)

    def _source(self, before: Sequence[Node]) -> Source:
        chance = self.random
        if before and chance.random() < 0.6:
            return Ref(chance.choice(before).id)
        return Ref() if chance.random() < 0.7 else chance.randint(0, 99)

    def _task(self) -> Task:
        chance = self.random
        self.size_left -= 1
        task = Task(
            f"{self.prefix}-t{len(self.tasks)}",
            frailty=chance.choice((0.0, 0.0, 0.3, 0.6)) * self.frailty,
            retries=chance.choice((0, 1, 2)),
            hangs=chance.random() < 0.1,
        )
        self.tasks.append(task)
        return task

    def task_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> Node:
        """A task."""
        inputs = {"a": self._source(before), "b": self._source(before)}
        return Node(id, inputs, after, task=self._task())

    def subworkflow_node(self, id: str, before: Sequence[Node], after: tuple[str, ...], depth: int) -> Node:
        """A graph inside."""
        return Node(id, {"a": self._source(before)}, after, graph=self.graph(depth + 1))


Maker = Callable[[Drawing, str, Sequence[Node], tuple[str, ...], int], Node]
MAKERS: dict[str, Maker] = {"task": Drawing.task_node, "subworkflow": Drawing.subworkflow_node}
"""How a node of each kind is drawn."""


def draw(random_: random.Random, prefix: str) -> Drawing:
    """A seed's workflow: `graphs[0]` is the one to run."""
    size = random_.choice((1, 2, 3, 4, 4, 5, 6, 8))
    generator = Drawing(random_, prefix, size, tuple(MAKERS), frailty=random_.choice((0.0, 0.5, 1.0)))
    generator.graph()
    return generator
