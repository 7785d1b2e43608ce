"""Executions that fail first and are recovered, relaunched or terminated later."""

import functools
import time
from datetime import timedelta
from pathlib import Path

from flytekit import LaunchPlan, approve, conditional, current_context, map_task, task, workflow


@task
def marked(name: str, marks: str) -> str:
    """Leaves a mark for each run."""
    with Path(marks, name).open("a") as file:
        file.write("run\n")
    return name


@task
def gated(name: str, marks: str) -> str:
    """Leaves a mark, and fails until it is permitted."""
    with Path(marks, name).open("a") as file:
        file.write("run\n")
    if not Path(marks, "permitted").exists():
        raise ValueError("not permitted yet")
    return f"{name}!"


@task
def item(x: int, marks: str) -> int:
    """An item of a map; the third fails until it is permitted."""
    with Path(marks, f"item{x}").open("a") as file:
        file.write("run\n")
    if x == 2:
        time.sleep(0.5)
        if not Path(marks, "permitted").exists():
            raise ValueError("not permitted yet")
    return x


@task
def linger(name: str, marks: str) -> str:
    """Tells that it runs, and goes on for long."""
    Path(marks, name).touch()
    time.sleep(60)
    return name


@task
def numbers(n: int) -> list[int]:
    """Counts."""
    return list(range(n))


@task
def stepwise(marks: str) -> int:
    """Gets one step further with each run, and is not done before it is permitted."""
    checkpoint = current_context().checkpoint
    done = int((checkpoint.read() or b"0").decode()) + 1
    checkpoint.write(str(done).encode())
    if not Path(marks, "permitted").exists():
        raise ValueError("not permitted yet")
    return done


@workflow
def resumed(marks: str) -> int:
    """Goes on from a checkpoint."""
    return stepwise(marks=marks)


@workflow
def inner(name: str, marks: str) -> str:
    """A sub-workflow of which one node succeeds."""
    return gated(name=marked(name=name, marks=marks), marks=marks)


@workflow
def steps(marks: str) -> str:
    """The first succeeds, the second is a sub-workflow that gets half-way."""
    first = marked(name="first", marks=marks)
    return inner(name=first, marks=marks)


@workflow
def items(n: int, marks: str) -> list[int]:
    """A map of which one item fails."""
    return map_task(functools.partial(item, marks=marks))(x=numbers(n=n))


inner_plan = LaunchPlan.get_or_create(inner, name="recoveries.inner_plan")


@workflow
def through_plan(marks: str) -> str:
    """A child execution that gets half-way."""
    return inner_plan(name=marked(name="first", marks=marks), marks=marks)


@workflow
def long_inner(name: str, marks: str) -> str:
    """To be aborted."""
    return linger(name=name, marks=marks)


long_plan = LaunchPlan.get_or_create(long_inner, name="recoveries.long_plan")


@workflow
def long(marks: str) -> tuple[str, str, str, list[str]]:
    """A task, a sub-workflow, a child and a map, all of which go on for long."""
    return (
        linger(name="task", marks=marks),
        long_inner(name="sub", marks=marks),
        long_plan(name="child", marks=marks),
        map_task(functools.partial(linger, marks=marks))(name=["item0", "item1"]),
    )


@workflow
def guarded(marks: str) -> str:
    """A gate and a branch that are passed before it fails."""
    allowed = approve(marked(name="first", marks=marks), "allowed", timeout=timedelta(hours=1))
    chosen = (
        conditional("name").if_(allowed == "first").then(marked(name=allowed, marks=marks)).else_().fail("another name")
    )
    return gated(name=chosen, marks=marks)


@task
def wait_for_permission(name: str, marks: str) -> str:
    """Says that it has begun, and goes on once it is permitted."""
    with Path(marks, "second").open("a") as file:
        file.write("begun\n")
    while not Path(marks, "permitted").exists():
        time.sleep(0.05)
    return name


@workflow
def half_way(marks: str) -> str:
    """The first node is done, the second takes its time."""
    return wait_for_permission(name=marked(name="first", marks=marks), marks=marks)
