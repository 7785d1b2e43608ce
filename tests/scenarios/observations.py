"""Observations as they are written in scenarios: the name, the node and attempt, and what is particular."""

import shlex
from collections.abc import Mapping

from core.machine.run import Run
from core.machine.world import FINAL, SYSTEM, USER
from sailplane_core.failures import Failure
from sailplane_core.machine import (
    AbortRequested,
    ArrayOpened,
    BindingFailed,
    BranchTaken,
    CacheLookedUp,
    CachePopulated,
    ChildEnded,
    ChildGone,
    ChildRefused,
    ChildStarted,
    GraphBuilt,
    GraphRefused,
    InputsBound,
    ItemsGathered,
    LaunchFailed,
    Observation,
    PodRemoved,
    SignalSet,
    SignalTaken,
    Started,
    TaskEnded,
    TaskProgressed,
    Timer,
    TimerFired,
)
from sailplane_core.phases import ExecutionPhase, TaskPhase
from sailplane_protos.core import catalog_pb2
from scenarios.transcript import cache_status

FAILURES: Mapping[str, Failure] = {"user": USER, "system": SYSTEM, "final": FINAL}
_PLAIN = {kind.__name__: kind for kind in (InputsBound, PodRemoved, ItemsGathered, ChildStarted, ChildGone)}
_FAILED = {kind.__name__: kind for kind in (BindingFailed, LaunchFailed, ChildRefused, GraphRefused)}


def parse(run: Run, line: str) -> Observation:
    """What a line of a scenario says."""
    name, *words = shlex.split(line)
    match name:
        case "Started":
            return Started()
        case "AbortRequested":
            return AbortRequested(words[0], words[1])
        case "SignalSet":
            return SignalSet(words[0])
        case _:
            node_id, _, attempt = words[0].rpartition("/")
            return _of_node(run, name, node_id, int(attempt), words[1:])


def _of_node(run: Run, name: str, node_id: str, attempt: int, words: list[str]) -> Observation:
    failure = next((FAILURES[word] for word in words if word in FAILURES), None)
    if name in _PLAIN:
        return _PLAIN[name](node_id, attempt)
    if name in _FAILED:
        return _FAILED[name](node_id, attempt, failure or FINAL)
    match name:
        case "CacheLookedUp":
            reserved, busy = "reserved" in words, "busy" in words
            return CacheLookedUp(node_id, attempt, _status(words[0]), is_reserved=reserved, is_busy=busy)
        case "CachePopulated":
            return CachePopulated(node_id, attempt, _status(words[0]))
        case "TaskProgressed":
            return TaskProgressed(node_id, attempt, TaskPhase[words[0]], " ".join(words[1:]), run.now)
        case "TaskEnded":
            return TaskEnded(
                node_id,
                attempt,
                failure,
                has_graph="graph" in words,
                pod_lingers="lingers" in words,
                started_at=run.now if "ran" in words else None,
            )
        case "GraphBuilt":
            return GraphBuilt(node_id, attempt, f"file:///{node_id}/closure.pb", f"file:///{node_id}/futures.pb")
        case "BranchTaken":
            return BranchTaken(node_id, attempt, words[0])
        case "ArrayOpened":
            return ArrayOpened(node_id, attempt, int(words[0]))
        case "SignalTaken":
            return SignalTaken(node_id, attempt, failure)
        case "ChildEnded":
            phase = ExecutionPhase[words[0]]
            outputs_uri = "file:///child/outputs.pb" if phase is ExecutionPhase.SUCCEEDED else ""
            return ChildEnded(node_id, run.child_name(node_id, attempt), phase, outputs_uri, failure)
        case "TimerFired":
            return TimerFired(node_id, attempt, Timer(words[0]))
        case _:
            raise ValueError(f"no observation is called {name}")


def _status(word: str) -> catalog_pb2.CatalogCacheStatus.ValueType:
    return catalog_pb2.CatalogCacheStatus.Value(f"CACHE_{word}")


def describe(seen: Observation) -> str:
    """The other way round, in short."""
    name = type(seen).__name__
    match seen:
        case Started() | AbortRequested() | SignalSet():
            return name
        case ChildEnded():
            return f"{name} {seen.node_id} {seen.phase.name}"
        case BranchTaken():
            return f"{name} {seen.node_id}/{seen.attempt} {seen.case_id}"
        case ArrayOpened():
            return f"{name} {seen.node_id}/{seen.attempt} {seen.size}"
        case TimerFired():
            return f"{name} {seen.node_id}/{seen.attempt} {seen.timer}"
        case CacheLookedUp() | CachePopulated():
            return f"{name} {seen.node_id}/{seen.attempt} {cache_status(seen.status).removeprefix('CACHE_')}"
        case _:
            return f"{name} {seen.node_id}/{seen.attempt}"
