"""Launch plans that limit how many of their executions run at once."""

import time
from pathlib import Path

from flytekit import LaunchPlan, task, workflow
from flytekit.models.concurrency import ConcurrencyLimitBehavior, ConcurrencyPolicy


@task
def hold(diary: str, seconds: float) -> int:
    """Says when it begins and when it is done."""
    with Path(diary).open("a") as lines:
        lines.write("begun\n")
    time.sleep(seconds)
    with Path(diary).open("a") as lines:
        lines.write("done\n")
    return 1


@workflow
def held(diary: str, seconds: float) -> int:
    """One task."""
    return hold(diary=diary, seconds=seconds)


skipping = LaunchPlan.create(
    "limits.skipping", held, concurrency=ConcurrencyPolicy(max_concurrency=1, behavior=ConcurrencyLimitBehavior.SKIP)
)
queueing = LaunchPlan.create("limits.queueing", held, concurrency=ConcurrencyPolicy(max_concurrency=1, behavior=1000))
cancelling = LaunchPlan.create(
    "limits.cancelling", held, concurrency=ConcurrencyPolicy(max_concurrency=1, behavior=1001)
)
replacing = LaunchPlan.create("limits.replacing", held, concurrency=ConcurrencyPolicy(max_concurrency=2, behavior=1002))


@workflow
def parent(diary: str) -> tuple[int, int]:
    """Two children of a plan that has one at a time."""
    return queueing(diary=diary, seconds=0.1), queueing(diary=diary, seconds=0.1)


@workflow
def parent_of_skipped(diary: str) -> int:
    """A child that its plan may skip."""
    return skipping(diary=diary, seconds=0.1)
