"""Whether the end is the one that the oracle foretells."""

from collections.abc import Mapping, Sequence

from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.core import catalog_pb2, literals_pb2

from ..oracle import Foretold, Path, Verdict, foretell
from ..pods import value_of
from ..workflows import FAILURE_NODE, Graph, Value
from ..world import Outcome
from .order import undisputed
from .replay import Row

_E, _N = ExecutionPhase, NodePhase
_DONE = (_N.SUCCEEDED, _N.RECOVERED)
_FAILED = (_N.FAILED, _N.TIMED_OUT)


def as_foretold(outcome: Outcome) -> Sequence[str]:
    """Every execution that users asked for, and every node and attempt in it."""
    found: list[str] = []
    rows = {row["id"].rpartition("/")[2]: row for row in outcome.stored["executions"]}
    for one in outcome.asked:
        for name in filter(None, (one.name, one.ran_again)):
            if name not in rows:
                continue
            is_cut = one.is_terminated and name == one.name
            found.extend(_whole(name, rows, outcome, foretell(one.graph, one.a), is_cut=is_cut))
    return found


def _whole(name: str, rows: Mapping[str, Row], outcome: Outcome, foretold: Foretold, *, is_cut: bool) -> Sequence[str]:
    """An execution and those that it has started. `is_cut`: it may have been aborted."""
    nodes = {row["id"]: row for row in outcome.stored["nodes"] if row["execution_id"] == rows[name]["id"]}
    graph = foretold.graph
    found = [
        *_execution(name, rows[name], nodes, foretold, outcome.objects, is_cut=is_cut),
        *_nodes(name, nodes, foretold, outcome.objects),
        *_items_at_once(name, nodes, foretold, outcome),
    ]
    if graph is not None and not is_cut:
        found += _complete(name, nodes, graph, foretold) if graph.goes_on else ()
        found += _cleaned_up(name, nodes, graph, foretold)
    for row in nodes.values():
        child = foretold.children.get(way_to(nodes, row))
        if child is not None and row["child_name"] in rows and row["phase"] != _N.RECOVERED:
            cut = is_cut or _N(row["phase"]) is _N.ABORTED
            found += _whole(row["child_name"], rows, outcome, child, is_cut=cut)
    return found


def _execution(
    name: str, row: Row, nodes: Mapping[str, Row], foretold: Foretold, objects: Mapping[str, bytes], *, is_cut: bool
) -> Sequence[str]:
    phase, verdict = _E(row["phase"]), foretold.verdict
    expected = _E.SUCCEEDED if verdict.succeeds else _E.FAILED
    if phase is not expected and not (is_cut and phase is _E.ABORTED):
        return [f"{name} is {phase.name}, not {expected.name}"]
    if phase is _E.SUCCEEDED:
        given = _output(nodes["end-node"], objects)
        if given != verdict.value:
            return [f"{name} gives {given}, not {verdict.value}"]
    return []


def _nodes(name: str, nodes: Mapping[str, Row], foretold: Foretold, objects: Mapping[str, bytes]) -> Sequence[str]:
    found: list[str] = []
    for row in nodes.values():
        way = way_to(nodes, row)
        phase = _N(row["phase"])
        verdict = foretold.nodes.get(way)
        if row["kind"] in ("start", "end"):
            continue
        if phase is _N.SKIPPED:
            if way not in foretold.unreachable:
                found.append(f"{name}/{way} was skipped, and could be reached")
        elif verdict is None:
            found.append(f"{name}/{way} was begun, and could not be reached")
        elif phase in _DONE and not verdict.succeeds:
            found.append(f"{name}/{way} is {phase.name}, and must fail")
        elif phase in _FAILED and verdict.succeeds:
            found.append(f"{name}/{way} is {phase.name}, and must succeed: {row['failure']}")
        elif phase in _DONE and row["outputs_uri"] and (given := _output(row, objects)) != verdict.value:
            found.append(f"{name}/{way} gives {given}, not {verdict.value}")
        if verdict is not None and phase in (_N.SUCCEEDED, _N.FAILED):
            found.extend(_attempts(name, way, row, verdict))
    return found


def _items_at_once(name: str, nodes: Mapping[str, Row], foretold: Foretold, outcome: Outcome) -> Sequence[str]:
    """Of an array no more Pods run at one time than it wants."""
    limits = {
        row["id"]: foretold.at_once.get(way_to(nodes, row), 0) for row in nodes.values() if row["kind"] == "array"
    }
    live: dict[str, set[str]] = {array: set() for array in limits}
    found: list[str] = []
    for one in undisputed(outcome):
        node = nodes.get(one.what.get("node", "")) if one.what.get("execution") == name else None
        if node is None or node["scope"] not in limits:
            continue
        if one.kind == "pod ensured":
            live[node["scope"]].add(node["id"])
            limit = limits[node["scope"]]
            if limit and len(live[node["scope"]]) > limit:
                found.append(f"{name}/{node['scope']}: {sorted(live[node['scope']])} run at one time, {limit} may")
        elif one.kind in ("pod ended", "pod removed"):
            live[node["scope"]].discard(node["id"])
    return found


def _attempts(name: str, way: Path, row: Row, verdict: Verdict) -> Sequence[str]:
    if row["kind"] != "task" or row["cache_status"] == catalog_pb2.CACHE_HIT:
        return []
    if row["task_phase"] == TaskPhase.UNDEFINED and row["graph_uri"]:
        return []  # the graph that it goes on with is that of the execution it recovers
    had = row["attempt"] + 1
    if verdict.attempts and had != verdict.attempts:
        return [f"{name}/{way} had {had} attempts, not {verdict.attempts}"]
    return []


def _complete(name: str, nodes: Mapping[str, Row], graph: Graph, foretold: Foretold) -> Sequence[str]:
    """A workflow that goes on after a failure reaches all that can be reached."""
    ended = {way_to(nodes, row): _N(row["phase"]) for row in nodes.values()}
    found: list[str] = []
    for node in graph.nodes:
        verdict = foretold.nodes.get((node.id,))
        if verdict is not None and ended.get((node.id,)) not in (_DONE if verdict.succeeds else _FAILED):
            found.append(f"{name}/{node.id} ended as {ended.get((node.id,))}, and could be reached")
    return found


def _cleaned_up(name: str, nodes: Mapping[str, Row], graph: Graph, foretold: Foretold) -> Sequence[str]:
    if foretold.verdict.succeeds or graph.cleanup is None:
        return []
    row = nodes.get(FAILURE_NODE)
    if row is None or _N(row["phase"]) not in (*_DONE, *_FAILED):
        return [f"{name} failed, and its failure node did not run"]
    return []


def way_to(nodes: Mapping[str, Row], row: Row) -> Path:
    """The way to a node through the templates, which is the same in every execution."""
    step = f"[{row['item']}]" if row["item"] >= 0 else row["spec_id"]
    if not row["scope"]:
        return (step,)
    container = nodes[row["scope"]]
    if container["kind"] == "branch":
        step = step.rpartition("-")[2]  # cases are registered under their branch's name and their own
    return (*way_to(nodes, container), step)


def _output(row: Row, objects: Mapping[str, bytes]) -> Value:
    if row["outputs_uri"] not in objects:
        return None
    outputs = literals_pb2.LiteralMap.FromString(objects[row["outputs_uri"]])
    return value_of(outputs.literals["o"])
