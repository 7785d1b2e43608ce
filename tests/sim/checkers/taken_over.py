"""Whether an execution that recovers another one takes over what that one had done."""

from collections.abc import Iterator, Mapping, Sequence

from sailplane_core.phases import NodePhase

from ..oracle import Path
from ..workflows import FAILURE_NODE
from ..world import Outcome
from .foretold import way_to
from .replay import Row

_DONE = (NodePhase.SUCCEEDED, NodePhase.RECOVERED)


def taken_over(outcome: Outcome) -> Sequence[str]:
    """No node that had succeeded is run again, in child executions neither."""
    recovering = {one.what["execution"] for one in outcome.history.of("accepted") if one.what.get("again") == "recover"}
    found: list[str] = []
    for one in outcome.asked:
        if one.ran_again in recovering:
            found.extend(_run_again(outcome, one.name, one.ran_again))
    return found


def _run_again(outcome: Outcome, name: str, again: str) -> Iterator[str]:
    before, after = _nodes(outcome, name), _nodes(outcome, again)
    for path, row in after.items():
        earlier = before.get(path)
        if earlier is None or row["kind"] in ("start", "end") or FAILURE_NODE in path:
            continue  # a failure node cleans up after its own run
        if earlier["phase"] in _DONE:
            if row["phase"] != NodePhase.RECOVERED:
                yield f"{again}/{path} is {NodePhase(row['phase']).name}, and had succeeded in {name}"
        elif earlier["child_name"] and row["child_name"]:
            yield from _run_again(outcome, earlier["child_name"], row["child_name"])


def _nodes(outcome: Outcome, name: str) -> Mapping[Path, Row]:
    rows = {row["id"]: row for row in outcome.stored["nodes"] if row["execution_id"].rpartition("/")[2] == name}
    return {way_to(rows, row): row for row in rows.values()}
