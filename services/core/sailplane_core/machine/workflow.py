"""`evaluate`: how an execution moves.

Started ─► RUNNING ─► each node when all its upstream nodes are done ─► end node ─► SUCCEEDING ─► SUCCEEDED
              │ a node fails for good                                        (outputs written)
              ├─────────────► FAILING ─► active nodes aborted, their Pods gone ─► failure node ─► FAILED
              └ AbortRequested ─► ABORTING ─► the same ──────────────────────────────────────► ABORTED
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ..failures import Failure, FailureKind
from ..ids import END_NODE_ID
from ..phases import ExecutionPhase, NodePhase, move_execution
from ..plan import Plan
from . import boundary, deadlines, gate, launch_plan, report, task, walk
from .commands import ReleaseReservation, RemovePod, TerminateChild, Timer
from .kinds import KINDS
from .observations import (
    AbortRequested,
    CacheLookedUp,
    ChildEnded,
    ChildGone,
    NodeObservation,
    Observation,
    PodRemoved,
    SignalSet,
    Started,
    TimerFired,
)
from .state import ExecutionState, NodeKind, NodeState
from .step import Step, Transition


def evaluate(plan: Plan, state: ExecutionState, observations: Iterable[Observation], now: datetime) -> Transition:
    """Decide what follows from what was seen. `state` is left as it is; apply the transition once it is saved.

    Observations that are late, repeated or about an earlier attempt change nothing. Raises `InvariantBroken` when
    the state is one that cannot be.
    """
    step = Step(plan, state, now)
    for seen in observations:
        _observe(step, seen)
        walk.settle(step)
    _conclude(step)
    report.flush_items(step)
    return step.finish()


def end_parked(state: ExecutionState, seen: AbortRequested, now: datetime) -> Transition:
    """The end of an execution that is out of service because its state cannot be: nothing is asked of its graph.

    It is ABORTED at once, with every active node; the Pods of its tasks and its child executions are removed, and its
    reservations released.
    """
    failure = _aborted(seen)
    now = state.header.time_of_next(now)
    header = replace(
        state.header,
        phase=ExecutionPhase.ABORTED,
        version=state.header.version + 1,
        failure=failure,
        abort_cause=seen.cause,
        abort_principal=seen.principal,
        ended_at=now,
        decided_at=now,
    )
    active = [state.nodes[node_id] for node_id in sorted(state.active)]
    nodes = {
        node.id: replace(
            node,
            phase=NodePhase.ABORTED,
            failure=failure,
            ended_at=now,
            is_waiting=False,
            holds_slot=False,
            removing=node.kind in (NodeKind.TASK, NodeKind.LAUNCH_PLAN),
            is_reserved=False,
        )
        for node in active
    }
    removals = {NodeKind.TASK: RemovePod, NodeKind.LAUNCH_PLAN: TerminateChild}
    commands = (
        *(removals[node.kind](node.id, node.attempt) for node in active if node.kind in removals),
        *(ReleaseReservation(node.id, node.attempt) for node in active if node.is_reserved),
    )
    ends = [report.parked_node_event(state.start.id, node, now) for node in nodes.values() if report.is_told(node)]
    end = report.execution_event(state.start.id, ExecutionPhase.ABORTED, now, failure=failure)
    return Transition(header, nodes, {}, commands, (*ends, end), is_empty=False)


def _observe(step: Step, seen: Observation) -> None:
    match seen:
        case Started():
            if step.header.phase is ExecutionPhase.UNDEFINED:
                _start(step)
        case AbortRequested():
            if not step.header.is_terminal and step.header.phase is not ExecutionPhase.ABORTING:
                _abort(step, seen)
        case SignalSet(signal_id=signal_id):
            for node in step.active_gates():
                gate.signal_set(step, node, signal_id)
        case TimerFired(timer=Timer.WORKFLOW):
            if step.header.phase in (ExecutionPhase.RUNNING, ExecutionPhase.SUCCEEDING) and _results(step) is None:
                walk.fail_execution(step, deadlines.workflow_expired(step), "")
        case ChildEnded():
            node = step.find(seen.node_id)
            if node is not None and node.child_name == seen.child_name:
                _child_ended(step, node, seen)
        case _:
            node = step.find(seen.node_id)
            if node is not None:
                _observe_node(step, node, seen)


def _child_ended(step: Step, node: NodeState, seen: ChildEnded) -> None:
    if node.removing:
        walk.end_removal(step, node)
    elif not node.is_terminal:
        launch_plan.child_ended(step, node, seen)


def _observe_node(step: Step, node: NodeState, seen: NodeObservation) -> None:
    match seen:
        case TimerFired(timer=Timer.ACTIVE):
            if not node.is_terminal:
                walk.end_too_late(step, node, deadlines.node_expired(step, node), NodePhase.TIMED_OUT)
        case CacheLookedUp(is_reserved=True) if task.comes_too_late(node, seen):
            step.do(ReleaseReservation(node.id, seen.attempt))
        case PodRemoved() if task.ends_removal(node, seen):
            walk.end_removal(step, node)
        case _ if node.attempt != seen.attempt:
            pass
        case ChildGone() if node.removing:
            walk.end_removal(step, node)
        case _ if node.is_terminal:
            pass
        case TimerFired(timer=Timer.EXECUTION) if node.kind is not NodeKind.TASK or node.graph_uri:
            failure = replace(deadlines.attempt_expired(step, node), retryable=False)
            walk.end_too_late(step, node, failure, NodePhase.FAILED)
        case _:
            KINDS[node.kind].observe(step, node, seen)


def _start(step: Step) -> None:
    step.header = replace(
        step.header, phase=move_execution(step.header.phase, ExecutionPhase.RUNNING), started_at=step.now
    )
    report.execution(step, ExecutionPhase.RUNNING)
    deadlines.arm_workflow(step)
    boundary.open_scope(step, "", step.start.inputs_uri)


def _abort(step: Step, seen: AbortRequested) -> None:
    failure = _aborted(seen)
    step.header = replace(
        step.header,
        phase=move_execution(step.header.phase, ExecutionPhase.ABORTING),
        failure=failure,
        abort_cause=seen.cause,
        abort_principal=seen.principal,
    )
    walk.abort_within(step, "", failure)


def _aborted(seen: AbortRequested) -> Failure:
    return Failure("ExecutionAborted", seen.cause, FailureKind.USER, retryable=False)


def _results(step: Step) -> NodeState | None:
    """The end node, once the execution has its outputs."""
    end = step.find(END_NODE_ID)
    return end if end is not None and end.phase is NodePhase.SUCCEEDED else None


def _conclude(step: Step) -> None:
    """An execution that is on its way out has ended when no Pod or child of it is left."""
    match step.header.phase:
        case ExecutionPhase.SUCCEEDING | ExecutionPhase.FAILING | ExecutionPhase.ABORTING if step.removals_left():
            pass
        case ExecutionPhase.SUCCEEDING:
            if (end := _results(step)) is not None:
                _end(step, ExecutionPhase.SUCCEEDED, output_uri=end.outputs_uri)
        case ExecutionPhase.FAILING:
            if _is_cleaned_up(step):
                _end(step, ExecutionPhase.FAILED)
        case ExecutionPhase.ABORTING:
            _end(step, ExecutionPhase.ABORTED)
        case _:
            pass


def _is_cleaned_up(step: Step) -> bool:
    """Whether the failure node has run, if there is one; it begins now if it has not."""
    cleanup = walk.failure_node(step, "")
    if cleanup is None:
        return True
    if step.find(cleanup.id) is None:
        step.begin("", cleanup.id)
        walk.settle(step)
    return step.node(cleanup.id).is_terminal


def _end(step: Step, phase: ExecutionPhase, output_uri: str = "") -> None:
    step.header = replace(step.header, phase=move_execution(step.header.phase, phase), ended_at=step.now)
    report.execution(step, phase, output_uri=output_uri, failure=step.header.failure)
