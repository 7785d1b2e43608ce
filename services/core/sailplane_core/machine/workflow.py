"""`evaluate`: how an execution moves.

    Started ─► RUNNING ─► each node when all its upstream nodes are done ─► end node ─► SUCCEEDING ─► SUCCEEDED
                  │ a node fails for good                                        (outputs written)
                  ├─────────────► FAILING ─► active nodes aborted, their Pods gone ─► FAILED
                  └ AbortRequested ─► ABORTING ─► the same ─────────────────────────► ABORTED

The same walk serves the workflow and every sub-workflow in it: a *scope* is the unique id of the sub-workflow node,
"" for the workflow itself.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sailplane_protos.core import workflow_pb2

from ..failures import Failure, FailureKind
from ..ids import END_NODE_ID
from ..phases import NODE_DONE, ExecutionPhase, NodePhase, move_execution
from ..plan import Plan
from . import boundary, report, subworkflow
from .commands import RemovePod
from .kinds import KINDS, kind_of
from .observations import AbortRequested, Observation, PodRemoved, Started
from .state import ExecutionState, NodeKind, NodeState
from .step import Step, Transition

FAILING_REASON = "Some node execution failed, auto-abort."
"""Flyte's words for what happens to the other nodes when one fails."""


def evaluate(plan: Plan, state: ExecutionState, observations: Iterable[Observation], now: datetime) -> Transition:
    """Decide what follows from what was seen. `state` is left as it is; apply the transition once it is saved.

    Observations that are late, repeated or about an earlier attempt change nothing. Raises `InvariantBroken` when
    the state is one that cannot be.
    """
    step = Step(plan, state, now)
    for seen in observations:
        _observe(step, seen)
        _settle(step)
    _conclude(step)
    return step.finish()


def end_parked(state: ExecutionState, seen: AbortRequested, now: datetime) -> Transition:
    """The end of an execution that is out of service because its state cannot be: nothing is asked of its graph.

    It is ABORTED at once, with every active node, and the Pods of its tasks are removed.
    """
    failure = Failure("ExecutionAborted", seen.cause, FailureKind.USER, retryable=False)
    header = replace(
        state.header,
        phase=ExecutionPhase.ABORTED,
        version=state.header.version + 1,
        failure=failure,
        abort_cause=seen.cause,
        abort_principal=seen.principal,
        ended_at=now,
    )
    active = [state.nodes[node_id] for node_id in sorted(state.active)]
    nodes = {
        node.id: replace(
            node, phase=NodePhase.ABORTED, failure=failure, ended_at=now, removing=node.kind is NodeKind.TASK
        )
        for node in active
    }
    commands = tuple(RemovePod(node.id, node.attempt) for node in active if node.kind is NodeKind.TASK)
    event = report.execution_event(state.start.id, ExecutionPhase.ABORTED, now, failure=failure)
    return Transition(header, nodes, {}, commands, (event,), is_empty=False)


def _observe(step: Step, seen: Observation) -> None:
    match seen:
        case Started():
            if step.header.phase is ExecutionPhase.UNDEFINED:
                _start(step)
        case AbortRequested():
            if not step.header.is_terminal and step.header.phase is not ExecutionPhase.ABORTING:
                _abort(step, seen)
        case _:
            node = step.find(seen.node_id)
            if node is None or node.attempt != seen.attempt:
                return
            if isinstance(seen, PodRemoved):
                if node.removing:
                    step.put(replace(node, removing=False))
            elif not node.is_terminal:
                KINDS[node.kind].observe(step, node, seen)


def _start(step: Step) -> None:
    step.header = replace(
        step.header, phase=move_execution(step.header.phase, ExecutionPhase.RUNNING), started_at=step.now
    )
    report.execution(step, ExecutionPhase.RUNNING)
    boundary.open_scope(step, "", step.start.inputs_uri)


def _abort(step: Step, seen: AbortRequested) -> None:
    failure = Failure("ExecutionAborted", seen.cause, FailureKind.USER, retryable=False)
    step.header = replace(
        step.header,
        phase=move_execution(step.header.phase, ExecutionPhase.ABORTING),
        failure=failure,
        abort_cause=seen.cause,
        abort_principal=seen.principal,
    )
    _abort_active(step, "", failure)


def _settle(step: Step) -> None:
    """Follow every node that ended to what waited for it, until nothing more ends."""
    while step.ended:
        node = step.ended.popleft()
        if _is_closed(step, node.scope):
            continue
        if node.spec_id == END_NODE_ID:
            _leave_scope(step, node)
            continue
        if node.phase in (NodePhase.FAILED, NodePhase.TIMED_OUT) and _fails_immediately(step, node.scope):
            _fail_scope(step, node)
            continue
        for spec_id in step.graph(node.scope).downstream.get(node.spec_id, ()):
            if step.count_down(node.scope, spec_id) == 0:
                _reach(step, node.scope, spec_id)


def _is_closed(step: Step, scope: str) -> bool:
    """Whether nothing may begin in this scope any more."""
    if step.header.phase in (ExecutionPhase.FAILING, ExecutionPhase.ABORTING) or step.header.is_terminal:
        return True
    return bool(scope) and step.node(scope).is_terminal


def _fails_immediately(step: Step, scope: str) -> bool:
    policy = step.graph(scope).template.metadata.on_failure
    return policy == workflow_pb2.WorkflowMetadata.FAIL_IMMEDIATELY


def _reach(step: Step, scope: str, spec_id: str) -> None:
    """Every upstream node has ended: begin, or skip if one of them left nothing to go on with."""
    graph = step.graph(scope)
    spec = graph.nodes[spec_id]
    node = NodeState(step.id_in(scope, spec_id), spec_id, scope, kind_of(spec))
    upstream = [step.node(step.id_in(scope, above)) for above in graph.upstream.get(spec_id, ())]
    if all(above.phase in NODE_DONE for above in upstream):
        if spec_id == END_NODE_ID and not scope:
            step.header = replace(step.header, phase=move_execution(step.header.phase, ExecutionPhase.SUCCEEDING))
            report.execution(step, ExecutionPhase.SUCCEEDING)
        KINDS[node.kind].ready(step, node)
    else:
        report.node(step, step.move(node, NodePhase.SKIPPED), NodePhase.SKIPPED)


def _leave_scope(step: Step, end: NodeState) -> None:
    """A scope's end node has ended, and the scope with it."""
    if end.phase is NodePhase.SUCCEEDED:
        if end.scope:
            subworkflow.succeed(step, step.node(end.scope), end.outputs_uri)
        else:
            phase = move_execution(step.header.phase, ExecutionPhase.SUCCEEDED)
            step.header = replace(step.header, phase=phase, ended_at=step.now)
            report.execution(step, phase, output_uri=end.outputs_uri)
    elif end.phase is NodePhase.SKIPPED:
        _fail_scope(step, _last_failed(step, end.scope))
    else:
        _fail_scope(step, end)


def _last_failed(step: Step, scope: str) -> NodeState:
    """The node whose error a scope shows that let its other nodes run on: the one that failed last."""
    nodes = (step.find(step.id_in(scope, spec_id)) for spec_id in step.graph(scope).nodes)
    failed = [node for node in nodes if node is not None and node.failure is not None]
    return max(failed, key=lambda node: (node.ended_at or step.now, node.id))


def _fail_scope(step: Step, culprit: NodeState) -> None:
    """A scope fails because of one of its nodes: whatever is active in it ends."""
    failure = culprit.failure or Failure("NodeFailed", f"node {culprit.id} failed", FailureKind.SYSTEM, retryable=False)
    others = Failure("NodeAborted", FAILING_REASON, FailureKind.USER, retryable=False)
    if culprit.scope:
        _abort_active(step, culprit.scope, others)
        subworkflow.fail(step, step.node(culprit.scope), failure)
        return
    phase = move_execution(step.header.phase, ExecutionPhase.FAILING)
    step.header = replace(step.header, phase=phase, failure=failure, failed_node_id=culprit.id)
    report.execution(step, phase, failure=failure)
    _abort_active(step, "", others)


def _abort_active(step: Step, scope: str, failure: Failure) -> None:
    for node in step.active():
        if step.is_within(node, scope):
            KINDS[node.kind].abort(step, node, failure)


def _conclude(step: Step) -> None:
    """An execution that fails or is aborted has ended when no Pod of it is left."""
    if step.header.phase not in (ExecutionPhase.FAILING, ExecutionPhase.ABORTING) or step.removals_left():
        return
    after = ExecutionPhase.FAILED if step.header.phase is ExecutionPhase.FAILING else ExecutionPhase.ABORTED
    step.header = replace(step.header, phase=move_execution(step.header.phase, after), ended_at=step.now)
    report.execution(step, after, failure=step.header.failure)
