"""What must come out of a workflow, worked out from its drawing and the fates of its attempts alone.

It knows nothing of the engine: no rows, no ids but those written in the workflow, no time. Where the engine may choose
(which of two failing nodes fails first), it says what is allowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .workflows import FAILURE_NODE, SYSTEM_FATES, Array, Branch, Fate, Graph, Node, Source, Task, Value
from .workflows import Ref as Reference

SYSTEM_RETRIES = 2

Path = tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """How something must end: whether it succeeds, and with what. `attempts` is how many a task then had."""

    succeeds: bool
    value: Value = None
    attempts: int = 0


@dataclass
class Foretold:
    """The whole of an execution: every node that must be reached unless something failed first, by its way."""

    verdict: Verdict
    nodes: dict[Path, Verdict] = field(default_factory=dict[Path, Verdict])
    unreachable: set[Path] = field(default_factory=set[Path])
    children: dict[Path, "Foretold"] = field(default_factory=dict[Path, "Foretold"])
    """The executions that launch-plan nodes start."""
    at_once: dict[Path, int] = field(default_factory=dict[Path, int])
    """How many items of an array may be under way, where that is limited."""
    graph: Graph | None = None


def foretell(graph: Graph, a: Value) -> Foretold:
    """What becomes of a workflow that is given `a`."""
    foretold = Foretold(Verdict(succeeds=False), graph=graph)
    foretold.verdict = _graph(graph, a, (), foretold)
    return foretold


def of_task(task: Task, item: int, given: Mapping[str, Value]) -> Verdict:
    """What becomes of a task, its retries spent."""
    by_user, by_system, hung = 0, 0, 0
    for attempt in range(100):
        fate = task.fate(item, attempt)
        if fate is Fate.WELL:
            return Verdict(succeeds=True, value=task.gives(given), attempts=attempt + 1)
        if fate in SYSTEM_FATES:
            by_system += 1
        else:
            by_user += 1
        hung += fate is Fate.HANG
        if fate is Fate.ERROR_FINAL or by_system > SYSTEM_RETRIES or by_user > task.retries or hung > 1:
            return Verdict(succeeds=False, attempts=attempt + 1)
    raise AssertionError(f"task {task.name} never ends")


def _graph(graph: Graph, a: Value, way: Path, foretold: Foretold) -> Verdict:
    verdicts: dict[str, Verdict] = {}
    for node in graph.nodes:
        if all(upstream in verdicts and verdicts[upstream].succeeds for upstream in node.upstream):
            verdicts[node.id] = _reached(node, a, verdicts, (*way, node.id), foretold)
        else:
            foretold.unreachable.add((*way, node.id))
    if all(node.id in verdicts and verdicts[node.id].succeeds for node in graph.nodes):
        return Verdict(succeeds=True, value=_value(graph.result, a, verdicts))
    if graph.cleanup is not None:
        foretold.nodes[(*way, FAILURE_NODE)] = of_task(graph.cleanup, -1, {"a": a, "b": 1})
    return Verdict(succeeds=False)


def _node(node: Node, given: Mapping[str, Value], way: Path, foretold: Foretold) -> Verdict:
    """What becomes of a node that is reached with these inputs."""
    if node.task is not None:
        verdict = of_task(node.task, -1, given)
        if node.task.graph is None or not verdict.succeeds:
            return verdict
        inner = _graph(node.task.graph, given["a"], way, foretold)
        return Verdict(inner.succeeds, inner.value, verdict.attempts)
    if node.graph is not None:
        return _graph(node.graph, given["a"], way, foretold)
    if node.plan is not None:
        child = foretold.children[way] = foretell(node.plan, given["a"])
        return child.verdict
    if node.array is not None:
        return _array(node.array, given, way, foretold)
    if node.gate is not None:
        match node.gate.kind:
            case "signal":
                return Verdict(succeeds=True, value=node.gate.value)
            case "approve":
                return Verdict(succeeds=bool(node.gate.value), value=given["o"])
            case _:
                return Verdict(succeeds=True)
    raise AssertionError(f"node {node.id} runs nothing")


def _branch(
    node: Node, branch: Branch, a: Value, verdicts: Mapping[str, Verdict], way: Path, foretold: Foretold
) -> Verdict:
    taken = branch.taken(_value(node.inputs["x"], a, verdicts))
    foretold.unreachable |= {(*way, case.id) for case in branch.nodes if case is not taken}
    if taken is None:
        return Verdict(succeeds=False)
    return _reached(taken, a, verdicts, (*way, taken.id), foretold)


def _reached(node: Node, a: Value, verdicts: Mapping[str, Verdict], way: Path, foretold: Foretold) -> Verdict:
    if node.branch is not None:
        verdict = _branch(node, node.branch, a, verdicts, way, foretold)
    else:
        given = {name: _value(source, a, verdicts) for name, source in node.inputs.items()}
        verdict = _node(node, given, way, foretold)
    foretold.nodes[way] = verdict
    return verdict


def _array(array: Array, given: Mapping[str, Value], way: Path, foretold: Foretold) -> Verdict:
    verdicts: list[Verdict] = []
    for index in range(array.size):
        own = {name: values[index] for name, values in given.items() if isinstance(values, list)}
        verdicts.append(of_task(array.task, index, own))
        foretold.nodes[(*way, f"[{index}]")] = verdicts[-1]
    if array.at_once:
        foretold.at_once[way] = array.at_once
    well = sum(verdict.succeeds for verdict in verdicts)
    values: list[Value] = [verdict.value if verdict.succeeds else None for verdict in verdicts]
    return Verdict(well >= (array.size if array.needed is None else array.needed), values)


def _value(source: Source, a: Value, verdicts: Mapping[str, Verdict]) -> Value:
    if isinstance(source, Reference):
        return verdicts[source.node].value if source.node else a
    if isinstance(source, tuple):
        return [_value(one, a, verdicts) for one in source]
    return source
