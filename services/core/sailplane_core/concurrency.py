"""How many executions of a launch plan may run at once, and what happens to one that would be too many.

An execution runs from its start until it has ended; one that is being aborted still runs. What waits has not started.

    SKIP           refused while as many as may run have not ended, those that wait among them
    QUEUE          waits, and the oldest that waits is the first to start
    CANCEL_OLDEST  of those that are not on their way out, so many of the oldest are aborted that it fits in beside the
                   others; those that wait may be among them
    REPLACE        all of them are aborted, and it starts when nothing runs any more

Whoever comes later never overtakes one that waits, except by SKIP, which cannot wait. Executions whose plan has no
policy run at any time, and are counted.

An execution whose plan is also that of an execution it descends from is not judged here: it runs in the place of that
one. Were it counted, it would wait for its own parent, which waits for it. Two plans that start each other are not
guarded against: with limits on both, an execution of either may come to wait for a place that one of its ancestors
keeps from the other. Both are then seen as QUEUED and RUNNING, and aborting either lets the other go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sailplane_protos.admin import execution_pb2, launch_plan_pb2

from .errors import ConcurrencyLimitReached, InvalidRequest

SKIP = launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
QUEUE = launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_QUEUE
CANCEL_OLDEST = launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_CANCEL_OLDEST
REPLACE = launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_REPLACE


@dataclass(frozen=True, slots=True)
class Running:
    """An execution that has started. Rows grow with age: the lowest is the oldest."""

    row_id: int
    is_leaving: bool
    """It is being aborted."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of a new execution, and of those before it."""

    starts_below: int | None = None
    """None: it starts now. Otherwise it waits until fewer than this many run."""
    aborted: tuple[int, ...] = ()
    """The rows of those that are aborted for it."""


def is_enforced(policy: launch_plan_pb2.ConcurrencyPolicy) -> bool:
    """Whether there is a limit at all."""
    return policy.behavior != launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_UNSPECIFIED


def policy_of(
    execution: execution_pb2.ExecutionSpec, plan: launch_plan_pb2.LaunchPlanSpec
) -> launch_plan_pb2.ConcurrencyPolicy:
    """What an execution obeys. Raises `InvalidRequest` when it has a policy besides its plan's."""
    if not execution.HasField("concurrency_policy"):
        return plan.concurrency_policy
    if is_enforced(plan.concurrency_policy):
        raise InvalidRequest.invalid("concurrency_policy", "the launch plan has one")
    return execution.concurrency_policy


def problems(policy: launch_plan_pb2.ConcurrencyPolicy) -> list[str]:
    """What is wrong with a policy."""
    found: list[str] = []
    if policy.behavior not in launch_plan_pb2.ConcurrencyLimitBehavior.values():
        found.append(f"invalid value for concurrency_policy.behavior: {policy.behavior} is none")
    if policy.max < 1:
        found.append("invalid value for concurrency_policy.max: must be at least 1")
    return found


def admit(
    policy: launch_plan_pb2.ConcurrencyPolicy, plan: str, running: Sequence[Running], waiting: Sequence[int]
) -> Admission:
    """Decide about a new execution of `plan`, given those that run and the rows of those that wait, each oldest first.

    Raises `ConcurrencyLimitReached` when it is refused.
    """
    if policy.behavior == SKIP:
        if len(running) + len(waiting) >= policy.max:
            raise ConcurrencyLimitReached(policy.max, plan)
        return Admission()
    staying = sorted([one.row_id for one in running if not one.is_leaving] + list(waiting))
    too_many = max(0, len(staying) + 1 - policy.max)
    starts_below, aborted = policy.max, tuple[int, ...]()
    if policy.behavior == CANCEL_OLDEST:
        aborted = tuple(staying[:too_many])
    elif policy.behavior == REPLACE and too_many:
        starts_below, aborted = 1, tuple(staying)
    if len(running) < starts_below and set(waiting) <= set(aborted):
        return Admission(None, aborted)
    return Admission(starts_below, aborted)


def startable(running: int, waiting: Sequence[int]) -> int:
    """How many may start now of those that wait, oldest first, each given as the number it starts below."""
    for started, starts_below in enumerate(waiting):
        if running + started >= starts_below:
            return started
    return len(waiting)
