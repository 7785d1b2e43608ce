"""Which budget a failure spends, and whether another attempt is left.

Flyte keeps two budgets: failures that the user's code caused spend the task's own retries, failures of the system
(a lost Pod, a node that went away) spend a fixed number of system retries, so that `retries=0` still survives a bad
machine. A failure that says it cannot be helped by another attempt spends neither.
"""

from dataclasses import dataclass, replace

from sailplane_protos.core import tasks_pb2, workflow_pb2

from ..failures import Failure, FailureKind
from .state import NodeState

SYSTEM_RETRIES = 3
"""Attempts that system failures may cost a node beyond its first one."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many further attempts each kind of failure may cost."""

    user_retries: int
    system_retries: int = SYSTEM_RETRIES

    @classmethod
    def of(cls, node: workflow_pb2.Node, task: tasks_pb2.TaskTemplate) -> "RetryPolicy":
        """The node's own retries where it has any, else the task's."""
        return cls(node.metadata.retries.retries or task.metadata.retries.retries)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again: the node's row for the next attempt, still to be moved to QUEUED."""

    node: NodeState


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No attempt is left: the failure to show."""

    failure: Failure


def decide(policy: RetryPolicy, node: NodeState, failure: Failure) -> Retry | GiveUp:
    """What becomes of a node whose present attempt failed."""
    if not failure.retryable:
        return GiveUp(failure)
    if failure.kind is FailureKind.SYSTEM:
        used, limit = node.system_failures + 1, policy.system_retries
        counted = replace(node, system_failures=used)
    else:
        used, limit = node.user_failures + 1, policy.user_retries
        counted = replace(node, user_failures=used)
    if used <= limit:
        return Retry(replace(counted, attempt=node.attempt + 1, task_phase_version=0, reason=""))
    return GiveUp(
        replace(
            failure,
            code=f"RetriesExhausted|{failure.code}",
            message=f"[{used}/{limit + 1}] currentAttempt done. Last Error: {failure.kind}::{failure.message}",
            retryable=False,
        )
    )
