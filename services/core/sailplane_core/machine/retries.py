"""Which budget a failure spends, whether another attempt is left, and how long to wait before it.

Flyte keeps two budgets: failures that the user's code caused spend the task's own retries, failures of the system
(a lost Pod, a node that went away) spend a fixed number of system retries, so that `retries=0` still survives a bad
machine. A failure that says it cannot be helped by another attempt spends neither.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from google.protobuf import duration_pb2
from sailplane_protos.core import tasks_pb2, workflow_pb2

from ..backoff import DOUBLINGS_MAX, pause
from ..durations import timedelta_of
from ..failures import Failure, FailureKind
from ..phases import TaskPhase
from .state import NodeState, Policies


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many further attempts each kind of failure may cost, and the pause before the first of them.

    The pause doubles with each failure, up to `backoff_max_s`.
    """

    user_retries: int
    system_retries: int
    backoff_s: float = 0.0
    backoff_max_s: float = 60.0

    @classmethod
    def of(cls, node: workflow_pb2.Node, task: tasks_pb2.TaskTemplate, policies: Policies) -> "RetryPolicy":
        """The node's own retries where it has any, else the task's; pauses that neither names are the server's."""
        own = node.metadata.retries if node.metadata.retries.retries else task.metadata.retries
        return cls(
            own.retries,
            policies.system_retries,
            _seconds(own.backoff) if own.HasField("backoff") else policies.retry_backoff_s,
            _seconds(own.backoff_max) if own.HasField("backoff_max") else policies.retry_backoff_max_s,
        )

    @property
    def pauses_max(self) -> timedelta:
        """All pauses together, if every attempt fails."""
        retries = self.user_retries + self.system_retries
        doubled = min(retries, DOUBLINGS_MAX)
        pauses_s = sum(min(self.backoff_max_s, self.backoff_s * 2.0**n) for n in range(doubled))
        longest_s = min(self.backoff_max_s, self.backoff_s * 2.0**DOUBLINGS_MAX)
        return timedelta(seconds=pauses_s + (retries - doubled) * longest_s)

    def pause(self, key: str, failures: int) -> timedelta:
        """How long to wait after so many failures. `key` names the attempt (`backoff.pause`)."""
        return pause(self.backoff_s, self.backoff_max_s, key, failures)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again: the node's row for the next attempt, still to be moved to QUEUED, and what to wait before."""

    node: NodeState
    pause: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No attempt is left: the failure to show."""

    failure: Failure


def decide(policy: RetryPolicy, node: NodeState, failure: Failure, key: str) -> Retry | GiveUp:
    """What becomes of a node whose present attempt failed. `key` names the attempt among all of them."""
    if not failure.retryable:
        return GiveUp(failure)
    if failure.kind is FailureKind.SYSTEM:
        used, limit = node.system_failures + 1, policy.system_retries
        counted = replace(node, system_failures=used)
    else:
        used, limit = node.user_failures + 1, policy.user_retries
        counted = replace(node, user_failures=used)
    if used <= limit:
        fresh = replace(
            counted, attempt=node.attempt + 1, task_phase=TaskPhase.UNDEFINED, task_phase_version=0, reason=""
        )
        return Retry(fresh, policy.pause(key, counted.user_failures + counted.system_failures))
    return GiveUp(
        replace(
            failure,
            code=f"RetriesExhausted|{failure.code}",
            message=f"[{used}/{limit + 1}] currentAttempt done. Last Error: {failure.kind}::{failure.message}",
            retryable=False,
        )
    )


def is_interruptible(
    node: NodeState, spec: workflow_pb2.Node, workflow: workflow_pb2.WorkflowTemplate, policies: Policies
) -> bool:
    """Whether the node's present attempt may run on a machine that can be taken away.

    The node's own word counts most, then the execution's, then the workflow's. The last attempt that lost machines may
    cost runs on one that nobody takes away, as in Flyte.
    """
    if node.system_failures >= policies.system_retries > 0:
        return False
    if spec.metadata.WhichOneof("interruptible_value") is not None:
        return spec.metadata.interruptible
    if policies.interruptible is not None:
        return policies.interruptible
    return workflow.metadata_defaults.interruptible


def _seconds(duration: duration_pb2.Duration) -> float:
    return max(0.0, timedelta_of(duration).total_seconds())
