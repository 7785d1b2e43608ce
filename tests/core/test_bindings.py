"""Bindings resolved, and the literals they give are ones that flytekit's tasks accept."""

import dataclasses
import enum
from datetime import UTC, date, datetime, timedelta
from typing import Any, Optional

import msgpack
import pytest
from flyteidl.core import literals_pb2 as flyte_literals_pb2
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal as FlytekitLiteral
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.bindings import UnresolvedBinding, entered_outputs, promised_nodes, resolve_bindings
from sailplane_core.failures import FailureKind
from sailplane_protos.core import literals_pb2, types_pb2

Path = tuple[str | int, ...]


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Inner:
    a: int
    b: list[str]


@dataclasses.dataclass
class Outer:
    number: int
    ratio: float
    whole: float
    flag: bool
    text: str
    inner: Inner
    inners: list[Inner]
    table: dict[str, int]
    at: datetime
    day: date
    span: timedelta
    colour: Colour
    maybe: Optional[int]  # noqa: UP045
    nothing: Optional[Inner]  # noqa: UP045


VALUE = Outer(
    number=3,
    ratio=0.5,
    whole=2.0,
    flag=True,
    text="hello",
    inner=Inner(1, ["x", "y"]),
    inners=[Inner(1, []), Inner(2, ["z"])],
    table={"k": 5},
    at=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    day=date(2024, 1, 2),
    span=timedelta(seconds=90),
    colour=Colour.RED,
    maybe=4,
    nothing=None,
)


def integer(value: int) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    literal.scalar.primitive.integer = value
    return literal


def packed(value: object) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    literal.scalar.binary.value, literal.scalar.binary.tag = msgpack.packb(value), "msgpack"
    return literal


def promise(node: str, var: str, path: Path = ()) -> literals_pb2.BindingData:
    data = literals_pb2.BindingData()
    data.promise.node_id, data.promise.var = node, var
    for step in path:
        if isinstance(step, int):
            data.promise.attr_path.add(int_value=step)
        else:
            data.promise.attr_path.add(string_value=step)
    return data


def resolve(
    data: literals_pb2.BindingData,
    outputs: dict[str, dict[str, literals_pb2.Literal]] | None = None,
    declared: types_pb2.LiteralType | None = None,
) -> literals_pb2.Literal:
    maps = {node: literals_pb2.LiteralMap(literals=values) for node, values in (outputs or {}).items()}
    types = {"x": declared} if declared is not None else None
    return resolve_bindings([literals_pb2.Binding(var="x", binding=data)], maps, types).literals["x"]


def flytekit_literal(value: object, python_type: Any) -> literals_pb2.Literal:
    """A value as a flytekit task would write it."""
    context = FlyteContextManager.current_context()
    literal = TypeEngine.to_literal(context, value, python_type, TypeEngine.to_literal_type(python_type))
    return literals_pb2.Literal.FromString(literal.to_flyte_idl().SerializeToString())


def flytekit_value(literal: literals_pb2.Literal, python_type: Any) -> object:
    """A value as a flytekit task would read it."""
    theirs = flyte_literals_pb2.Literal.FromString(literal.SerializeToString())
    context = FlyteContextManager.current_context()
    return TypeEngine.to_python_value(context, FlytekitLiteral.from_flyte_idl(theirs), python_type)


def flytekit_type(python_type: Any) -> types_pb2.LiteralType:
    return types_pb2.LiteralType.FromString(TypeEngine.to_literal_type(python_type).to_flyte_idl().SerializeToString())


def test_each_kind_of_binding() -> None:
    scalar = literals_pb2.BindingData(scalar=integer(1).scalar)
    assert resolve(scalar) == integer(1)
    collection, mapping = literals_pb2.BindingData(), literals_pb2.BindingData()
    collection.collection.bindings.extend([scalar, promise("n0", "o0")])
    mapping.map.bindings["k"].CopyFrom(collection)
    found = resolve(mapping, {"n0": {"o0": integer(2)}})
    assert list(found.map.literals["k"].collection.literals) == [integer(1), integer(2)]
    offloaded = literals_pb2.BindingData()
    offloaded.offloaded_metadata.uri = "s3://far"
    assert resolve(offloaded).offloaded_metadata.uri == "s3://far"


def test_empty_lists_and_maps_stay_what_they_are() -> None:
    for kind in ("collection", "map"):
        data = literals_pb2.BindingData()
        getattr(data, kind).SetInParent()
        assert resolve(data).WhichOneof("value") == kind


def test_a_promise_goes_through_untouched() -> None:
    source = flytekit_literal(3, Optional[int])  # noqa: UP045
    source.hash = "h"
    source.metadata["k"] = "v"
    assert resolve(promise("n0", "o0"), {"n0": {"o0": source}}) == source


@pytest.mark.parametrize(("asked", "given"), [("", ""), ("", "start-node"), ("start-node", ""), ("start-node",) * 2])
def test_workflow_inputs_go_by_two_names(asked: str, given: str) -> None:
    assert resolve(promise(asked, "a"), {given: {"a": integer(1)}}) == integer(1)


def test_nodes_that_are_needed() -> None:
    nested = literals_pb2.BindingData()
    nested.map.bindings["a"].collection.bindings.extend([promise("n1", "o0"), promise("", "x")])
    bindings = [literals_pb2.Binding(var=str(i), binding=b) for i, b in enumerate([nested, promise("n2", "o0")])]
    assert promised_nodes(bindings) == {"n1", "", "n2"}


@pytest.mark.parametrize(
    "data", [promise("n9", "o0"), promise("n0", "o9"), promise("", "o0"), literals_pb2.BindingData()]
)
def test_what_is_missing_is_not_the_users_fault(data: literals_pb2.BindingData) -> None:
    with pytest.raises(UnresolvedBinding) as failed:
        resolve(data, {"n0": {"o0": integer(1)}})
    failure = failed.value.failure
    assert (failed.value.var, failure.code, failure.kind) == ("x", "BindingResolutionFailure", FailureKind.SYSTEM)
    assert not failure.retryable


def test_paths_through_lists_and_maps_of_literals() -> None:
    source = flytekit_literal({"k": [1, 2]}, dict[str, list[int]])
    assert resolve(promise("n0", "o0", ("k", 1)), {"n0": {"o0": source}}) == integer(2)
    assert resolve(promise("n0", "[1].o0"), {"n0": {"o0": flytekit_literal([5, 6], list[int])}}) == integer(6)


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize(
    ("path", "python_type", "value"),
    [
        (("number",), int, 3),
        (("number",), float, 3.0),
        (("ratio",), float, 0.5),
        (("whole",), float, 2.0),
        (("flag",), bool, True),
        (("text",), str, "hello"),
        (("inner",), Inner, Inner(1, ["x", "y"])),
        (("inner", "b"), list[str], ["x", "y"]),
        (("inner", "b", 1), str, "y"),
        (("inners",), list[Inner], [Inner(1, []), Inner(2, ["z"])]),
        (("inners", 1), Inner, Inner(2, ["z"])),
        (("inners", 1, "b", 0), str, "z"),
        (("table",), dict[str, int], {"k": 5}),
        (("table", "k"), int, 5),
        (("colour",), Colour, Colour.RED),
        (("maybe",), Optional[int], 4),  # noqa: UP045
        (("nothing",), Optional[Inner], None),  # noqa: UP045
    ],
)
def test_a_task_reads_an_attribute_of_a_dataclass(path: Path, python_type: Any, value: object, typed: bool) -> None:
    outputs = {"n0": {"o0": flytekit_literal(VALUE, Outer)}}
    declared = flytekit_type(python_type) if typed else None
    assert flytekit_value(resolve(promise("n0", "o0", path), outputs, declared), python_type) == value


@pytest.mark.parametrize(
    ("path", "python_type", "value"),
    [
        (("at",), datetime, VALUE.at),
        (("at",), Optional[datetime], VALUE.at),  # noqa: UP045
        (("day",), date, VALUE.day),
        (("span",), timedelta, VALUE.span),
    ],
)
def test_times_need_the_declared_type(path: Path, python_type: Any, value: object) -> None:
    outputs = {"n0": {"o0": flytekit_literal(VALUE, Outer)}}
    found = resolve(promise("n0", "o0", path), outputs, flytekit_type(python_type))
    assert found.scalar.WhichOneof("value") == "primitive"
    assert flytekit_value(found, python_type) == value


@pytest.mark.parametrize(
    ("value", "python_type", "kind"),
    [(1, int, "integer"), (1.0, int, "integer"), (1, float, "float_value"), (1.5, float, "float_value")],
)
def test_a_number_becomes_the_declared_primitive(value: float, python_type: Any, kind: str) -> None:
    for source in (packed({"v": value}), struct_literal(v=value)):
        found = resolve(promise("n0", "o0", ("v",)), {"n0": {"o0": source}}, flytekit_type(python_type))
        assert found.scalar.primitive.WhichOneof("value") == kind


def test_a_declared_map_of_a_packed_dict_is_a_map() -> None:
    found = resolve(promise("n0", "o0", ("t",)), {"n0": {"o0": packed({"t": {"a": 1}})}}, flytekit_type(dict[str, int]))
    assert found.map.literals["a"] == integer(1)


def test_an_optional_structure_is_looked_into() -> None:
    source = flytekit_literal(VALUE.inner, Optional[Inner])  # noqa: UP045
    assert resolve(promise("n0", "o0", ("a",)), {"n0": {"o0": source}}) == integer(1)


def test_integer_keys() -> None:
    assert resolve(promise("n0", "o0", ("d", 7)), {"n0": {"o0": packed({"d": {7: 8}})}}) == integer(8)


def struct_literal(**values: object) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    literal.scalar.generic.update(values)
    return literal


@pytest.mark.parametrize(
    ("path", "python_type", "value"),
    [
        (("a",), int, 1),
        (("a",), float, 1.0),
        (("text",), str, "t"),
        (("list",), list[int], [1, 2]),
        (("list", 1), int, 2),
        (("nested", "flag"), bool, True),
    ],
)
def test_structs_as_older_clients_write_them(path: Path, python_type: Any, value: object) -> None:
    source = struct_literal(a=1, text="t", list=[1, 2], nested={"flag": True})
    found = resolve(promise("n0", "o0", path), {"n0": {"o0": source}}, flytekit_type(python_type))
    assert flytekit_value(found, python_type) == value


def test_part_of_a_struct_is_a_struct() -> None:
    found = resolve(promise("n0", "o0", ("nested",)), {"n0": {"o0": struct_literal(nested={"a": [1, {"b": None}]})}})
    wanted = struct_pb2.Struct()
    wanted.update({"a": [1, {"b": None}]})
    assert found.scalar.generic == wanted


@pytest.mark.parametrize(
    ("source", "path", "text"),
    [
        (packed({"a": 1, "b": 2}), ("c",), "key [c] does not exist, there are: a, b"),
        (packed({"a": [1]}), ("a", 1), "index [1] is out of range of a list of 1"),
        (packed({"a": [1]}), ("a", -1), "index [-1] is out of range"),
        (packed({"a": [1]}), ("a", "b"), "a list has no attribute 'b'"),
        (packed({"a": 1}), ("a", "b"), "a value of type int has no attribute 'b'"),
        (packed({"a": 2**64 - 1}), ("a",), "does not fit into a signed 64-bit integer"),
        (integer(1), ("a",), "a value of kind primitive has no attributes"),
        (flytekit_literal([1], list[int]), (3,), "index [3] is out of range"),
        (flytekit_literal({"k": 1}, dict[str, int]), ("j",), "key [j] does not exist, there are: k"),
    ],
)
def test_an_attribute_that_is_not_there_is_the_users_fault(source: literals_pb2.Literal, path: Path, text: str) -> None:
    with pytest.raises(UnresolvedBinding) as failed:
        resolve(promise("n0", "o0", path), {"n0": {"o0": source}})
    failure = failed.value.failure
    assert (failure.code, failure.kind) == ("PromiseAttributeResolveError", FailureKind.USER)
    assert text in failure.message


def test_a_text_that_is_no_time_is_the_users_fault() -> None:
    with pytest.raises(UnresolvedBinding) as failed:
        resolve(promise("n0", "o0", ("a",)), {"n0": {"o0": packed({"a": "soon"})}}, flytekit_type(datetime))
    assert failed.value.failure.kind is FailureKind.USER


@given(st.binary(max_size=60), st.lists(st.one_of(st.text(max_size=2), st.integers(-2, 2)), min_size=1, max_size=3))
def test_hostile_values_fail_the_binding_and_nothing_else(data: bytes, path: list[str | int]) -> None:
    literal = literals_pb2.Literal()
    literal.scalar.binary.value, literal.scalar.binary.tag = data, "msgpack"
    try:
        resolve(promise("n0", "o0", tuple(path)), {"n0": {"o0": literal}})
    except UnresolvedBinding as failed:
        assert failed.failure.kind is FailureKind.USER  # noqa: PT017


PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@given(PLAIN)
def test_whatever_is_packed_comes_out_as_it_was(value: object) -> None:
    def plain(literal: literals_pb2.Literal) -> object:
        match literal.WhichOneof("value"):
            case "collection":
                return [plain(each) for each in literal.collection.literals]
            case _ if literal.scalar.HasField("binary"):
                return msgpack.unpackb(literal.scalar.binary.value, strict_map_key=False)
            case _ if literal.scalar.HasField("none_type"):
                return None
            case _:
                primitive = literal.scalar.primitive
                return getattr(primitive, primitive.WhichOneof("value") or "")

    found = plain(resolve(promise("n0", "o0", ("v",)), {"n0": {"o0": packed({"v": value})}}))
    assert found == value
    assert type(found) is type(value)


def test_outputs_that_a_part_is_taken_of_are_known() -> None:
    def to(node_id: str, var: str, *path: str) -> literals_pb2.BindingData:
        data = literals_pb2.BindingData()
        data.promise.node_id, data.promise.var = node_id, var
        for step in path:
            data.promise.attr_path.add(string_value=step)
        return data

    listed = literals_pb2.BindingData()
    listed.collection.bindings.extend([to("n0", "o0"), to("n1", "o1", "a", "b"), to("n2", "[3].o2"), to("", "x", "y")])
    bindings = [literals_pb2.Binding(var="in", binding=listed), literals_pb2.Binding(var="b", binding=to("n3", "o3"))]
    assert entered_outputs(bindings) == {("n1", "o1"), ("n2", "o2"), ("", "x")}
    assert promised_nodes(bindings) == {"n0", "n1", "n2", "n3", ""}
