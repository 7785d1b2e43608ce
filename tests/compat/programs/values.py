"""Values of every kind in stock flytekit, and attribute access on promises."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from flytekit import Deck, FlyteDirectory, current_context, task, workflow


class Colour(Enum):
    """Travels as its value."""

    RED = "red"
    GREEN = "green"


@dataclass
class Leaf:
    """The inner value."""

    size: int
    names: list[str] = field(default_factory=list)


@dataclass
class Tree:
    """Nested dataclasses, lists and dicts."""

    leaf: Leaf
    by_name: dict[str, Leaf]
    row: list[Leaf]
    note: str | None = None


@task
def grow(size: int) -> Tree:
    """Makes a nested value."""
    leaf = Leaf(size, ["a", "b"])
    return Tree(leaf, {"x": Leaf(size + 1)}, [Leaf(size + 2), Leaf(size + 3, ["c"])], "noted")


@task
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@task
def say(text: str | None, names: list[str]) -> str:
    """Takes parts of a nested value."""
    return f"{text}:{'+'.join(names)}"


@task
def measure(leaf: Leaf) -> int:
    """Takes a dataclass that lay in another."""
    return leaf.size


@task
def tables(n: int) -> tuple[list[int], dict[str, list[int]]]:
    """A list, and a dict of lists."""
    return [n, n + 1], {"low": [n], "high": [n + 10, n + 20]}


@task
def either(x: int) -> int | str | None:
    """An int, a text or nothing."""
    return (None, x, f"text{x}")[x % 3]


@task
def describe(value: int | str | None) -> str:
    """Tells which member of the union came."""
    return f"{type(value).__name__}:{value}"


@task
def perhaps(x: int | None = None) -> str:
    """Takes what may be absent."""
    return "nothing" if x is None else str(x)


@task
def scalars(
    i: int, f: float, s: str, b: bool, t: datetime, d: timedelta, c: Colour
) -> tuple[int, float, str, bool, datetime, timedelta, Colour]:
    """Every simple type, changed a little."""
    return i + 1, f / 2, s + "!", not b, t + timedelta(days=1), d * 2, Colour.GREEN if c is Colour.RED else Colour.RED


@task
def structures(x: dict[str, Any]) -> dict[str, Any]:
    """A dict of anything."""
    return x | {"more": [1, "two", None]}


@task
def folder(n: int) -> FlyteDirectory:
    """A directory of files."""
    path = Path(current_context().working_directory) / "made"
    path.mkdir()
    for index in range(n):
        (path / f"{index}.txt").write_text(str(index))
    return FlyteDirectory(str(path))


@task
def count_files(made: FlyteDirectory) -> int:
    """Takes the directory."""
    return len(list(Path(made.download()).iterdir()))


@task
def large(megabytes: int) -> list[str]:
    """More than fits into a message."""
    return ["x" * 1024 * 1024] * megabytes


@task
def too_large() -> tuple[str, str, str, str, str, str, str, str]:
    """Each is too small to be stored apart, all together are too large."""
    text = "x" * 9 * 1024 * 1024
    return text, text, text, text, text, text, text, text


@task
def length(texts: list[str]) -> int:
    """Takes what was stored apart."""
    return sum(len(text) for text in texts)


@task(enable_deck=True)
def decorated(x: int) -> int:
    """Has a deck, also when it fails."""
    Deck("numbers", f"<p>the number is {x}</p>")
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x


@workflow
def attributes(size: int) -> tuple[int, str, int, int, str]:
    """Attribute access of every sort: field, item of a list, key of a dict, and several steps."""
    tree = grow(size=size)
    low, by_name = tables(n=size)
    return (
        add(a=tree.leaf.size, b=low[1]),
        say(text=tree.note, names=tree.row[1].names),
        measure(leaf=tree.by_name["x"]),
        add(a=by_name["high"][1], b=tree.row[0].size),
        say(text=tree.leaf.names[0], names=tree.leaf.names),
    )


@workflow
def missing_attribute(size: int) -> int:
    """Asks for an item that is not there."""
    low, _ = tables(n=size)
    return add(a=low[7], b=0)


@workflow
def unions(x: int) -> tuple[str, int | str | None]:
    """A union from task to task, and out."""
    value = either(x=x)
    return describe(value=value), value


@workflow
def optionals(x: int | None = None) -> tuple[str, str]:
    """What may be absent, given and not given."""
    return perhaps(x=x), perhaps()


@workflow
def simple(
    i: int, f: float, s: str, b: bool, t: datetime, d: timedelta, c: Colour = Colour.RED
) -> tuple[int, float, str, bool, datetime, timedelta, Colour]:
    """Every simple type."""
    return scalars(i=i, f=f, s=s, b=b, t=t, d=d, c=c)


@workflow
def moments() -> datetime:
    """A default that is a moment."""
    _, _, _, _, t, _, _ = scalars(
        i=1, f=1.0, s="", b=True, t=datetime(2024, 2, 28, tzinfo=UTC), d=timedelta(0), c=Colour.RED
    )
    return t


@workflow
def anything(x: dict[str, Any]) -> dict[str, Any]:
    """A dict of anything."""
    return structures(x=x)


@workflow
def folders(n: int) -> tuple[FlyteDirectory, int]:
    """A directory from task to task, and out."""
    made = folder(n=n)
    return made, count_files(made=made)


@workflow
def offloaded(megabytes: int) -> tuple[list[str], int]:
    """A value that is stored apart."""
    texts = large(megabytes=megabytes)
    return texts, length(texts=texts)


@workflow
def with_deck(x: int) -> int:
    """A task with a deck."""
    return decorated(x=x)


@workflow
def oversized() -> str:
    """More than a task may give."""
    first, *_ = too_large()
    return first
