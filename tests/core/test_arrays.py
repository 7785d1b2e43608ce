"""Arrays: how many items, what each gets, how many must succeed, and what comes out."""

from collections.abc import Mapping, Sequence

import pytest
from core.types.samples import value
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core import arrays
from sailplane_core.failures import Failure, FailureKind
from sailplane_protos.core import literals_pb2, types_pb2, workflow_pb2

ITEMS_MAX = 50_000

Value = int | None | Sequence["Value"] | Mapping[str, "Value"]


def literals(values: Mapping[str, Value]) -> literals_pb2.LiteralMap:
    return literals_pb2.LiteralMap(literals={name: value(one) for name, one in values.items()})


def optional(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    union = literals_pb2.Union(value=literal, type=types_pb2.LiteralType(simple=types_pb2.NONE))
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(union=union))


def array(*bound: str) -> workflow_pb2.ArrayNode:
    return workflow_pb2.ArrayNode(bound_inputs=bound)


VALUES: st.SearchStrategy[Value] = st.recursive(
    st.none() | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)

# How many items


@given(st.integers(0, 20), st.integers(1, 3))
def test_there_are_as_many_items_as_the_lists_are_long(length: int, lists: int) -> None:
    inputs = literals({f"xs{n}": range(length) for n in range(lists)} | {"whole": [7]})
    assert arrays.size(array("whole"), inputs, ITEMS_MAX) == length


@pytest.mark.parametrize("inputs", [{}, {"x": 1}, {"x": None}, {"table": {"a": [1, 2]}}, {"bound": [1, 2, 3]}])
def test_without_lists_to_take_apart_there_is_one_item(inputs: dict[str, Value]) -> None:
    assert arrays.size(array("bound"), literals(inputs), ITEMS_MAX) == 1


def test_lists_that_are_given_whole_may_have_any_length() -> None:
    assert arrays.size(array("bound"), literals({"xs": [1, 2], "bound": [1, 2, 3]}), ITEMS_MAX) == 2


def test_optional_lists_are_looked_into() -> None:
    inputs = literals({"ys": [1, 2]})
    inputs.literals["xs"].CopyFrom(optional(value([5, 6])))
    assert arrays.size(array(), inputs, ITEMS_MAX) == 2
    assert arrays.inputs_of(array(), inputs, 1) == literals({"xs": 6, "ys": 2})
    inputs.literals["xs"].CopyFrom(optional(value(None)))
    assert arrays.size(array(), inputs, ITEMS_MAX) == 2
    assert arrays.inputs_of(array(), inputs, 0).literals["xs"] == optional(value(None))


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 5), min_size=2))
def test_lists_of_different_lengths_are_the_users_error(lengths: dict[str, int]) -> None:
    size = arrays.size(array(), literals({name: [1] * length for name, length in lengths.items()}), ITEMS_MAX)
    if len(set(lengths.values())) == 1:
        assert size in lengths.values()
        return
    assert isinstance(size, Failure)
    assert (size.code, size.kind, size.retryable) == ("InvalidArrayLength", FailureKind.USER, False)
    for name, length in lengths.items():
        assert f"{name}: {length}" in size.message


def test_there_is_a_limit_on_items() -> None:
    inputs = literals({"xs": [0] * 4})
    assert arrays.size(array(), inputs, 4) == 4
    size = arrays.size(array(), inputs, 3)
    assert isinstance(size, Failure)
    assert (size.code, size.kind) == ("ArrayTooLarge", FailureKind.USER)
    assert "4 items" in size.message
    assert "at most 3" in size.message


# What each gets


@given(st.integers(1, 4), st.data())
def test_items_get_their_elements_and_the_rest_whole(length: int, data: st.DataObject) -> None:
    elements = st.lists(VALUES, min_size=length, max_size=length)
    lists = data.draw(st.dictionaries(st.sampled_from(["x", "y"]), elements, min_size=1))
    bound = data.draw(st.dictionaries(st.sampled_from(["p", "q"]), VALUES))
    values = {**lists, **bound}
    for index in range(length):
        given_ = arrays.inputs_of(array("p", "q"), literals(values), index)
        assert given_ == literals({**{name: elements[index] for name, elements in lists.items()}, **bound})


def test_elements_that_are_lists_are_not_taken_apart_again() -> None:
    assert arrays.inputs_of(array(), literals({"xs": [[1, 2], [3]]}), 0) == literals({"xs": [1, 2]})


# How many must succeed


def with_ratio(ratio: float) -> workflow_pb2.ArrayNode:
    return workflow_pb2.ArrayNode(min_success_ratio=ratio)


@given(st.integers(0, ITEMS_MAX))
def test_all_must_succeed_unless_the_array_says_otherwise(items: int) -> None:
    assert arrays.successes_needed(array(), items) == items
    assert arrays.successes_needed(with_ratio(1.0), items) == items
    assert arrays.successes_needed(with_ratio(0.0), items) == 0


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_least_number_counts_up_to_all(least: int, items: int) -> None:
    assert arrays.successes_needed(workflow_pb2.ArrayNode(min_successes=least), items) == min(least, items)


@pytest.mark.parametrize(
    ("ratio", "items", "needed"),
    [
        (0.1, 10, 1),
        (0.1, 11, 2),
        (0.1, 50_000, 5_000),
        (0.9, 50_000, 45_000),
        (0.3, 10, 3),
        (0.7, 10, 7),
        (2 / 3, 3, 2),
        (0.5, 3, 2),
        (0.001, 10, 1),
        (1e-30, 10, 1),
        (0.5, 0, 0),
    ],
)
def test_a_ratio_means_what_its_author_wrote(ratio: float, items: int, needed: int) -> None:
    assert arrays.successes_needed(with_ratio(ratio), items) == needed


@given(st.integers(1, ITEMS_MAX), st.data())
def test_the_ratio_of_some_items_to_all_needs_as_many(items: int, data: st.DataObject) -> None:
    some = data.draw(st.integers(0, items))
    assert arrays.successes_needed(with_ratio(some / items), items) == some


@given(st.floats(0, 1, width=32), st.integers(1, ITEMS_MAX))
def test_a_ratio_needs_the_least_number_that_reaches_it(ratio: float, items: int) -> None:
    needed = arrays.successes_needed(with_ratio(ratio), items)
    assert with_ratio(needed / items).min_success_ratio >= ratio
    assert needed == 0 or with_ratio((needed - 1) / items).min_success_ratio < ratio


# What comes out


@given(st.lists(st.none() | st.fixed_dictionaries({"o0": VALUES, "o1": VALUES}), max_size=5))
def test_outputs_are_lists_in_the_order_of_items_with_none_for_failed_ones(
    outputs: list[dict[str, Value] | None],
) -> None:
    gathered = arrays.gathered([None if one is None else literals(one) for one in outputs], ["o0", "o1"])
    expected = {name: [None if one is None else one[name] for one in outputs] for name in ("o0", "o1")}
    assert gathered == literals(expected)


def test_only_declared_outputs_come_out() -> None:
    assert arrays.gathered([literals({"o0": 1, "other": 2})], ["o0"]) == literals({"o0": [1]})
    assert arrays.gathered([literals({"o0": 1})], []) == literals({})


def test_an_output_that_an_item_has_not_given_is_none() -> None:
    assert arrays.gathered([literals({"o0": 1}), literals({})], ["o0"]) == literals({"o0": [1, None]})
