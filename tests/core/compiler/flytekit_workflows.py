"""One workflow of stock flytekit for each way of writing one; only their serialised form is looked at."""

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import pandas as pd
from flytekit import (
    FlyteDirectory,
    FlyteFile,
    LaunchPlan,
    Resources,
    StructuredDataset,
    Workflow,
    approve,
    conditional,
    dynamic,
    kwtypes,
    map_task,
    reference_task,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from flytekit.core.array_node import array_node
from flytekit.core.node_creation import create_node
from flytekit.types.error.error import FlyteError

HOUR = timedelta(hours=1)


class Color(enum.Enum):
    """An enum of texts."""

    RED = "red"
    GREEN = "green"


@dataclass
class Part:
    """A dataclass inside another."""

    size: float


@dataclass
class Whole:
    """A dataclass with something of everything."""

    count: int
    names: list[str] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    main: Part | None = None


class Pair(NamedTuple):
    """Two named outputs."""

    low: int
    high: int


@task
def one() -> int:
    """A number from nothing."""
    return 1


@task(retries=2, requests=Resources(cpu="500m", mem="1Gi"))
def inc(a: int) -> int:
    """A number from a number."""
    return a + 1


@task
def add(a: int, b: int) -> int:
    """A number from two."""
    return a + b


@task
def total(xs: list[int]) -> int:
    """A number from many."""
    return sum(xs)


@task
def say(s: str) -> str:
    """A text from a text."""
    return s


@task
def log() -> None:
    """Neither takes nor gives anything."""


@task
def order(a: int, b: int) -> Pair:
    """Two outputs."""
    return Pair(min(a, b), max(a, b))


@task
def whole() -> Whole:
    """A dataclass."""
    return Whole(1)


@task
def size_of(part: Part) -> float:
    """Takes a dataclass."""
    return part.size


@workflow
def chain(a: int = 3) -> int:
    """One after another."""
    return inc(a=inc(a=inc(a=a)))


@workflow
def fan_out(a: int) -> int:
    """Side by side, and together again."""
    return total(xs=[inc(a=a), inc(a=a), add(a=a, b=2), 7])


@workflow
def in_order() -> None:
    """Order without data."""
    first, second, third = create_node(log), create_node(log), create_node(log)
    first >> second
    second >> third


@workflow
def with_sub(a: int) -> int:
    """A workflow in a workflow in a workflow, and one of them twice."""
    return add(a=chain(a=fan_out(a=a)), b=chain(a=1))


@workflow
def choice(a: int, s: str) -> int:
    """Cases in cases, of tasks, workflows and failure."""
    z = inc(a=a)
    w = whole()
    return (
        conditional("outer")
        .if_((a == 1) | (s == "x"))
        .then(inc(a=z))
        .elif_((z > 2) & (a < 4))
        .then(chain(a=w.count))
        .else_()
        .then(conditional("inner").if_(z >= 5).then(add(a=a, b=z)).else_().fail("nothing fits"))
    )


@workflow
def attributes() -> tuple[int, str, float]:
    """Fields of dataclasses, elements of lists."""
    w = whole()
    return inc(a=w.count), say(s=w.names[0]), size_of(part=w.parts["a"])


@workflow
def named_outputs(a: int, b: int) -> Pair:
    """Named outputs of a task and of the workflow."""
    low, high = order(a=a, b=b)
    return Pair(inc(a=low), high)


@task
def maybe_one(a: int) -> int | None:
    """May have nothing to give."""
    return a


@task
def first_of(xs: list[int | None]) -> int:
    """Takes what may be missing."""
    return xs[0] or 0


@workflow
def mapped(xs: list[int]) -> int:
    """A task over a list, all or most of which must succeed."""
    strict = map_task(inc)(a=xs)
    lenient = map_task(inc, min_success_ratio=0.5, concurrency=2)(a=xs)
    return add(a=total(xs=strict), b=first_of(xs=lenient))


INC_PLAN = LaunchPlan.get_or_create(chain, name="core.compiler.chain_plan", default_inputs={"a": 5})
FIXED_PLAN = LaunchPlan.get_or_create(fan_out, name="core.compiler.fan_out_fixed", fixed_inputs={"a": 5})


@workflow
def launched(a: int) -> int:
    """Launch plans as nodes: with a default, with the default replaced, with a fixed input."""
    return total(xs=[INC_PLAN(), INC_PLAN(a=a), FIXED_PLAN()])


@workflow
def mapped_plans(xs: list[int]) -> int:
    """A launch plan over a list."""
    return total(xs=array_node(INC_PLAN)(a=xs))


@workflow
def gates(a: int) -> int:
    """Approval, a signal with a value, a pause."""
    x = inc(a=a)
    approved = approve(x, "looks-right", timeout=HOUR)
    number = wait_for_input("number", timeout=HOUR, expected_type=int)
    nap = sleep(timedelta(seconds=1))
    last = inc(a=number)
    nap >> last
    return add(a=approved, b=last)


@task
def clean_up(a: int, err: FlyteError | None = None) -> None:
    """Runs when the workflow failed."""


@workflow(on_failure=clean_up)
def with_failure_node(a: int) -> int:
    """A node for the case of failure."""
    return inc(a=a)


@dynamic
def decide(n: int) -> list[int]:
    """Makes its nodes when it runs."""
    return [inc(a=i) for i in range(n)]


@workflow
def with_dynamic(n: int) -> int:
    """A task that turns into a workflow."""
    return total(xs=decide(n=n))


@task
def many_kinds(
    number: float,
    flag: bool,
    at: datetime,
    for_long: timedelta,
    color: Color,
    either: int | str,
    maybe: list[str] | None = None,
    table: dict[str, list[int]] | None = None,
) -> str:
    """Everything that can be a value."""
    return str(number)


@workflow
def kinds(
    number: float = 1.5,
    flag: bool = True,
    at: datetime = datetime(2030, 1, 1, tzinfo=UTC),
    for_long: timedelta = HOUR,
    color: Color = Color.RED,
    either: int | str = "x",
    maybe: list[str] | None = None,
) -> str:
    """Inputs with defaults, passed on."""
    many_kinds(number=2.5, flag=False, at=at, for_long=HOUR, color=Color.GREEN, either=3, maybe=["a"], table={"a": [1]})
    return many_kinds(
        number=number, flag=flag, at=at, for_long=for_long, color=color, either=either, maybe=maybe, table=None
    )


@task
def make_file() -> FlyteFile["csv"]:  # noqa: F821 - the format of the file
    """A file of a format."""
    return FlyteFile(__file__)


@task
def read(file: FlyteFile, folder: FlyteDirectory) -> pd.DataFrame:
    """A frame from files."""
    return pd.DataFrame({"a": [1]})


@task
def columns(frame: Annotated[StructuredDataset, kwtypes(a=int)]) -> StructuredDataset:
    """A frame with known columns."""
    return frame


@workflow
def files(folder: FlyteDirectory, frame: pd.DataFrame) -> tuple[StructuredDataset, pd.DataFrame]:
    """Files and frames."""
    columns(frame=frame)
    read_in = read(file=make_file(), folder=folder)
    return columns(frame=read_in), read_in


@task
def untyped() -> dict:
    """A structure that nobody described."""
    return {}


@task
def use_untyped(d: dict) -> int:
    """Takes a structure that nobody described."""
    return len(d)


@workflow
def structures() -> int:
    """Structures without a schema."""
    return use_untyped(d=untyped())


@reference_task(project="p", domain="development", name="elsewhere.task", version="7")
def elsewhere(a: int) -> int:
    """A task that is registered already."""
    return a


@workflow
def with_reference(a: int) -> int:
    """Refers to what is registered already."""
    return elsewhere(a=a)


imperative = Workflow(name="core.compiler.imperative")
imperative.add_workflow_input("a", int)
_first = imperative.add_entity(inc, a=imperative.inputs["a"])
_second = imperative.add_entity(total, xs=[_first.outputs["o0"], imperative.inputs["a"]])
imperative.add_entity(log)
imperative.add_workflow_output("all", [_first.outputs["o0"], _second.outputs["o0"]], python_type=list[int])

WORKFLOWS = [
    chain,
    fan_out,
    in_order,
    with_sub,
    choice,
    attributes,
    named_outputs,
    mapped,
    launched,
    mapped_plans,
    gates,
    with_failure_node,
    with_dynamic,
    kinds,
    files,
    structures,
    with_reference,
    imperative,
]
