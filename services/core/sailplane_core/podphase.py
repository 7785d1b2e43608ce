"""What a Pod's status means for the attempt that it runs.

A ladder of early returns over values, so that each rung can be tested by its own row: see the truth table in
`tests/core/test_podphase.py`. The rules are Flyte's, with one difference: a plain non-zero exit is the task's own
failure and spends the task's own retries, where Flyte on a cluster takes some of them for a lost machine.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .failures import Failure, FailureKind
from .phases import TaskPhase
from .ports import ContainerStatus, PodPhase, PodStatus

NODE_LOST_REASONS = frozenset(
    {"Shutdown", "Terminated", "NodeShutdown", "NodeAffinity", "NodeLost", "Preempting", "Preempted", "Evicted"}
)
"""Reasons of a whole Pod by which Kubernetes says that the machine was taken away, not that the task failed."""

INTERRUPT_EXIT_CODES = frozenset({137, 143, 247})
"""Killed by SIGKILL or SIGTERM from outside; 247 is what an evicted spot machine leaves."""

INTERRUPT_SIGNALS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that somebody else sends. The others (SIGSEGV, SIGABRT, …) come from the program itself."""

COMMAND_NOT_FOUND = "CommandNotFound"
"""Reason of a container whose command does not exist, given by launchers that can tell."""

STARTING_REASONS = frozenset({"", "ContainerCreating", "PodInitializing", "ErrImagePull"})


@dataclass(frozen=True, slots=True)
class PendingPolicy:
    """How long a Pod may be held up before its start has failed. None is for ever."""

    image_pull_grace_s: float = 180.0
    create_container_grace_s: float = 180.0
    config_error_grace_s: float = 0.0
    unschedulable_max_s: float | None = None


@dataclass(frozen=True, slots=True)
class PodReport:
    """The attempt as its Pod shows it.

    `reason` is a sentence for people. `failure` is set exactly when `phase` is FAILED. SUCCEEDED says that the
    process ended well; whether the attempt did is for `task_result.judge`. `recheck_at` is when this report changes
    without any new status, None if never. `pod_lingers` says of a FAILED attempt that its Pod has not ended, or that
    nobody knows: one that is missing may have been asked for again just now.
    """

    phase: TaskPhase
    reason: str = ""
    failure: Failure | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    recheck_at: datetime | None = None
    pod_lingers: bool = False


def interpret(
    status: PodStatus, now: datetime, primary_container: str = "", policy: PendingPolicy = PendingPolicy()
) -> PodReport:
    """What `status` comes to at `now`. Without a `primary_container` it's the Pod's first container that counts."""
    report = _interpret(status, now, primary_container, policy)
    has_ended = status.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)
    if report.failure is None or has_ended or report.finished_at is not None:
        return report
    return replace(report, pod_lingers=True)


def _interpret(status: PodStatus, now: datetime, primary_container: str, policy: PendingPolicy) -> PodReport:
    if status.phase is PodPhase.MISSING:
        return _failed(
            _system("ResourceDeletedExternally", "the Pod is gone, and nobody knows how it ended", status.message)
        )
    container = _primary(status.containers, primary_container)
    if container is not None and container.state == "terminated":
        return _ended(status, container)
    if status.phase is PodPhase.FAILED:
        return _failed(_pod_failure(status))
    if status.deleting:
        return _failed(_system("UnexpectedObjectDeletion", "the Pod was deleted by somebody else", status.message))
    if status.phase is PodPhase.SUCCEEDED:
        return _succeeded_without_container(status, primary_container)
    if status.phase is PodPhase.RUNNING and container is None and status.containers:
        return _failed(_no_primary(primary_container))
    if container is not None and container.state == "running":
        return PodReport(TaskPhase.RUNNING, started_at=container.started_at)
    if status.unschedulable:
        return _unschedulable(status, now, policy)
    if container is not None:
        return _waiting(container, status.since or now, now, policy)
    if status.phase is PodPhase.RUNNING:
        return PodReport(TaskPhase.RUNNING, started_at=status.since)
    return PodReport(TaskPhase.QUEUED, status.message)


def _primary(containers: Sequence[ContainerStatus], name: str) -> ContainerStatus | None:
    if not name:
        return containers[0] if containers else None
    return next((container for container in containers if container.name == name), None)


def _ended(status: PodStatus, container: ContainerStatus) -> PodReport:
    started_at, finished_at = container.started_at, container.finished_at
    if container.exit_code == 0 and not container.signal and container.reason != "OOMKilled":
        return PodReport(TaskPhase.SUCCEEDED, started_at=started_at, finished_at=finished_at)
    return PodReport(
        TaskPhase.FAILED,
        failure=_container_failure(status, container),
        started_at=started_at,
        finished_at=finished_at,
    )


def _container_failure(status: PodStatus, container: ContainerStatus) -> Failure:
    how = _how_it_ended(container)
    if container.reason == "OOMKilled":
        return _user("OOMKilled", f"{how}: it used more memory than its limit", container.message)
    if container.reason == COMMAND_NOT_FOUND:
        message = container.message or "the command was not found"
        return Failure(COMMAND_NOT_FOUND, message, FailureKind.USER, retryable=False)
    if status.reason in NODE_LOST_REASONS:
        return _system("Interrupted", f"{how}, because the machine was taken away ({status.reason})", status.message)
    if container.exit_code in INTERRUPT_EXIT_CODES or container.signal in INTERRUPT_SIGNALS:
        return _system("Interrupted", f"{how} from outside", container.message)
    if container.exit_code is None and not container.signal:
        return _system("UnknownError", "the container ended, and nobody knows how", container.message)
    code = container.reason if container.reason not in ("", "Error", "Completed") else "UnknownError"
    return _user(code, how, container.message)


def _how_it_ended(container: ContainerStatus) -> str:
    if container.signal:
        try:
            return f"the container was killed by {signal.Signals(container.signal).name}"
        except ValueError:
            return f"the container was killed by signal {container.signal}"
    return f"the container ended with exit code {container.exit_code}"


def _pod_failure(status: PodStatus) -> Failure:
    """A Pod that failed without a word from its primary container: it never ran, or its machine is gone."""
    reason = status.reason or "UnknownError"
    code = "Interrupted" if reason in NODE_LOST_REASONS else reason
    return _system(code, f"the Pod failed ({reason})", status.message)


def _succeeded_without_container(status: PodStatus, primary_container: str) -> PodReport:
    if status.containers:
        return _failed(_no_primary(primary_container))
    return PodReport(TaskPhase.SUCCEEDED, finished_at=status.since)


def _no_primary(name: str) -> Failure:
    message = f"the Pod has no container {name!r}, which was to be its primary one"
    return Failure("PrimaryContainerNotFound", message, FailureKind.USER, retryable=False)


def _unschedulable(status: PodStatus, now: datetime, policy: PendingPolicy) -> PodReport:
    reason = f"Unschedulable: {status.message}"
    if policy.unschedulable_max_s is None:
        return PodReport(TaskPhase.WAITING_FOR_RESOURCES, reason)
    failure = _system("PodPendingTimeout", f"not scheduled within {policy.unschedulable_max_s:g} s", status.message)
    waiting = PodReport(TaskPhase.WAITING_FOR_RESOURCES, reason)
    return _with_grace(waiting, failure, status.since or now, now, policy.unschedulable_max_s)


def _waiting(container: ContainerStatus, since: datetime, now: datetime, policy: PendingPolicy) -> PodReport:
    reason = f"{container.reason}: {container.message}" if container.message else container.reason
    starting = PodReport(TaskPhase.INITIALIZING, reason)
    if container.reason in STARTING_REASONS:
        return starting
    if container.reason == "ImagePullBackOff":
        failure = _system(container.reason, "the image cannot be pulled", container.message)
        return _with_grace(starting, failure, since, now, policy.image_pull_grace_s)
    if container.reason == "CreateContainerError":
        failure = _permanent(container, "the container cannot be created")
        return _with_grace(starting, failure, since, now, policy.create_container_grace_s)
    if container.reason == "CreateContainerConfigError":
        failure = _permanent(container, "the container's configuration is wrong")
        return _with_grace(starting, failure, since, now, policy.config_error_grace_s)
    if container.reason == "InvalidImageName":
        return _failed(_permanent(container, "the image name is not valid"))
    return _failed(_system(container.reason, "the container does not start", container.message))


def _with_grace(report: PodReport, failure: Failure, since: datetime, now: datetime, grace_s: float) -> PodReport:
    """`report` until the grace is over, `failure` from then on."""
    until = since + timedelta(seconds=grace_s)
    if now >= until:
        return _failed(failure)
    return PodReport(report.phase, report.reason, recheck_at=until)


def _failed(failure: Failure) -> PodReport:
    return PodReport(TaskPhase.FAILED, failure=failure)


def _user(code: str, what: str, detail: str) -> Failure:
    return Failure(code, _sentence(what, detail), FailureKind.USER)


def _system(code: str, what: str, detail: str) -> Failure:
    return Failure(code, _sentence(what, detail), FailureKind.SYSTEM)


def _permanent(container: ContainerStatus, what: str) -> Failure:
    return Failure(container.reason, _sentence(what, container.message), FailureKind.USER, retryable=False)


def _sentence(what: str, detail: str) -> str:
    return f"{what}\n{detail}" if "\n" in detail else f"{what}: {detail}" if detail else what
