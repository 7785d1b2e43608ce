"""What must be so at every commit, and between commits and Pods."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sailplane_core.phases import EXECUTION_TERMINAL, NODE_TERMINAL, ExecutionPhase, NodePhase, TaskPhase

from ..history import Happening
from ..workflows import Fate
from ..world import Outcome
from .replay import Row, commits

_E, _N, _T = ExecutionPhase, NodePhase, TaskPhase
_EXECUTION_RANK = {
    _E.UNDEFINED: 0,
    _E.QUEUED: 1,
    _E.RUNNING: 2,
    _E.SUCCEEDING: 3,
    _E.FAILING: 4,
    _E.ABORTING: 5,
    **dict.fromkeys(EXECUTION_TERMINAL, 6),
}
_NODE_RANK = {
    _N.UNDEFINED: 0,
    _N.QUEUED: 1,
    _N.RUNNING: 2,
    _N.DYNAMIC_RUNNING: 3,
    _N.FAILING: 4,
    **dict.fromkeys(NODE_TERMINAL, 5),
}
_TASK_RANK = {
    _T.UNDEFINED: 0,
    _T.QUEUED: 1,
    _T.WAITING_FOR_RESOURCES: 1,
    _T.INITIALIZING: 1,
    _T.RUNNING: 2,
    **dict.fromkeys((_T.SUCCEEDED, _T.FAILED, _T.ABORTED), 3),
}


def forwards(outcome: Outcome) -> Sequence[str]:
    """Phases never go backwards, in either service's tables; each save counts the version up by one."""
    found: list[str] = []
    for commit in commits(outcome):
        before, after = commit.header_before, commit.execution.header
        name = commit.execution.name
        if before and after["parked_at"] is None and after["version"] != before["version"] + 1:
            found.append(f"{name}: version {after['version']} was saved over {before['version']}")
        if before:
            found.extend(_backwards(name, _E, _EXECUTION_RANK, before["phase"], after["phase"]))
        for row in commit.changed:
            old = commit.before[row["id"]]
            if not old:
                continue
            if row["attempt"] < old["attempt"]:
                found.append(f"{name}/{row['id']}: attempt {row['attempt']} after {old['attempt']}")
            elif row["attempt"] == old["attempt"]:
                found.extend(_backwards(f"{name}/{row['id']}", _N, _NODE_RANK, old["phase"], row["phase"]))
                found.extend(
                    _backwards(f"{name}/{row['id']} task", _T, _TASK_RANK, old["task_phase"], row["task_phase"])
                )
            elif _N(old["phase"]) in NODE_TERMINAL:
                found.append(f"{name}/{row['id']}: another attempt of a node that was {_N(old['phase']).name}")
    return [*found, *_record_backwards(outcome)]


def _record_backwards(outcome: Outcome) -> Sequence[str]:
    found: list[str] = []
    latest: dict[tuple[Any, ...], str] = {}
    kinds: dict[str, tuple[Any, dict[Any, int]]] = {
        "executions": (_E, _EXECUTION_RANK),
        "node_executions": (_N, _NODE_RANK),
        "task_executions": (_T, _TASK_RANK),
    }
    for row in outcome.record:
        phases, rank = kinds[row["of"]]
        key = (row["of"], row["execution_name"], row["node_id"], row["retry_attempt"])
        before = latest.get(key)
        if before is not None and not (row["of"] == "node_executions" and row["phase"] == "QUEUED"):
            found.extend(_backwards(f"record {key}", phases, rank, phases[before], phases[row["phase"]]))
        latest[key] = row["phase"]
    return found


def _backwards(what: str, phases: Any, rank: dict[Any, int], before: int, after: int) -> list[str]:
    old, new = phases(before), phases(after)
    if rank[new] < rank[old] or (rank[old] == max(rank.values()) and new is not old):
        return [f"{what}: {old.name} -> {new.name}"]
    return []


def undisputed(outcome: Outcome) -> Iterator[Happening]:
    """What happened, without the Pods that two propellers began which both took themselves for the owner.

    One stood still and went on after the other had taken over. What either writes is fenced by the version. A Pod that
    it starts out of time is not prevented, but taken away.
    """
    returned = {one.what["process"] for one in outcome.history.of("goes on")}
    beside: set[str] = set()
    for one in outcome.history.happenings:
        match one.kind:
            case "goes on":
                beside.add(one.what["process"])
            case "died":
                beside.discard(one.what["process"])
            case "pod ensured" if beside or one.what["by"] in returned:
                continue
            case _:
                pass
        yield one


def once(outcome: Outcome) -> Sequence[str]:
    """A node succeeds once, and no attempt begins beside another, or after one that did its work."""
    found: list[str] = []
    succeeded: set[tuple[str, str]] = set()
    for commit in commits(outcome):
        for row in commit.changed:
            key = commit.execution.name, row["id"]
            if row["phase"] == _N.SUCCEEDED and commit.before[row["id"]].get("phase") != _N.SUCCEEDED:
                if key in succeeded:
                    found.append(f"{key} succeeded twice")
                succeeded.add(key)
    live: dict[tuple[str, str], set[int]] = defaultdict(set)
    well: dict[tuple[str, str], int] = {}
    for one in undisputed(outcome):
        key = one.what.get("execution", ""), one.what.get("node", "")
        match one.kind:
            case "pod ensured":
                attempt = one.what["attempt"]
                if any(other != attempt for other in live[key]):
                    found.append(f"{key}: attempt {attempt} begins while {sorted(live[key])} run")
                if key in well and attempt > well[key]:
                    found.append(f"{key}: attempt {attempt} begins after attempt {well[key]} did its work")
                live[key].add(attempt)
            case "pod ended" | "pod removed":
                live[key].discard(one.what["attempt"])
                if one.what.get("fate") is Fate.WELL:
                    well[key] = one.what["attempt"]
            case _:
                pass
    return found


def saved_first(outcome: Outcome) -> Sequence[str]:
    """When a Pod begins, the decision is in the tables: its node is in that attempt, which was launched."""
    found: list[str] = []
    decided: dict[tuple[str, str, int], int] = {}
    for commit in commits(outcome):
        for row in commit.changed:
            if row["task_phase"] == _T.QUEUED:
                decided.setdefault((commit.execution.name, row["id"], row["attempt"]), row["seq"])
    for one in outcome.history.of("pod ensured"):
        key = one.what["execution"], one.what["node"], one.what["attempt"]
        if key not in decided or decided[key] > one.rows:
            found.append(f"{key} begins before that was saved")
    return found


def families(outcome: Outcome) -> Sequence[str]:
    """What has ended holds nothing that lives: no node, no Pod, no child execution.

    A propeller that stood still may ask for a child after the one that took over has given it up. Admin then ends it
    with its parent, not before.
    """
    found: list[str] = []
    ended: dict[str, int] = {}
    phases: dict[str, int] = {}
    overtaken_from = min((one.rows for one in outcome.history.of("goes on")), default=len(outcome.rows))
    overtaken: set[str] = set()
    for commit in commits(outcome):
        execution = commit.execution
        if execution.name not in phases and commit.seq > overtaken_from:
            overtaken.add(execution.name)
        active = [row for row in execution.nodes.values() if _N(row["phase"]) not in NODE_TERMINAL]
        if execution.header["is_terminal"]:
            ended.setdefault(execution.name, commit.seq)
            found.extend(
                f"{execution.name} has ended, and its child {row['child_name']} lives"
                for row in execution.nodes.values()
                if row["child_name"] not in overtaken
                and _E(phases.get(row["child_name"], _E.ABORTED)) not in EXECUTION_TERMINAL
            )
            found.extend(f"{execution.name} has ended, and {row['id']} lives" for row in active)
            found.extend(
                f"{execution.name} has ended, and {row['id']} is still being removed"
                for row in execution.nodes.values()
                if row["removing"] and execution.header["parked_at"] is None
            )
        for container in commit.changed:
            if _N(container["phase"]) in NODE_TERMINAL:
                within = [row["id"] for row in active if execution.is_within(row, container)]
                found.extend(f"{execution.name}/{container['id']} has ended, and {id} in it lives" for id in within)
        phases[execution.name] = execution.header["phase"]
        found.extend(_policy(commit.execution.header, commit.changed, execution.name, outcome))
    for one in undisputed(outcome):
        name = one.what.get("execution", "")
        if one.kind == "pod ensured" and name in ended and one.rows >= ended[name]:
            found.append(f"{name} had ended when Pod {one.what['pod']} began")
    found.extend(_outlived(outcome, ended))
    if not outcome.broken:
        found.extend(f"Pod {name} is left running" for name in outcome.live_pods)
    return found


def _outlived(outcome: Outcome, ended: dict[str, int]) -> Sequence[str]:
    """Pods that were running when the end of their execution was committed."""
    found: list[str] = []
    live: dict[str, tuple[str, int]] = {}
    for one in undisputed(outcome):
        if one.kind == "pod ensured":
            live[one.what["pod"]] = one.what["execution"], one.rows
        elif one.kind in ("pod ended", "pod removed") and (begun := live.pop(one.what["pod"], None)) is not None:
            name, since = begun
            if since < ended.get(name, since) <= one.rows:
                found.append(f"{name} had ended while Pod {one.what['pod']} ran")
    return found


def _policy(header: Row, changed: Sequence[Row], name: str, outcome: Outcome) -> Sequence[str]:
    """Where a failed node fails the workflow at once, it does so in the same commit."""
    graph = outcome.graph_of(name)
    if graph is None or graph.goes_on or _E(header["phase"]) not in (_E.RUNNING, _E.SUCCEEDING):
        return []
    failed = [row["id"] for row in changed if not row["scope"] and _N(row["phase"]) in (_N.FAILED, _N.TIMED_OUT)]
    return [f"{name}: {id} failed, and the workflow runs on" for id in failed]


def _parallelism(outcome: Outcome) -> dict[str, int]:
    """What each execution's limit is, 0 for none that matters; a child's is its parent's."""
    allowed = {one.name: one.max_parallelism for one in outcome.asked}
    allowed |= {one.ran_again: one.max_parallelism for one in outcome.asked if one.ran_again}
    parents = {
        row["child_name"]: row["execution_id"].rpartition("/")[2]
        for row in outcome.stored["nodes"]
        if row["child_name"]
    }
    for child in parents:
        above = child
        while above not in allowed and above in parents:
            above = parents[above]
        allowed[child] = allowed.get(above, 0)
    return allowed


def limits(outcome: Outcome) -> Sequence[str]:
    """No more nodes at one time than the execution may have, by the tables and by the Pods."""
    found: list[str] = []
    allowed = _parallelism(outcome)
    ending: dict[str, int] = {}
    for commit in commits(outcome):
        execution = commit.execution
        limit = allowed.get(execution.name) or 0
        if _E(execution.header["phase"]) not in (_E.RUNNING, _E.SUCCEEDING):
            ending.setdefault(execution.name, commit.seq)
        holding = [row["id"] for row in execution.nodes.values() if row["holds_slot"]]
        if limit and len(holding) > limit:
            found.append(f"{execution.name}: {len(holding)} of {limit} nodes at one time: {holding}")
        waiting = [row["id"] for row in execution.nodes.values() if row["is_waiting"]]
        if waiting and execution.name not in ending and (not limit or len(holding) < limit):
            found.append(f"{execution.name}: {waiting} wait though only {holding} run of {limit}")
    live: dict[str, set[str]] = defaultdict(set)
    items = {(row["execution_id"].rpartition("/")[2], row["id"]) for row in outcome.stored["nodes"] if row["item"] >= 0}
    for one in undisputed(outcome):
        name, node = one.what.get("execution", ""), one.what.get("node", "")
        if one.kind == "pod ensured" and (name, node) not in items:
            live[name].add(node)
            limit = allowed.get(name) or 0
            if limit and len(live[name]) > limit and one.rows < ending.get(name, one.rows + 1):
                found.append(f"{name}: Pods of {sorted(live[name])} run at one time, {limit} may")
        elif one.kind in ("pod ended", "pod removed"):
            live[name].discard(node)
    return found
