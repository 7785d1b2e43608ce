"""Dynamic workflows in stock flytekit."""

import time
from pathlib import Path

from flytekit import LaunchPlan, conditional, dynamic, map_task, task, workflow


@task
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@task
def square(x: int) -> int:
    """Squares."""
    return x * x


@task
def total(xs: list[int]) -> int:
    """Adds up."""
    return sum(xs)


@task
def refuse(x: int) -> int:
    """Fails for large numbers."""
    if x > 2:
        raise ValueError(f"{x} is too large")
    return x


@workflow
def twice(x: int) -> int:
    """A sub-workflow of a dynamic one."""
    return add(a=add(a=x, b=0), b=x)


planned = LaunchPlan.get_or_create(twice, name="dynamics.planned")


@dynamic
def unrolled(n: int) -> int:
    """A chain as long as its input says."""
    result = 0
    for index in range(n):
        result = add(a=result, b=index)
    return result


@dynamic
def nothing_to_do(x: int) -> int:
    """Emits no node, only its output."""
    return x


@dynamic
def countdown(n: int) -> int:
    """Calls itself."""
    if n == 0:
        return add(a=0, b=0)
    return add(a=countdown(n=n - 1), b=n)


@dynamic
def mixed(n: int) -> list[int]:
    """A sub-workflow, a launch plan, a map and a conditional, made at run time."""
    inside = twice(x=n)
    child = planned(x=inside)
    mapped = total(xs=map_task(square)(x=list(range(n))))
    chosen = conditional("size").if_(child > 10).then(square(x=child)).else_().then(add(a=child, b=0))
    return [inside, child, mapped, chosen]


@dynamic
def failing(n: int) -> list[int]:
    """One of its nodes fails."""
    return [refuse(x=index) for index in range(n)]


@dynamic
def spread(n: int, marks: str) -> list[int]:
    """Items that leave a mark, and fail until they may go on."""
    return [marked(x=index, marks=marks) for index in range(n)]


@task
def marked(x: int, marks: str) -> int:
    """Leaves a mark for each run; the last item waits for permission."""
    with Path(marks, f"runs{x}").open("a") as file:
        file.write("run\n")
    if x == 2:
        time.sleep(0.5)
        if not Path(marks, "permitted").exists():
            raise ValueError("not permitted yet")
    return x


@workflow
def chain(n: int) -> int:
    """A dynamic node between tasks."""
    return add(a=unrolled(n=add(a=n, b=0)), b=100)


@workflow
def empty(x: int) -> int:
    """A dynamic node without a graph."""
    return add(a=nothing_to_do(x=x), b=1)


@workflow
def recursive(n: int) -> int:
    """Dynamic nodes within dynamic nodes."""
    return countdown(n=n)


@workflow
def every_kind(n: int) -> list[int]:
    """A dynamic node that holds nodes of other kinds."""
    return mixed(n=n)


@workflow
def broken(n: int) -> list[int]:
    """A dynamic node that fails."""
    return failing(n=n)


@workflow
def recoverable(n: int, marks: str) -> list[int]:
    """A dynamic node that can be gone on with later."""
    return spread(n=n, marks=marks)
