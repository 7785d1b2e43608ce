"""Rarer things in stock flytekit: what goes wrong in the definition, references, checkpoints, processes that die."""

import os
import signal
from pathlib import Path

from flytekit import (
    current_context,
    dynamic,
    map_task,
    reference_launch_plan,
    reference_task,
    task,
    workflow,
)
from flytekit.exceptions.user import FlyteRecoverableException


@task
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@task(retries=3)
def stepwise(steps: int) -> int:
    """Gets one step further with each attempt, from where the last one stopped."""
    checkpoint = current_context().checkpoint
    done = int((checkpoint.read() or b"0").decode()) + 1
    checkpoint.write(str(done).encode())
    if done < steps:
        raise FlyteRecoverableException(f"{done} of {steps}")
    return done


@task
def leave(code: int) -> int:
    """Ends its process without a word."""
    if code >= 0:
        os._exit(code)
    return code


@task(retries=1)
def dies_at_first(marks: str) -> int:
    """Is killed at the first attempt."""
    mark = Path(marks, "killed")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


@reference_task(project="flytesnacks", domain="development", name="basics.add", version="v1")
def known_add(a: int, b: int) -> int:
    """A task of another program."""


@reference_launch_plan(project="flytesnacks", domain="development", name="sums_fixed", version="v1")
def known_plan(a: int) -> int:
    """A launch plan of another program."""


@reference_launch_plan(project="flytesnacks", domain="development", name="nobody.knows", version="v1")
def unknown_plan(a: int) -> int:
    """Was never registered."""


@dynamic
def refers(a: int) -> int:
    """References in a graph made at run time."""
    return add(a=known_plan(a=a), b=1)


@dynamic
def refers_to_nothing(a: int) -> int:
    """A graph that cannot be compiled."""
    return unknown_plan(a=a)


@workflow
def referring(a: int) -> tuple[int, int]:
    """References in a workflow, and in a dynamic one."""
    return known_plan(a=known_add(a=a, b=1)), refers(a=a)


@workflow
def referring_to_nothing(a: int) -> int:
    """Its graph cannot be compiled."""
    return refers_to_nothing(a=a)


@workflow
def unequal(xs: list[int], ys: list[int]) -> list[int]:
    """Lists that must be of one length."""
    return map_task(add)(a=xs, b=ys)


@workflow
def resumed(steps: int) -> int:
    """Checkpoints."""
    return stepwise(steps=steps)


@workflow
def left(code: int) -> int:
    """A process that ends without a result."""
    return leave(code=code)


@workflow
def killed(marks: str) -> int:
    """A process that dies once."""
    return dies_at_first(marks=marks)
