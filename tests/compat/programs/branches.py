"""Conditionals in stock flytekit."""

from dataclasses import dataclass
from typing import NamedTuple

from flytekit import LaunchPlan, conditional, task, workflow


class Split(NamedTuple):
    """Two outputs, so that a case can have more than one."""

    half: int
    rest: int


@task
def label(text: str) -> str:
    """Gives back what it is given."""
    return text


@task
def shown(x: int | None) -> str:
    """Takes what may be absent."""
    return f"x={x}"


@task
def is_even(x: int) -> bool:
    """A condition that a task computes."""
    return x % 2 == 0


@task
def double(x: int) -> int:
    """Doubles."""
    return 2 * x


@task
def halve(x: int) -> Split:
    """Has two outputs."""
    return Split(x // 2, x % 2)


@task
def negate(x: int) -> Split:
    """Has the same two outputs."""
    return Split(-x, 0)


@task
def total(split_half: int, split_rest: int) -> int:
    """Takes what came out of a branch."""
    return split_half + split_rest


@workflow
def quadruple(x: int) -> int:
    """To be taken as a case."""
    return double(x=double(x=x))


planned = LaunchPlan.get_or_create(quadruple, name="branches.planned")


@workflow
def graded(score: int, bonus: float) -> str:
    """A conditional within a conditional; the last case fails."""
    return (
        conditional("grade")
        .if_(score >= 90)
        .then(label(text="A"))
        .elif_(score >= 50)
        .then(
            conditional("bonus")
            .if_((bonus > 0.0) & (bonus < 10.0))
            .then(label(text="B+"))
            .elif_((bonus < 0.0) | (bonus >= 10.0))
            .then(label(text="B?"))
            .else_()
            .then(label(text="B"))
        )
        .else_()
        .fail("the score is too low")
    )


@workflow
def graded_within(score: int) -> str:
    """A sub-workflow whose only node is a branch."""
    return label(text=graded(score=score, bonus=1.0))


@workflow
def routed(x: int, route: str) -> int:
    """Cases that are a task, a sub-workflow and a launch plan; the result goes on to a task."""
    taken = (
        conditional("route")
        .if_(route == "task")
        .then(double(x=x))
        .elif_(route == "workflow")
        .then(quadruple(x=x))
        .elif_(route == "plan")
        .then(planned(x=x))
        .else_()
        .fail("no such route")
    )
    return double(x=taken)


@workflow
def by_task(x: int) -> int:
    """The condition is a task's output, and each case has two outputs."""
    even = is_even(x=x)
    half, rest = conditional("even").if_(even.is_true()).then(halve(x=x)).else_().then(negate(x=x))
    return total(split_half=half, split_rest=rest)


@workflow
def given(x: int | None = None) -> str:
    """A condition on an input that may be absent."""
    return conditional("given").if_(x.is_none()).then(label(text="nothing")).else_().then(shown(x=x))


@dataclass
class Box:
    """What conditions take a part of."""

    sizes: list[float]


@task
def box(x: int) -> Box:
    """One size that is whole, and one that is not."""
    return Box([float(x), x + 0.5])


@workflow
def measured(x: int) -> str:
    """Conditions on parts of outputs (flytekit takes one part of each), a whole number beside another."""
    one, other = box(x=x), box(x=x)
    return (
        conditional("measured")
        .if_(one.sizes[1] < 3)
        .then(label(text="small"))
        .elif_(other.sizes[0] == x)
        .then(label(text="as it should be"))
        .else_()
        .fail("box and size differ")
    )
