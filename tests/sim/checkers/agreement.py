"""Whether admin's record says what propeller's tables say, and whether both say what the Pods did."""

from collections.abc import Mapping, Sequence
from typing import Any

from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase

from ..workflows import Fate
from ..world import Outcome


def agreement(outcome: Outcome) -> Sequence[str]:
    """Everything that is recorded is so, and everything that is so is recorded."""
    return [*_executions(outcome), *_nodes(outcome), *_attempts(outcome)]


def _executions(outcome: Outcome) -> Sequence[str]:
    recorded = {row["execution_name"]: row["phase"] for row in outcome.stored["record.executions"]}
    run = {row["id"].rpartition("/")[2]: ExecutionPhase(row["phase"]).name for row in outcome.stored["executions"]}
    return _differences("execution", recorded, run)


def _nodes(outcome: Outcome) -> Sequence[str]:
    recorded = {(row["execution_name"], row["node_id"]): row["phase"] for row in outcome.stored["record.nodes"]}
    run = {
        (row["execution_id"].rpartition("/")[2], row["id"]): NodePhase(row["phase"]).name
        for row in outcome.stored["nodes"]
        if row["item"] < 0 and not _lies_in_item(outcome, row["execution_id"], row["scope"])
    }
    return _differences("node", recorded, run)


def _lies_in_item(outcome: Outcome, execution_id: str, scope: str) -> bool:
    rows = {row["id"]: row for row in outcome.stored["nodes"] if row["execution_id"] == execution_id}
    while scope:
        if rows[scope]["item"] >= 0:
            return True
        scope = rows[scope]["scope"]
    return False


def _attempts(outcome: Outcome) -> Sequence[str]:
    """A recorded attempt that succeeded had a Pod that did; the Pod of one that failed did not do its work."""
    found: list[str] = []
    fates = {
        (one.what["execution"], one.what["node"], one.what["attempt"]): one.what["fate"]
        for one in outcome.history.of("pod ended")
    }
    arrays = {(r["execution_id"].rpartition("/")[2], r["id"]) for r in outcome.stored["nodes"] if r["kind"] == "array"}
    for row in outcome.stored["record.attempts"]:
        key = row["execution_name"], row["node_id"], row["retry_attempt"]
        if key[:2] in arrays:
            continue
        fate, phase = fates.get(key), TaskPhase[row["phase"]]
        if phase is TaskPhase.SUCCEEDED and fate is not Fate.WELL:
            found.append(f"attempt {key} is recorded as SUCCEEDED, its Pod ended as {fate}")
        if phase is TaskPhase.FAILED and fate is Fate.WELL:
            found.append(f"attempt {key} is recorded as FAILED, its Pod did its work")
        if phase not in (TaskPhase.SUCCEEDED, TaskPhase.FAILED, TaskPhase.ABORTED):
            found.append(f"attempt {key} is recorded as {phase.name} for ever")
    return found


def _differences(what: str, recorded: Mapping[Any, str], run: Mapping[Any, str]) -> list[str]:
    return [
        f"{what} {key} is {recorded.get(key)} for admin, {run.get(key)} for propeller"
        for key in sorted(recorded.keys() | run.keys(), key=str)
        if recorded.get(key) != run.get(key)
    ]
