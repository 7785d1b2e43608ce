"""Which events are recorded."""

from datetime import UTC, datetime, timedelta

import pytest
from sailplane_core import admission
from sailplane_core.admission import Ruling
from sailplane_core.errors import AlreadyExists, AlreadyTerminal, Refused, WrongCluster
from sailplane_core.phases import EXECUTION_TERMINAL, NODE_TERMINAL, TASK_TERMINAL, ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.event import event_pb2

E, N, T = ExecutionPhase, NodePhase, TaskPhase
ACCEPTED, DUPLICATE, TERMINAL, REFUSED = Ruling.ACCEPTED, Ruling.DUPLICATE, Ruling.TERMINAL, Ruling.REFUSED
AT = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after", "ruling"),
    [
        (E.UNDEFINED, E.QUEUED, ACCEPTED),
        (E.UNDEFINED, E.SUCCEEDED, ACCEPTED),
        (E.UNDEFINED, E.UNDEFINED, DUPLICATE),
        (E.QUEUED, E.QUEUED, ACCEPTED),
        (E.QUEUED, E.RUNNING, ACCEPTED),
        (E.RUNNING, E.RUNNING, DUPLICATE),
        (E.RUNNING, E.QUEUED, REFUSED),
        (E.RUNNING, E.UNDEFINED, REFUSED),
        (E.RUNNING, E.ABORTED, ACCEPTED),
        (E.SUCCEEDING, E.FAILING, ACCEPTED),
        (E.FAILING, E.RUNNING, REFUSED),
        (E.ABORTING, E.RUNNING, REFUSED),
        (E.ABORTING, E.FAILING, REFUSED),
        (E.ABORTING, E.ABORTING, DUPLICATE),
        (E.ABORTING, E.ABORTED, ACCEPTED),
        (E.ABORTING, E.SUCCEEDED, ACCEPTED),
        (E.SUCCEEDED, E.SUCCEEDED, DUPLICATE),
        (E.SUCCEEDED, E.RUNNING, TERMINAL),
        (E.ABORTED, E.FAILED, TERMINAL),
    ],
)
def test_executions(before: ExecutionPhase, after: ExecutionPhase, ruling: Ruling) -> None:
    event = event_pb2.WorkflowExecutionEvent(phase=after.value)
    assert admission.judge_workflow(before, event).ruling is ruling


def test_an_ended_execution_never_changes() -> None:
    for before in EXECUTION_TERMINAL:
        for after in E:
            assert not admission.judge_workflow(before, event_pb2.WorkflowExecutionEvent(phase=after.value)).accepted


def test_the_cluster_of_an_execution_speaks_for_it() -> None:
    def judge(producer: str, phase: ExecutionPhase, cluster: str = "east") -> admission.Verdict:
        event = event_pb2.WorkflowExecutionEvent(phase=phase.value, producer_id=producer)
        return admission.judge_workflow(E.QUEUED, event, cluster)

    assert isinstance(judge("west", E.RUNNING).error, WrongCluster)
    for verdict in (
        judge("east", E.RUNNING),
        judge("", E.RUNNING),
        judge("propeller", E.RUNNING),
        judge("west", E.RUNNING, cluster=""),
        judge("west", E.QUEUED),
    ):
        assert verdict.accepted


@pytest.mark.parametrize(
    ("before", "after", "ruling"),
    [
        (None, N.QUEUED, ACCEPTED),
        (None, N.SUCCEEDED, ACCEPTED),
        (None, N.UNDEFINED, REFUSED),
        (N.QUEUED, N.QUEUED, DUPLICATE),
        (N.QUEUED, N.RUNNING, ACCEPTED),
        (N.RUNNING, N.QUEUED, ACCEPTED),
        (N.RUNNING, N.DYNAMIC_RUNNING, ACCEPTED),
        (N.DYNAMIC_RUNNING, N.RUNNING, DUPLICATE),
        (N.DYNAMIC_RUNNING, N.QUEUED, DUPLICATE),
        (N.FAILING, N.FAILED, ACCEPTED),
        (N.SUCCEEDED, N.SUCCEEDED, DUPLICATE),
        (N.SUCCEEDED, N.RUNNING, TERMINAL),
        (N.SKIPPED, N.QUEUED, TERMINAL),
    ],
)
def test_nodes(before: NodePhase | None, after: NodePhase, ruling: Ruling) -> None:
    assert admission.judge_node(before, event_pb2.NodeExecutionEvent(phase=after.value)).ruling is ruling


def test_an_ended_node_never_changes() -> None:
    for before in NODE_TERMINAL:
        for after in N:
            assert not admission.judge_node(before, event_pb2.NodeExecutionEvent(phase=after.value)).accepted


def test_a_late_queued_does_not_take_a_node_back() -> None:
    def queued(at: datetime) -> event_pb2.NodeExecutionEvent:
        event = event_pb2.NodeExecutionEvent(phase=N.QUEUED.value)
        event.reported_at.FromDatetime(at)
        return event

    assert admission.judge_node(N.RUNNING, queued(AT - timedelta(seconds=1)), AT).ruling is DUPLICATE
    assert admission.judge_node(N.RUNNING, queued(AT + timedelta(seconds=1)), AT).ruling is ACCEPTED


@pytest.mark.parametrize(
    ("before", "version", "after", "new_version", "ruling"),
    [
        (None, 0, T.QUEUED, 0, ACCEPTED),
        (T.RUNNING, 0, T.RUNNING, 0, DUPLICATE),
        (T.RUNNING, 1, T.RUNNING, 0, DUPLICATE),
        (T.RUNNING, 0, T.RUNNING, 1, ACCEPTED),
        (T.RUNNING, 5, T.SUCCEEDED, 0, ACCEPTED),
        (T.RUNNING, 0, T.QUEUED, 0, ACCEPTED),
        (T.SUCCEEDED, 0, T.SUCCEEDED, 0, DUPLICATE),
        (T.SUCCEEDED, 0, T.SUCCEEDED, 1, TERMINAL),
        (T.SUCCEEDED, 0, T.FAILED, 0, TERMINAL),
    ],
)
def test_task_attempts(
    before: TaskPhase | None, version: int, after: TaskPhase, new_version: int, ruling: Ruling
) -> None:
    event = event_pb2.TaskExecutionEvent(phase=after.value, phase_version=new_version)
    assert admission.judge_task(before, version, event).ruling is ruling


def test_an_attempt_goes_back_by_news_only() -> None:
    event = event_pb2.TaskExecutionEvent(phase=T.QUEUED.value)
    event.reported_at.FromDatetime(AT)
    earlier, later = AT - timedelta(seconds=1), AT + timedelta(seconds=1)
    assert admission.judge_task(T.RUNNING, 0, event, earlier).accepted
    assert admission.judge_task(T.RUNNING, 0, event, AT).ruling is DUPLICATE
    assert admission.judge_task(T.RUNNING, 0, event, later).ruling is DUPLICATE
    assert admission.judge_task(T.QUEUED, 0, event_pb2.TaskExecutionEvent(phase=T.RUNNING.value), later).accepted


def test_an_ended_attempt_never_changes() -> None:
    for before in TASK_TERMINAL:
        for after in T:
            event = event_pb2.TaskExecutionEvent(phase=after.value, phase_version=9)
            assert not admission.judge_task(before, 0, event).accepted


def test_a_retryable_failure_is_a_failure() -> None:
    event = event_pb2.TaskExecutionEvent(phase=admission.RETRYABLE_FAILED)
    assert admission.judge_task(T.RUNNING, 0, event).accepted
    assert admission.judge_task(T.FAILED, 0, event).ruling is DUPLICATE


def test_unknown_phases_are_refused() -> None:
    assert admission.judge_workflow(E.RUNNING, event_pb2.WorkflowExecutionEvent(phase=77)).ruling is REFUSED  # type: ignore[arg-type]
    assert admission.judge_node(N.RUNNING, event_pb2.NodeExecutionEvent(phase=77)).ruling is REFUSED  # type: ignore[arg-type]
    assert admission.judge_task(T.RUNNING, 0, event_pb2.TaskExecutionEvent(phase=77)).ruling is REFUSED  # type: ignore[arg-type]


def test_callers_are_told_what_flytes_clients_look_for() -> None:
    def error(before: ExecutionPhase, after: ExecutionPhase) -> object:
        return admission.judge_workflow(before, event_pb2.WorkflowExecutionEvent(phase=after.value)).error

    assert isinstance(error(E.RUNNING, E.RUNNING), AlreadyExists)
    terminal = error(E.FAILED, E.RUNNING)
    assert isinstance(terminal, AlreadyTerminal)
    assert terminal.phase == "FAILED"
    refused = error(E.RUNNING, E.QUEUED)
    assert isinstance(refused, Refused)
    assert not isinstance(refused, AlreadyTerminal)
    assert error(E.QUEUED, E.RUNNING) is None
