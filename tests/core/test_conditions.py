"""Branches decided as Python would decide them, and refused with a user's error where Python would raise."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.conditions import choose
from sailplane_core.failures import MESSAGE_BYTES_MAX, Failure, FailureKind
from sailplane_protos.core import condition_pb2, literals_pb2, types_pb2, workflow_pb2

Simple = bool | int | float | str | datetime | timedelta | None

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "GT": operator.gt,
    "GTE": operator.ge,
    "LT": operator.lt,
    "LTE": operator.le,
}
INTEGERS = st.integers(-(2**63), 2**63 - 1)
NUMBERS = INTEGERS | st.floats()
TIMES = st.datetimes(timezones=st.just(UTC))
SPANS = st.timedeltas(min_value=timedelta(days=-10_000), max_value=timedelta(days=10_000))
KINDS: list[st.SearchStrategy[Any]] = [NUMBERS, st.text(max_size=3), st.booleans(), TIMES, SPANS]
"""Values of one are comparable with each other, and with those of no other."""


def scalar(value: Simple) -> literals_pb2.Scalar:
    primitive = literals_pb2.Primitive()
    match value:
        case None:
            return literals_pb2.Scalar(none_type=literals_pb2.Void())
        case bool():
            primitive.boolean = value
        case int():
            primitive.integer = value
        case float():
            primitive.float_value = value
        case str():
            primitive.string_value = value
        case datetime():
            primitive.datetime.FromDatetime(value)
        case timedelta():
            primitive.duration.FromTimedelta(value)
    return literals_pb2.Scalar(primitive=primitive)


def literal(value: Simple) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=scalar(value))


def optional(value: Simple) -> literals_pb2.Literal:
    """As a task gives a value that may be None."""
    union = literals_pb2.Union(value=literal(value), type=types_pb2.LiteralType(simple=types_pb2.INTEGER))
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(union=union))


def constant(value: Simple) -> condition_pb2.Operand:
    """As flytekit writes constants: None as a scalar, the others in the older field."""
    if value is None:
        return condition_pb2.Operand(scalar=scalar(None))
    return condition_pb2.Operand(primitive=scalar(value).primitive)  # pyright: ignore[reportDeprecated]


def variable(name: str) -> condition_pb2.Operand:
    return condition_pb2.Operand(var=name)


def comparing(left: condition_pb2.Operand, name: str, right: condition_pb2.Operand) -> condition_pb2.BooleanExpression:
    comparison = condition_pb2.ComparisonExpression(left_value=left, right_value=right)
    comparison.operator = condition_pb2.ComparisonExpression.Operator.Value(name)
    return condition_pb2.BooleanExpression(comparison=comparison)


def joined(
    left: condition_pb2.BooleanExpression, name: str, right: condition_pb2.BooleanExpression
) -> condition_pb2.BooleanExpression:
    conjunction = condition_pb2.ConjunctionExpression(left_expression=left, right_expression=right)
    conjunction.operator = condition_pb2.ConjunctionExpression.LogicalOperator.Value(name)
    return condition_pb2.BooleanExpression(conjunction=conjunction)


TRUE = comparing(constant(1), "EQ", constant(1))
FALSE = comparing(constant(1), "EQ", constant(2))
IMPOSSIBLE = comparing(constant(1), "EQ", constant("1"))


def branch(*conditions: condition_pb2.BooleanExpression, error: str | None = None) -> workflow_pb2.BranchNode:
    """Cases n0, n1, ... and the case `else`, or an error in its place."""
    blocks = [
        workflow_pb2.IfBlock(condition=condition, then_node=workflow_pb2.Node(id=f"n{index}"))
        for index, condition in enumerate(conditions)
    ]
    if_else = workflow_pb2.IfElseBlock(case=blocks[0], other=blocks[1:])
    if error is None:
        if_else.else_node.id = "else"
    else:
        if_else.error.message = error
    return workflow_pb2.BranchNode(if_else=if_else)


def decide(condition: condition_pb2.BooleanExpression, **inputs: literals_pb2.Literal) -> bool | Failure:
    chosen = choose(branch(condition), literals_pb2.LiteralMap(literals=inputs))
    return chosen if isinstance(chosen, Failure) else {"n0": True, "else": False}[chosen]


def refused(condition: condition_pb2.BooleanExpression, **inputs: literals_pb2.Literal) -> str:
    """The message of the error that the condition ends in."""
    decided = decide(condition, **inputs)
    assert isinstance(decided, Failure)
    assert (decided.code, decided.kind, decided.retryable) == ("MalformedBranchUserError", FailureKind.USER, False)
    return decided.message


# Comparisons


@pytest.mark.parametrize("name", COMPARISONS)
@given(pair=st.one_of([st.tuples(kind, kind) for kind in KINDS]))
def test_values_of_one_kind_compare_as_in_python(name: str, pair: tuple[Any, Any]) -> None:
    left, right = pair
    expected = COMPARISONS[name](left, right)
    assert decide(comparing(constant(left), name, constant(right))) is expected
    assert decide(comparing(variable("n0.o0"), name, constant(right)), **{"n0.o0": literal(left)}) is expected
    both = comparing(variable("a"), name, variable("b"))
    assert decide(both, a=optional(left), b=literal(right)) is expected


@pytest.mark.parametrize(
    ("left", "name", "right", "expected"),
    [
        (2, "EQ", 2.0, True),
        (2, "LT", 2.5, True),
        (2**53 + 1, "GT", float(2**53), True),
        (float("nan"), "EQ", float("nan"), False),
        (0.0, "EQ", -0.0, True),
        ("a", "LT", "b", True),
        (False, "EQ", False, True),
        (datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "GT", datetime(2026, 1, 1, tzinfo=UTC), True),
        (timedelta(microseconds=-1), "LT", timedelta(), True),
        (timedelta(seconds=-1.5), "LT", timedelta(seconds=-1.25), True),
    ],
)
def test_the_edges_of_comparing(left: Simple, name: str, right: Simple, expected: bool) -> None:
    assert decide(comparing(constant(left), name, constant(right))) is expected


@pytest.mark.parametrize("name", COMPARISONS)
@given(data=st.data())
def test_values_of_different_kinds_do_not_compare(name: str, data: st.DataObject) -> None:
    first, second = data.draw(st.permutations(KINDS).map(lambda kinds: kinds[:2]))
    message = refused(comparing(constant(data.draw(first)), name, constant(data.draw(second))))
    assert "cannot be compared" in message


@given(value=st.none() | st.one_of(KINDS))
def test_none_is_equal_to_none_alone(value: Simple) -> None:
    is_none = comparing(variable("x"), "EQ", constant(None))
    for given_ in (literal(value), optional(value)):
        assert decide(is_none, x=given_) is (value is None)
        assert decide(comparing(constant(None), "NEQ", variable("x")), x=given_) is (value is not None)
    for name in ("GT", "GTE", "LT", "LTE"):
        assert "None" in refused(comparing(variable("x"), name, constant(None)), x=optional(value))
        assert "None" in refused(comparing(constant(None), name, variable("x")), x=literal(value))


def test_what_is_no_simple_value_does_not_compare() -> None:
    condition = comparing(variable("x"), "EQ", constant(1))
    collection = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[literal(1)]))
    structure = literals_pb2.Literal(scalar=literals_pb2.Scalar(generic=struct_pb2.Struct()))
    empty = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive()))
    assert "x is no simple value but collection" in refused(condition, x=collection)
    assert "generic" in refused(condition, x=structure)
    assert "nothing" in refused(condition, x=literals_pb2.Literal())
    assert "empty" in refused(condition, x=empty)


def test_a_condition_that_is_incomplete_is_refused() -> None:
    assert "no input 'y'" in refused(comparing(variable("y"), "EQ", constant(1)), x=literal(1))
    assert "empty" in refused(comparing(condition_pb2.Operand(), "EQ", constant(1)))
    assert "empty" in refused(condition_pb2.BooleanExpression())
    unknown = comparing(constant(1), "EQ", constant(1))
    unknown.comparison.operator = 99  # pyright: ignore[reportAttributeAccessIssue]
    assert "operator 99" in refused(unknown)


# Joined conditions


def truths(depth: int) -> st.SearchStrategy[tuple[condition_pb2.BooleanExpression, bool]]:
    """Conditions together with what they come to."""
    leaves = st.sampled_from([(TRUE, True), (FALSE, False)])
    if depth == 0:
        return leaves
    inner = truths(depth - 1)

    def join(both: tuple[str, Any, Any]) -> tuple[condition_pb2.BooleanExpression, bool]:
        name, (left, is_left), (right, is_right) = both
        return joined(left, name, right), (is_left and is_right) if name == "AND" else (is_left or is_right)

    return leaves | st.tuples(st.sampled_from(["AND", "OR"]), inner, inner).map(join)


@given(truths(4))
def test_and_and_or_nest(condition: tuple[condition_pb2.BooleanExpression, bool]) -> None:
    assert decide(condition[0]) is condition[1]


def test_the_right_side_is_looked_at_only_where_the_left_leaves_it_open() -> None:
    assert decide(joined(FALSE, "AND", IMPOSSIBLE)) is False
    assert decide(joined(TRUE, "OR", IMPOSSIBLE)) is True
    assert "cannot be compared" in refused(joined(TRUE, "AND", IMPOSSIBLE))
    assert "cannot be compared" in refused(joined(FALSE, "OR", IMPOSSIBLE))
    assert "cannot be compared" in refused(joined(IMPOSSIBLE, "AND", FALSE))


# Cases


@given(st.lists(st.booleans(), min_size=1, max_size=5))
def test_the_first_case_that_holds_is_taken(holds: list[bool]) -> None:
    chosen = choose(branch(*(TRUE if one else FALSE for one in holds)), literals_pb2.LiteralMap())
    assert chosen == (f"n{holds.index(True)}" if True in holds else "else")


def test_cases_after_the_one_taken_are_not_evaluated() -> None:
    assert choose(branch(FALSE, TRUE, IMPOSSIBLE), literals_pb2.LiteralMap()) == "n1"
    assert isinstance(choose(branch(FALSE, IMPOSSIBLE, TRUE), literals_pb2.LiteralMap()), Failure)


def test_a_failing_else_gives_the_authors_message() -> None:
    expected = Failure("UserProvidedError", "no such route", FailureKind.USER, retryable=False)
    assert choose(branch(FALSE, error="no such route"), literals_pb2.LiteralMap()) == expected
    assert choose(branch(TRUE, error="no such route"), literals_pb2.LiteralMap()) == "n0"
    long = choose(branch(FALSE, error="x" * (MESSAGE_BYTES_MAX + 1)), literals_pb2.LiteralMap())
    assert isinstance(long, Failure)
    assert len(long.message) == MESSAGE_BYTES_MAX


def test_without_an_else_some_case_must_hold() -> None:
    without = branch(FALSE)
    without.if_else.ClearField("else_node")
    missing = choose(without, literals_pb2.LiteralMap())
    assert isinstance(missing, Failure)
    assert (missing.code, missing.kind) == ("MalformedBranchUserError", FailureKind.USER)
    assert "no else case" in missing.message
