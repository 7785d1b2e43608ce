"""Task nodes: one Pod per attempt."""

from dataclasses import replace

from ..failures import Failure
from ..phases import NodePhase, TaskPhase, move_task
from . import report, retries
from .commands import LaunchPod, RemovePod
from .observations import BindingFailed, LaunchFailed, NodeObservation, TaskEnded, TaskProgressed
from .state import NodeState
from .step import Step


def ready(step: Step, node: NodeState) -> None:
    """Everything upstream is there: launch the first attempt."""
    queued = step.move(node, NodePhase.QUEUED)
    report.node(step, queued, NodePhase.QUEUED)
    _launch(step, queued)


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """What the present attempt has come to."""
    match seen:
        case TaskProgressed():
            _progressed(step, node, seen)
        case TaskEnded(failure=None):
            _succeeded(step, node, seen)
        case TaskEnded(failure=failure) if failure is not None:
            if seen.started_at is not None:
                node = _running(step, node, seen)
            _failed(step, node, failure)
        case BindingFailed(failure=failure) | LaunchFailed(failure=failure):
            _failed(step, node, failure)
        case _:
            pass


def abort(step: Step, node: NodeState, failure: Failure) -> None:
    """End it now. The node is ABORTED at once; its Pod is on its way out until `PodRemoved` says otherwise."""
    report.task(step, node, TaskPhase.ABORTED, failure=failure)
    gone = replace(node, task_phase=TaskPhase.ABORTED, removing=True, failure=failure)
    report.node(step, step.move(gone, NodePhase.ABORTED), NodePhase.ABORTED)
    step.commands.append(RemovePod(node.id, node.attempt))


def _launch(step: Step, node: NodeState) -> None:
    launched = replace(node, task_phase=TaskPhase.QUEUED)
    step.put(launched)
    report.task(step, launched, TaskPhase.QUEUED)
    step.commands.append(LaunchPod(node.id, node.attempt))


def _progressed(step: Step, node: NodeState, seen: TaskProgressed) -> None:
    if seen.phase == node.task_phase and seen.reason == node.reason:
        return
    if seen.phase is not TaskPhase.RUNNING and node.task_phase is TaskPhase.RUNNING:
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


def _running(step: Step, node: NodeState, seen: TaskEnded) -> NodeState:
    """An attempt that ended before anybody saw it running did run: report that first, so that it has a duration."""
    _progressed(step, node, TaskProgressed(node.id, node.attempt, TaskPhase.RUNNING, "", seen.started_at or step.now))
    return step.node(node.id)


def _succeeded(step: Step, node: NodeState, seen: TaskEnded) -> None:
    node = _running(step, node, seen)
    done = replace(
        node,
        task_phase=move_task(node.task_phase, TaskPhase.SUCCEEDED),
        outputs_uri=step.layout.outputs_uri(node.id, node.attempt),
        reason="",
    )
    report.task(step, done, TaskPhase.SUCCEEDED, at=seen.ended_at)
    deck_uri = step.layout.deck_uri(node.id, node.attempt) if seen.has_deck else ""
    report.node(step, step.move(done, NodePhase.SUCCEEDED), NodePhase.SUCCEEDED, deck_uri=deck_uri)


def _failed(step: Step, node: NodeState, failure: Failure) -> None:
    report.task(step, node, TaskPhase.FAILED, failure=failure)
    spec = step.spec(node)
    policy = retries.RetryPolicy.of(spec, step.plan.task(spec))
    match retries.decide(policy, node, failure):
        case retries.Retry(node=again):
            _launch(step, step.move(again, NodePhase.QUEUED))
        case retries.GiveUp(failure=final):
            failed = replace(node, task_phase=TaskPhase.FAILED, failure=final)
            report.node(step, step.move(failed, NodePhase.FAILED), NodePhase.FAILED)
