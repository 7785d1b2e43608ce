"""Task nodes: one Pod per attempt, before it a look into the cache, after it an entry there.

QUEUED ─► [LookUpCache ─► hit: SUCCEEDED] ─► LaunchPod ─► RUNNING ─► ended well ─► [PopulateCache] ─► SUCCEEDED
   ▲  └ somebody else computes it: wait                     │           └ left a graph: dynamic.py
   └──────────── pause ◄── attempts left? ◄── failed ◄──────┘
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zlib import crc32

from sailplane_protos.core import catalog_pb2

from ..catalog_keys import cache_policy
from ..failures import Failure
from ..phases import TASK_MOVES, TASK_TERMINAL, NodePhase, TaskPhase, move_task
from . import boundary, deadlines, dynamic, lifecycle, report, retries
from .commands import LaunchPod, LookUpCache, PopulateCache, ReleaseReservation, RemovePod, SetTimer, Timer
from .observations import (
    BindingFailed,
    CacheLookedUp,
    CachePopulated,
    GraphBuilt,
    GraphRefused,
    LaunchFailed,
    NodeObservation,
    PodRemoved,
    TaskEnded,
    TaskProgressed,
    TimerFired,
)
from .state import NodeState
from .step import Step

_GRID_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)
_LOOKS_PER_WIDTH = 16
"""A grid gets twice as wide when somebody has waited for so many of its intervals."""
_WIDER_MAX = 5
"""So often at most: to 32 times the first interval."""
_FROM_CACHE = frozenset({catalog_pb2.CACHE_HIT})
_TO_CACHE = frozenset({catalog_pb2.CACHE_MISS, catalog_pb2.CACHE_SKIPPED})


def ready(step: Step, node: NodeState) -> None:
    """Everything upstream is there: begin, or take over the graph that an earlier execution had."""
    earlier = step.earlier(node)
    if earlier is not None and earlier.graph_uri:
        dynamic.take_over(step, node)
    else:
        _begin_attempt(step, node)


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """What the present attempt has come to."""
    match seen:
        case TaskProgressed() if _is_under_way(node):
            _progressed(step, node, seen)
        case TaskEnded() if _is_under_way(node):
            _ended(step, node, seen)
        case BindingFailed(failure=failure) | LaunchFailed(failure=failure) if _may_still_launch(node):
            _failed(step, node, failure, pod_lingers=_is_under_way(node))
        case CacheLookedUp() if node.task_phase is TaskPhase.UNDEFINED:
            _looked_up(step, node, seen)
        case CachePopulated() if node.task_phase is TaskPhase.SUCCEEDED:
            _release(step, node)
            lifecycle.succeed(
                step, replace(node, cache_status=seen.status, is_reserved=False), node.outputs_uri, catalog=seen.catalog
            )
        case GraphBuilt() if not node.graph_uri:
            dynamic.unfold(step, node, seen)
        case GraphRefused(failure=failure) if not node.graph_uri:
            fail(step, node, failure)
        case TimerFired():
            _timer_fired(step, node, seen.timer)
        case _:
            pass


def abort(step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
    """End it now. The node has ended at once; its Pod is on its way out until `PodRemoved` says otherwise."""
    has_pod = _is_under_way(node)
    if has_pod:
        report.task(step, node, TaskPhase.ABORTED, failure=failure)
        node = replace(node, task_phase=TaskPhase.ABORTED, removing=True)
        step.do(RemovePod(node.id, node.attempt))
    _release(step, node)
    lifecycle.fail(step, replace(node, is_reserved=False), failure, phase)


def comes_too_late(node: NodeState, seen: CacheLookedUp) -> bool:
    """Whether the answer is of no use any more, and a reservation that came with it to be given back."""
    waits = node.task_phase is TaskPhase.UNDEFINED and node.attempt == seen.attempt and not node.is_terminal
    return not waits and not node.is_reserved


def ends_removal(node: NodeState, seen: PodRemoved) -> bool:
    """Whether the Pod that was to go is gone: the present attempt's, or the one's before if that is not launched."""
    has_pod = node.task_phase is not TaskPhase.UNDEFINED
    return node.removing and seen.attempt == (node.attempt if has_pod else node.attempt - 1)


def outputs(step: Step, node: NodeState) -> str:
    """Those that the attempt wrote, or those of its graph."""
    return boundary.collected(step, node) if node.graph_uri else step.layout.outputs_uri(node.id, node.attempt)


def graph_succeeded(step: Step, node: NodeState, outputs_uri: str) -> None:
    """The graph that the task generated has its outputs."""
    _finish(step, node, outputs_uri)


def fail(step: Step, node: NodeState, failure: Failure) -> None:
    """The graph that the task generated failed, and the node with it: its children had their retries already."""
    _release(step, node)
    lifecycle.fail(step, replace(node, is_reserved=False), failure)


def _is_under_way(node: NodeState) -> bool:
    """Whether the present attempt was launched and has not ended."""
    return node.task_phase is not TaskPhase.UNDEFINED and node.task_phase not in TASK_TERMINAL


def _may_still_launch(node: NodeState) -> bool:
    """Whether the attempt's launch may fail.

    It is done again after a restart, and what fails then does not undo the Pod that an earlier one may have left.
    """
    begun = node.task_phase is TaskPhase.RUNNING or node.task_phase in TASK_TERMINAL
    return not begun and not node.graph_uri


def _begin_attempt(step: Step, node: NodeState) -> None:
    """Launch it, unless the cache was never asked and may have its outputs."""
    was_asked = node.cache_status != catalog_pb2.CACHE_DISABLED
    if was_asked or cache_policy(step.spec(node), step.task(node)) is None:
        _launch(step, node)
    else:
        step.put(node)
        step.do(LookUpCache(node.id, node.attempt))


def _launch(step: Step, node: NodeState) -> None:
    # The launch comes after the removal of the Pod before it, so whoever waits for this one waits for both.
    launched = replace(node, task_phase=TaskPhase.QUEUED, attempt_started_at=step.now, removing=False)
    step.put(launched)
    report.task(step, launched, TaskPhase.QUEUED)
    step.do(LaunchPod(node.id, node.attempt))
    deadlines.arm_attempt(step, launched)


def _looked_up(step: Step, node: NodeState, seen: CacheLookedUp) -> None:
    if seen.is_busy:
        step.do(SetTimer(node.id, node.attempt, Timer.CACHE, _next_look(step, node)))
        return
    known = replace(node, cache_status=seen.status, is_reserved=seen.is_reserved)
    if seen.status in _FROM_CACHE:
        lifecycle.succeed(step, known, step.layout.outputs_uri(node.id, node.attempt), catalog=seen.catalog)
    else:
        _launch(step, known)


def _next_look(step: Step, node: NodeState) -> datetime:
    """When the cache is asked again: at a time of the node's own grid, which is the same for whoever asks meanwhile.

    A look that was made twice, by two owners or after a restart, then leads to one timer. Were it two, each of them
    would be doubled in its turn. The longer it has waited, the wider is the grid: whoever waits for hours may wait some
    more seconds, and every look is a transition.
    """
    interval = timedelta(seconds=step.policies.cache_poll_s)
    if not interval:
        return step.now
    waited = max(timedelta(), step.now - (node.queued_at or step.now))
    interval *= 2 ** min(_WIDER_MAX, (waited // (_LOOKS_PER_WIDTH * interval)).bit_length())
    seed = crc32(f"{step.start.id}/{node.id}".encode())
    origin = _GRID_ORIGIN + timedelta(microseconds=seed % (interval // timedelta(microseconds=1)))
    earliest = step.now + interval / 2
    return earliest + interval - (earliest - origin) % interval


def _progressed(step: Step, node: NodeState, seen: TaskProgressed) -> None:
    if seen.phase == node.task_phase and seen.reason == node.reason:
        return
    if seen.phase not in TASK_MOVES[node.task_phase]:
        return  # an older status that arrived late
    version = node.task_phase_version + 1 if seen.phase == node.task_phase else 0
    moved = replace(
        node, task_phase=move_task(node.task_phase, seen.phase), task_phase_version=version, reason=seen.reason
    )
    if seen.phase is TaskPhase.RUNNING and node.phase is NodePhase.QUEUED:
        first_time = node.started_at is None
        moved = step.move(replace(moved, started_at=node.started_at or seen.at), NodePhase.RUNNING)
        if first_time:
            report.node(step, moved, NodePhase.RUNNING, at=seen.at)
    step.put(moved)
    report.task(step, moved, seen.phase, at=seen.at)


def _ended(step: Step, node: NodeState, seen: TaskEnded) -> None:
    if seen.failure is None or seen.started_at is not None:
        node = _running(step, node, seen)
    deck_uri = step.layout.deck_uri(node.id, node.attempt) if seen.has_deck else ""
    node = replace(node, deck_uri=deck_uri)
    if seen.failure is not None:
        _failed(step, node, seen.failure, pod_lingers=seen.pod_lingers)
        return
    done = replace(node, task_phase=move_task(node.task_phase, TaskPhase.SUCCEEDED), reason="")
    step.put(done)
    report.task(step, done, TaskPhase.SUCCEEDED, at=seen.ended_at)
    if seen.has_graph:
        dynamic.build(step, done)
        return
    _finish(step, done, outputs(step, done))


def _running(step: Step, node: NodeState, seen: TaskEnded) -> NodeState:
    """An attempt that ended before anybody saw it running did run: report that first, so that it has a duration."""
    _progressed(step, node, TaskProgressed(node.id, node.attempt, TaskPhase.RUNNING, "", seen.started_at or step.now))
    return step.node(node.id)


def _finish(step: Step, node: NodeState, outputs_uri: str) -> None:
    """The outputs are there: into the cache with them, or the node has succeeded."""
    if node.cache_status in _TO_CACHE:
        step.put(replace(node, outputs_uri=outputs_uri))
        step.do(PopulateCache(node.id, node.attempt))
    else:
        lifecycle.succeed(step, node, outputs_uri)


def _failed(step: Step, node: NodeState, failure: Failure, *, pod_lingers: bool) -> None:
    if pod_lingers:
        step.do(RemovePod(node.id, node.attempt))
    if _is_under_way(node) or node.is_item:  # an item's attempt is shown from its first turn on
        report.task(step, node, TaskPhase.FAILED, failure=failure)
        node = replace(node, task_phase=TaskPhase.FAILED)
    policy = retries.RetryPolicy.of(step.spec(node), step.task(node), step.policies)
    key = f"{step.start.id}/{node.id}/{node.attempt}"
    match retries.decide(policy, node, failure, key):
        case retries.Retry(node=again, pause=pause):
            queued = step.move(replace(again, removing=pod_lingers), NodePhase.QUEUED)
            if pause > timedelta():
                reason = f"attempt {again.attempt + 1} begins in {pause.total_seconds():.1f} s"
                step.put(replace(queued, reason=reason))
                step.do(SetTimer(queued.id, queued.attempt, Timer.RETRY, step.now + pause))
            else:
                _begin_attempt(step, queued)
        case retries.GiveUp(failure=final):
            _release(step, node)
            lifecycle.fail(step, replace(node, is_reserved=False, removing=pod_lingers), final)


def _timer_fired(step: Step, node: NodeState, timer: Timer) -> None:
    match timer:
        case Timer.RETRY if node.task_phase is TaskPhase.UNDEFINED:
            _begin_attempt(step, replace(node, reason=""))
        case Timer.CACHE if node.task_phase is TaskPhase.UNDEFINED:
            step.do(LookUpCache(node.id, node.attempt))
        case Timer.EXECUTION if _is_under_way(node):
            _failed(step, node, deadlines.attempt_expired(step, node), pod_lingers=True)
        case Timer.QUEUED if _is_under_way(node) and node.task_phase is not TaskPhase.RUNNING:
            _failed(step, node, deadlines.queue_expired(step, node), pod_lingers=True)
        case _:
            pass


def _release(step: Step, node: NodeState) -> None:
    if node.is_reserved:
        step.do(ReleaseReservation(node.id, node.attempt))
