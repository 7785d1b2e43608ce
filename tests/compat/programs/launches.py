"""Launch plans as nodes in stock flytekit."""

import os
import time
from pathlib import Path

from flytekit import FlyteFile, LaunchPlan, current_context, map_task, task, workflow
from flytekit.core.array_node import array_node


@task
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@task
def refuse(x: int) -> int:
    """Fails for negative numbers."""
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x


@task
def linger(marks: str) -> int:
    """Tells that it runs, and goes on for long."""
    Path(marks, "started").touch()
    time.sleep(60)
    return 1


@task
def environment(name: str) -> str:
    """An environment variable."""
    return os.environ.get(name, "")


@task
def written(text: str) -> FlyteFile:
    """Writes a file."""
    path = Path(current_context().working_directory) / "text"
    path.write_text(text)
    return FlyteFile(str(path))


@workflow
def telling(name: str) -> tuple[str, FlyteFile]:
    """What a child was given."""
    return environment(name=name), written(text=name)


telling_plan = LaunchPlan.get_or_create(telling, name="launches.telling_plan")


@workflow
def parent_of_telling(name: str) -> tuple[str, str, FlyteFile]:
    """What a parent was given, and its child."""
    told, file = telling_plan(name=name)
    return environment(name=name), told, file


@workflow
def child(a: int, b: int = 5) -> int:
    """Started by others."""
    return add(a=a, b=b)


@workflow
def picky(x: int) -> int:
    """Fails for negative numbers."""
    return refuse(x=x)


@workflow
def lingering(marks: str) -> int:
    """Goes on for long."""
    return linger(marks=marks)


child_plan = LaunchPlan.get_or_create(child, name="launches.child_plan", default_inputs={"b": 7})
fixed_plan = LaunchPlan.get_or_create(child, name="launches.fixed_plan", fixed_inputs={"b": 1000})
picky_plan = LaunchPlan.get_or_create(picky, name="launches.picky_plan")
lingering_plan = LaunchPlan.get_or_create(lingering, name="launches.lingering_plan")


@workflow
def parent(a: int) -> tuple[int, int]:
    """Two children, one with defaults, one with a fixed input."""
    first = child_plan(a=a)
    return add(a=first, b=1), fixed_plan(a=first)


@workflow
def parent_of_picky(x: int) -> int:
    """Its child may fail."""
    return add(a=picky_plan(x=x), b=1)


@workflow
def parent_of_lingering(marks: str) -> int:
    """Its child goes on for long."""
    return lingering_plan(marks=marks)


@workflow
def mapped(xs: list[int]) -> list[int]:
    """A launch plan for every item."""
    return array_node(picky_plan, concurrency=2)(x=xs)


@workflow
def mapped_leniently(xs: list[int]) -> list[int | None]:
    """Half of the children have to succeed."""
    return map_task(picky_plan, min_success_ratio=0.5)(x=xs)
