"""Caching in stock flytekit. Each task leaves a mark when it really runs."""

import functools
import time
from pathlib import Path
from typing import Annotated, Any

from flytekit import Cache, FlyteFile, HashMethod, current_context, map_task, task, workflow


def leave_mark(marks: str, name: str) -> None:
    """One line more for each run."""
    with Path(marks, name).open("a") as file:
        file.write("run\n")


@task(cache=Cache(version="1", ignored_inputs=("marks",)))
def remembered(x: int, marks: str) -> int:
    """Is computed once for each `x`."""
    leave_mark(marks, f"remembered{x}")
    return x + 1


@task(cache=Cache(version="1", serialize=True, ignored_inputs=("marks",)))
def serialized(x: int, marks: str) -> int:
    """Is computed once even if many ask at the same time."""
    leave_mark(marks, f"serialized{x}")
    time.sleep(1)
    return x + 1


@task(cache=Cache(version="1", serialize=True, ignored_inputs=("marks",)))
def serialized_and_failing(x: int, marks: str) -> int:
    """The first one that computes it fails."""
    leave_mark(marks, "failing")
    time.sleep(0.5)
    if Path(marks, "failing").read_text().count("run") == 1:
        raise ValueError("the first one fails")
    return x


@task
def forgetful(x: int, marks: str) -> int:
    """Is computed each time, unless its node says otherwise."""
    leave_mark(marks, f"forgetful{x}")
    return x + 1


def last_digit(value: Any) -> str:
    """Values that end alike count as the same."""
    return str(value % 10)


@task
def hashed(x: int) -> Annotated[int, HashMethod(last_digit)]:
    """Its output has a hash of its own."""
    return x


@task(cache=True, cache_version="1", cache_ignore_input_vars=("marks",))
def by_hash(x: int, marks: str) -> int:
    """Is computed once for each hash."""
    leave_mark(marks, f"by_hash{x}")
    return x


@task(cache=Cache(version="1", ignored_inputs=("marks",)))
def written(text: str, marks: str) -> FlyteFile:
    """Its output is a file."""
    leave_mark(marks, "written")
    path = Path(current_context().working_directory) / "text"
    path.write_text(text)
    return FlyteFile(str(path))


@task
def total(xs: list[int]) -> int:
    """Adds up."""
    return sum(xs)


@workflow
def once(x: int, marks: str) -> int:
    """One cached task."""
    return remembered(x=x, marks=marks)


@workflow
def one_at_a_time(x: int, marks: str) -> int:
    """One cached task that is serialized."""
    return serialized(x=x, marks=marks)


@workflow
def one_at_a_time_and_failing(x: int, marks: str) -> int:
    """One cached task that is serialized, and fails at first."""
    return serialized_and_failing(x=x, marks=marks)


@workflow
def uncached(x: int, marks: str) -> int:
    """One task that is not cached."""
    return forgetful(x=x, marks=marks)


@workflow
def cached_by_node(x: int, marks: str) -> int:
    """A task that only its node makes cacheable."""
    return forgetful(x=x, marks=marks).with_overrides(cache=Cache(version="by-node"))


@workflow
def other_version(x: int, marks: str) -> int:
    """A cached task under another cache version."""
    return remembered(x=x, marks=marks).with_overrides(cache=Cache(version="2"))


@workflow
def never(x: int, marks: str) -> int:
    """A cached task whose node turns the cache off."""
    return remembered(x=x, marks=marks).with_overrides(cache=False)


@workflow
def through_hash(x: int, marks: str) -> int:
    """The key is the hash of the value, not the value."""
    return by_hash(x=hashed(x=x), marks=marks)


@workflow
def mapped(xs: list[int], marks: str) -> int:
    """Items that are cached one by one."""
    return total(xs=map_task(functools.partial(remembered, marks=marks))(x=xs))


@workflow
def filed(text: str, marks: str) -> FlyteFile:
    """A cached file."""
    return written(text=text, marks=marks)
