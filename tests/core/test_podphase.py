"""The truth table of Pod statuses: which phase and which failure each comes to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sailplane_core.failures import MESSAGE_BYTES_MAX, FailureKind
from sailplane_core.phases import TaskPhase
from sailplane_core.podphase import PendingPolicy, interpret
from sailplane_core.ports import ContainerStatus, PodPhase, PodStatus

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
STARTED = NOW - timedelta(seconds=60)
USER, SYSTEM = FailureKind.USER, FailureKind.SYSTEM


def waiting(reason: str, message: str = "") -> ContainerStatus:
    return ContainerStatus("main", "waiting", reason, message)


def ended(exit_code: int | None, *, signal: int | None = None, reason: str = "", message: str = "") -> ContainerStatus:
    return ContainerStatus("main", "terminated", reason, message, exit_code, signal, STARTED, NOW)


def status(phase: PodPhase, *containers: ContainerStatus, **more: object) -> PodStatus:
    return replace(PodStatus("p", "ns", phase, containers=containers, since=STARTED), **more)


RUNNING = ContainerStatus("main", "running", started_at=STARTED)
SIDECAR = ContainerStatus("sidecar", "terminated", "Error", "", 1)


@pytest.mark.parametrize(
    ("seen", "phase", "reason"),
    [
        (status(PodPhase.PENDING), TaskPhase.QUEUED, ""),
        (status(PodPhase.UNKNOWN), TaskPhase.QUEUED, ""),
        (
            status(PodPhase.PENDING, unschedulable=True, message="cpu: asks for 4"),
            TaskPhase.WAITING_FOR_RESOURCES,
            "Unschedulable: cpu: asks for 4",
        ),
        (status(PodPhase.PENDING, waiting("ContainerCreating")), TaskPhase.INITIALIZING, "ContainerCreating"),
        (status(PodPhase.PENDING, waiting("PodInitializing")), TaskPhase.INITIALIZING, "PodInitializing"),
        (status(PodPhase.PENDING, waiting("ErrImagePull", "again")), TaskPhase.INITIALIZING, "ErrImagePull: again"),
        (status(PodPhase.PENDING, waiting("ImagePullBackOff")), TaskPhase.INITIALIZING, "ImagePullBackOff"),
        (status(PodPhase.PENDING, waiting("CreateContainerError")), TaskPhase.INITIALIZING, "CreateContainerError"),
        (status(PodPhase.RUNNING, RUNNING), TaskPhase.RUNNING, ""),
        (status(PodPhase.RUNNING), TaskPhase.RUNNING, ""),
        (status(PodPhase.RUNNING, RUNNING, SIDECAR), TaskPhase.RUNNING, ""),
        (status(PodPhase.SUCCEEDED), TaskPhase.SUCCEEDED, ""),
        (status(PodPhase.SUCCEEDED, ended(0)), TaskPhase.SUCCEEDED, ""),
        (status(PodPhase.RUNNING, ended(0), replace(RUNNING, name="sidecar")), TaskPhase.SUCCEEDED, ""),
        (status(PodPhase.FAILED, ended(0), SIDECAR), TaskPhase.SUCCEEDED, ""),
        (status(PodPhase.SUCCEEDED, ended(0), deleting=True), TaskPhase.SUCCEEDED, ""),
    ],
)
def test_phases_without_failure(seen: PodStatus, phase: TaskPhase, reason: str) -> None:
    report = interpret(seen, NOW - timedelta(seconds=59))
    assert (report.phase, report.reason, report.failure) == (phase, reason, None)


@pytest.mark.parametrize(
    ("seen", "code", "kind", "retryable"),
    [
        (status(PodPhase.MISSING), "ResourceDeletedExternally", SYSTEM, True),
        (status(PodPhase.RUNNING, RUNNING, deleting=True), "UnexpectedObjectDeletion", SYSTEM, True),
        (status(PodPhase.PENDING, deleting=True), "UnexpectedObjectDeletion", SYSTEM, True),
        (status(PodPhase.FAILED, ended(3)), "UnknownError", USER, True),
        (status(PodPhase.FAILED, ended(3, reason="Error")), "UnknownError", USER, True),
        (status(PodPhase.FAILED, ended(3, reason="ContainerCannotRun")), "ContainerCannotRun", USER, True),
        (status(PodPhase.FAILED, ended(3), deleting=True), "UnknownError", USER, True),
        (status(PodPhase.FAILED, ended(137, reason="OOMKilled")), "OOMKilled", USER, True),
        (status(PodPhase.FAILED, ended(0, reason="OOMKilled")), "OOMKilled", USER, True),
        (status(PodPhase.FAILED, ended(127, reason="CommandNotFound")), "CommandNotFound", USER, False),
        (status(PodPhase.FAILED, ended(127)), "UnknownError", USER, True),
        (status(PodPhase.FAILED, ended(137)), "Interrupted", SYSTEM, True),
        (status(PodPhase.FAILED, ended(143)), "Interrupted", SYSTEM, True),
        (status(PodPhase.FAILED, ended(247)), "Interrupted", SYSTEM, True),
        (status(PodPhase.FAILED, ended(130, signal=2)), "Interrupted", SYSTEM, True),
        (status(PodPhase.FAILED, ended(139, signal=11)), "UnknownError", USER, True),
        (status(PodPhase.FAILED, ended(134, signal=6)), "UnknownError", USER, True),
        (status(PodPhase.FAILED, ended(None)), "UnknownError", SYSTEM, True),
        (status(PodPhase.FAILED, ended(1), reason="NodeShutdown"), "Interrupted", SYSTEM, True),
        (status(PodPhase.FAILED, reason="Preempting"), "Interrupted", SYSTEM, True),
        (status(PodPhase.FAILED, reason="DeadlineExceeded"), "DeadlineExceeded", SYSTEM, True),
        (status(PodPhase.FAILED), "UnknownError", SYSTEM, True),
        (status(PodPhase.PENDING, waiting("InvalidImageName")), "InvalidImageName", USER, False),
        (status(PodPhase.PENDING, waiting("CreateContainerConfigError")), "CreateContainerConfigError", USER, False),
        (status(PodPhase.PENDING, waiting("CrashLoopBackOff")), "CrashLoopBackOff", SYSTEM, True),
    ],
)
def test_failures(seen: PodStatus, code: str, kind: FailureKind, retryable: bool) -> None:
    report = interpret(seen, NOW)
    assert report.phase is TaskPhase.FAILED
    assert report.failure is not None
    assert (report.failure.code, report.failure.kind, report.failure.retryable) == (code, kind, retryable)


@pytest.mark.parametrize(
    ("container", "message"),
    [
        (ended(3, message="no such file"), "the container ended with exit code 3: no such file"),
        (ended(3, message="first\nlast"), "the container ended with exit code 3\nfirst\nlast"),
        (ended(139, signal=11), "the container was killed by SIGSEGV"),
        (ended(192, signal=64 + 35), "the container was killed by signal 99"),
        (ended(137), "the container ended with exit code 137 from outside"),
    ],
)
def test_messages_say_how_it_ended(container: ContainerStatus, message: str) -> None:
    failure = interpret(status(PodPhase.FAILED, container), NOW).failure
    assert failure is not None
    assert failure.message == message


def test_a_long_message_is_cut() -> None:
    failure = interpret(status(PodPhase.FAILED, ended(1, message="ä" * MESSAGE_BYTES_MAX)), NOW).failure
    assert failure is not None
    assert MESSAGE_BYTES_MAX - 4 < len(failure.message.encode()) <= MESSAGE_BYTES_MAX


@pytest.mark.parametrize(
    ("seen", "grace_s", "code"),
    [
        (status(PodPhase.PENDING, waiting("ImagePullBackOff")), 180, "ImagePullBackOff"),
        (status(PodPhase.PENDING, waiting("CreateContainerError")), 180, "CreateContainerError"),
        (status(PodPhase.PENDING, unschedulable=True), 300, "PodPendingTimeout"),
    ],
)
def test_grace_ends_at_the_time_that_was_announced(seen: PodStatus, grace_s: float, code: str) -> None:
    policy = PendingPolicy(unschedulable_max_s=300)
    before = interpret(seen, STARTED, policy=policy)
    assert before.failure is None
    assert before.recheck_at == STARTED + timedelta(seconds=grace_s)
    assert interpret(seen, before.recheck_at - timedelta(seconds=1), policy=policy).failure is None
    after = interpret(seen, before.recheck_at, policy=policy)
    assert after.failure is not None
    assert after.failure.code == code


def test_unschedulable_waits_for_ever_without_a_limit() -> None:
    report = interpret(status(PodPhase.PENDING, unschedulable=True), NOW + timedelta(days=365))
    assert (report.phase, report.recheck_at) == (TaskPhase.WAITING_FOR_RESOURCES, None)


def test_the_primary_container_decides() -> None:
    seen = status(PodPhase.RUNNING, SIDECAR, RUNNING)
    assert interpret(seen, NOW, "main").phase is TaskPhase.RUNNING
    assert interpret(seen, NOW, "sidecar").phase is TaskPhase.FAILED
    failure = interpret(seen, NOW, "nobody").failure
    assert failure is not None
    assert (failure.code, failure.retryable) == ("PrimaryContainerNotFound", False)


def test_times_are_the_containers() -> None:
    report = interpret(status(PodPhase.SUCCEEDED, ended(0)), NOW)
    assert (report.started_at, report.finished_at) == (STARTED, NOW)
