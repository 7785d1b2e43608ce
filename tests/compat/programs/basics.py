"""Small workflows in stock flytekit, each for one thing the control plane must do."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from flytekit import FlyteFile, LaunchPlan, current_context, task, workflow


@dataclass
class Point:
    """Travels between tasks as one value, and by its fields."""

    x: int
    y: float
    name: str


class Pair(NamedTuple):
    """Two named outputs."""

    low: int
    high: int


@task
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@task
def order(a: int, b: int) -> Pair:
    """Sorts two numbers."""
    return Pair(min(a, b), max(a, b))


@task
def make_point(x: int) -> Point:
    """Makes a dataclass."""
    return Point(x, x / 2, f"p{x}")


@task
def say(x: int, name: str) -> str:
    """Takes two fields of a dataclass."""
    return f"{name}={x}"


@task
def write(text: str) -> FlyteFile:
    """Writes a file."""
    path = Path(current_context().working_directory) / "out.txt"
    path.write_text(text)
    return FlyteFile(str(path))


@task
def read(file: FlyteFile) -> str:
    """Reads a file."""
    return Path(file.download()).read_text()


@task
def fail(message: str) -> int:
    """Raises what cannot be helped by another try."""
    if message:
        raise ValueError(message)
    return 0


@task
def nothing() -> None:
    """Neither takes nor gives."""


@workflow
def sums(a: int, b: int = 5) -> int:
    """A chain with a default input."""
    return add(a=add(a=a, b=b), b=100)


@workflow
def inner(a: int, b: int) -> Pair:
    """To be used as a sub-workflow."""
    return order(a=add(a=a, b=1), b=b)


@workflow
def nested(a: int, b: int) -> tuple[int, str]:
    """A sub-workflow, named outputs, a dataclass and its attributes."""
    pair = inner(a=a, b=b)
    point = make_point(x=pair.high)
    return add(a=pair.low, b=point.x), say(x=point.x, name=point.name)


@workflow
def files(text: str) -> str:
    """A file from one task to the next."""
    return read(file=write(text=text))


@workflow
def ordered() -> None:
    """Edges without data."""
    first, second, third = nothing(), nothing(), nothing()
    first >> second
    second >> third


@workflow
def failing(message: str) -> int:
    """Fails with the user's error."""
    return fail(message=message)


fixed = LaunchPlan.get_or_create(sums, name="sums_fixed", fixed_inputs={"b": 7}, default_inputs={"a": 1})
