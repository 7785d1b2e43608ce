"""Whether the end is the one that the oracle foretells."""

from collections.abc import Mapping, Sequence

from sailplane_core.phases import ExecutionPhase, NodePhase
from sailplane_protos.core import literals_pb2

from ..oracle import Foretold, Path, Verdict, foretell
from ..pods import value_of
from ..workflows import Graph, Value
from ..world import Outcome
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
            foretold = foretell(one.graph, one.a)
            nodes = {row["id"]: row for row in outcome.stored["nodes"] if row["execution_id"] == rows[name]["id"]}
            found.extend(_execution(name, rows[name], nodes, foretold, outcome.objects, is_cut=is_cut))
            found.extend(_nodes(name, nodes, foretold, outcome.objects))
            if not is_cut and one.graph.goes_on:
                found.extend(_complete(name, nodes, one.graph, foretold))
            if not is_cut:
                found.extend(_cleaned_up(name, nodes, one.graph, foretold))
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
        way = _way(nodes, row)
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


def _attempts(name: str, way: Path, row: Row, verdict: Verdict) -> Sequence[str]:
    had = row["attempt"] + 1
    if verdict.attempts and had != verdict.attempts:
        return [f"{name}/{way} had {had} attempts, not {verdict.attempts}"]
    return []


def _complete(name: str, nodes: Mapping[str, Row], graph: Graph, foretold: Foretold) -> Sequence[str]:
    """A workflow that goes on after a failure reaches all that can be reached."""
    ended = {_way(nodes, row): _N(row["phase"]) for row in nodes.values()}
    found: list[str] = []
    for node in graph.nodes:
        verdict = foretold.nodes.get((node.id,))
        if verdict is not None and ended.get((node.id,)) not in (_DONE if verdict.succeeds else _FAILED):
            found.append(f"{name}/{node.id} ended as {ended.get((node.id,))}, and could be reached")
    return found


def _cleaned_up(name: str, nodes: Mapping[str, Row], graph: Graph, foretold: Foretold) -> Sequence[str]:
    if foretold.verdict.succeeds or graph.cleanup is None:
        return []
    row = nodes.get("fn")
    if row is None or _N(row["phase"]) not in (*_DONE, *_FAILED):
        return [f"{name} failed, and its failure node did not run"]
    return []


def _way(nodes: Mapping[str, Row], row: Row) -> Path:
    step = f"[{row['item']}]" if row["item"] >= 0 else row["spec_id"]
    return (*_way(nodes, nodes[row["scope"]]), step) if row["scope"] else (step,)


def _output(row: Row, objects: Mapping[str, bytes]) -> Value:
    if row["outputs_uri"] not in objects:
        return None
    outputs = literals_pb2.LiteralMap.FromString(objects[row["outputs_uri"]])
    return value_of(outputs.literals["o"])
