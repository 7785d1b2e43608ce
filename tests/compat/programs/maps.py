"""Map tasks in stock flytekit."""

import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from flytekit import map_task, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@dataclass
class Item:
    """A value with fields."""

    key: str
    weight: int


@task
def square(x: int) -> int:
    """Squares; refuses negative numbers."""
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x * x


@task
def positive(x: int) -> None:
    """Refuses negative numbers, and gives nothing."""
    if x < 0:
        raise ValueError(f"{x} is negative")


@task
def scaled(x: int, factor: int, names: list[str]) -> str:
    """Takes one mapped input and two that are the same for all."""
    return f"{names[x % len(names)]}{factor * x}"


@task
def weigh(item: Item) -> int:
    """Takes a dataclass."""
    return item.weight


@task
def noted(x: int, marks: str) -> None:
    """Has no output; leaves a mark."""
    Path(marks, f"item{x}").touch()


@task
def counted(x: int, marks: str) -> int:
    """Leaves marks while it runs, and tells how many others ran at the same time."""
    mine = Path(marks, f"running{x}")
    mine.touch()
    time.sleep(0.2)
    together = len(list(Path(marks).glob("running*")))
    mine.unlink()
    return together


@task(retries=2)
def stubborn(x: int) -> int:
    """Odd items need a second attempt."""
    if x % 2 and os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException(f"{x} is odd")
    return x


@task
def numbers(n: int) -> list[int]:
    """As many as are asked for."""
    return list(range(n))


@task
def total(xs: list[int]) -> int:
    """Takes what a map gave."""
    return sum(xs)


@task
def present(xs: list[int | None]) -> int:
    """How many are not missing."""
    return sum(x is not None for x in xs)


@workflow
def squares(n: int) -> int:
    """The items come from a task, the results go to one."""
    return total(xs=map_task(square)(x=numbers(n=n)))


@workflow
def listed(xs: list[int]) -> list[int]:
    """The items are the workflow's input, the results its output."""
    return map_task(square)(x=xs)


@workflow
def bound(xs: list[int], names: list[str]) -> list[str]:
    """Inputs that are not mapped over, one of them a list."""
    return map_task(functools.partial(scaled, factor=10, names=names))(x=xs)


@workflow
def weights(items: list[Item]) -> list[int]:
    """Dataclasses as items."""
    return map_task(weigh)(item=items)


@workflow
def silent(xs: list[int], marks: str) -> None:
    """Items without outputs."""
    map_task(functools.partial(noted, marks=marks))(x=xs)


@workflow
def narrow(xs: list[int], marks: str) -> list[int]:
    """At most two items at a time."""
    return map_task(functools.partial(counted, marks=marks), concurrency=2)(x=xs)


@workflow
def lenient(xs: list[int]) -> tuple[list[int | None], int]:
    """Half of the items have to succeed."""
    found = map_task(square, min_success_ratio=0.5)(x=xs)
    return found, present(xs=found)


@workflow
def enough(xs: list[int]) -> None:
    """Two items have to succeed, whatever their number."""
    map_task(positive, min_successes=2, min_success_ratio=None)(x=xs)


@workflow
def retried(xs: list[int]) -> list[int]:
    """Items with attempts of their own."""
    return map_task(stubborn)(x=xs)


@workflow
def overridden(xs: list[int]) -> list[int]:
    """The node of a map with overrides of its own."""
    return map_task(square)(x=xs).with_overrides(retries=1, interruptible=True, name="squared")


@task
def late_if_positive(x: int, marks: str) -> int:
    """Negative numbers fail at once, the others take a while and leave a mark."""
    if x < 0:
        raise ValueError(f"{x} is negative")
    time.sleep(1)
    Path(marks, f"item{x}").touch()
    return x


@workflow
def to_the_last(xs: list[int], marks: str) -> list[int]:
    """All items run to their end, whatever becomes of the others."""
    return map_task(functools.partial(late_if_positive, marks=marks), run_all_sub_nodes=True)(x=xs)


@workflow
def to_the_first_failure(xs: list[int], marks: str) -> list[int]:
    """The first item that fails ends the others."""
    return map_task(functools.partial(late_if_positive, marks=marks))(x=xs)
