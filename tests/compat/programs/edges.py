"""Rarer things in stock flytekit: what goes wrong in the definition, references, checkpoints, processes that die."""

import os
import signal
from pathlib import Path

from flytekit import (
    conditional,
    current_context,
    dynamic,
    eager,
    map_task,
    reference_launch_plan,
    reference_task,
    task,
    workflow,
)
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.error.error import FlyteError


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


@task(retries=3)
def irregular() -> str:
    """Keeps a checkpoint in its second attempt alone, and fails until the fourth."""
    checkpoint, attempt = current_context().checkpoint, int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    found = (checkpoint.read() or b"nothing").decode()
    if attempt == 1:
        checkpoint.write(f"{found}, then 1".encode())
    if attempt < 3:
        raise FlyteRecoverableException("not yet")
    return found


@workflow
def resumed_later() -> str:
    """Goes on from the last checkpoint that there is."""
    return irregular()


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


@task
def refuse(x: int) -> int:
    """Fails for positive numbers."""
    if x > 0:
        raise ValueError(f"{x} is positive")
    return x


@task
def clean_up(x: int, err: FlyteError | None = None) -> None:
    """Takes the error."""
    assert err is not None


@task
def total(xs: list[int]) -> int:
    """Takes a list as an item."""
    return sum(xs)


@task
def large_only(x: int) -> int | None:
    """Gives nothing for small numbers, and does not fail."""
    return x if x > 1 else None


@eager
async def hasty(x: int) -> int:
    """Starts others from within itself."""
    return add(a=x, b=2)


@workflow(on_failure=clean_up)
def cleaned(x: int) -> int:
    """Has a failure node."""
    return refuse(x=x)


@dynamic
def cleaned_inside(x: int) -> int:
    """A failure node in a graph made at run time."""
    return cleaned(x=x)


@dynamic(retries=1)
def second_time(x: int) -> int:
    """Makes its graph at the second attempt."""
    if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException("once more")
    return add(a=x, b=1)


@dynamic(cache=True, cache_version="1")
def remembered(x: int) -> int:
    """A graph whose outputs are cached."""
    return add(a=x, b=1)


@dynamic
def chosen(x: int) -> int:
    """A branch that fails, made at run time."""
    size = add(a=x, b=0)
    return conditional("size").if_(size > 5).then(add(a=x, b=1)).else_().fail("too small")


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
def cleaned_within(x: int) -> int:
    """A dynamic node whose sub-workflow is cleaned up after."""
    return cleaned_inside(x=x)


@workflow
def second_time_lucky(x: int) -> int:
    """A dynamic node with two attempts."""
    return second_time(x=x)


@workflow
def remembered_graph(x: int) -> int:
    """A dynamic node that is cached."""
    return remembered(x=x)


@workflow
def chosen_within(x: int) -> int:
    """A dynamic node with a branch."""
    return chosen(x=x)


@workflow
def map_or_none(x: int) -> list[int]:
    """Maps as cases."""
    return (
        conditional("size").if_(x > 0).then(map_task(add)(a=[1, 2], b=[x, x])).else_().then(map_task(add)(a=[], b=[]))
    )


@workflow
def graph_or_cache(x: int) -> int:
    """Dynamic nodes as cases."""
    return conditional("size").if_(x > 0).then(second_time(x=x)).else_().then(remembered(x=x))


@workflow
def totals(xs: list[list[int]]) -> list[int]:
    """A list of lists."""
    return map_task(total)(xs=xs)


@workflow
def some(xs: list[int]) -> list[int | None]:
    """Items that give nothing."""
    return map_task(large_only)(x=xs)


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
