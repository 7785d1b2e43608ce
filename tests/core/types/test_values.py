"""The type that a value shows, and whether a value may go where a type is declared."""

import pytest
from core.types.samples import (
    BINARY,
    BOOL,
    FLOAT,
    FRAME,
    INT,
    NONE,
    NOTHING,
    STR,
    STRUCT,
    Literal,
    Type,
    blob,
    choice,
    enum,
    frame,
    list_of,
    map_of,
    nested_list,
    offloaded,
    optional,
    packed,
    schema,
    struct,
    tagged,
    union,
    value,
)
from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.errors import InvalidRequest
from sailplane_core.types import accepts, castable, describe, is_optional, type_of, variants
from sailplane_protos.core import literals_pb2, types_pb2

Scalar, Primitive = literals_pb2.Scalar, literals_pb2.Primitive


def scalar(**fields: object) -> Literal:
    """A literal with one scalar."""
    return Literal(scalar=Scalar(**fields))


CSV = scalar(blob=literals_pb2.Blob(uri="s3://x", metadata=literals_pb2.BlobMetadata(type=blob("csv").blob)))
PARQUET = scalar(
    structured_dataset=literals_pb2.StructuredDataset(
        uri="s3://x",
        metadata=literals_pb2.StructuredDatasetMetadata(
            structured_dataset_type=frame("parquet").structured_dataset_type
        ),
    )
)

TYPES = [
    (value(1), INT),
    (value(1.5), FLOAT),
    (value("a"), STR),
    (value(True), BOOL),
    (scalar(primitive=Primitive(datetime=timestamp_pb2.Timestamp())), Type(simple=types_pb2.DATETIME)),
    (scalar(primitive=Primitive(duration=duration_pb2.Duration())), Type(simple=types_pb2.DURATION)),
    (NOTHING, NONE),
    (CSV, blob("csv")),
    (PARQUET, frame("parquet")),
    (scalar(structured_dataset=literals_pb2.StructuredDataset(uri="s3://x")), FRAME),
    (scalar(schema=literals_pb2.Schema(uri="s3://x")), schema()),
    (scalar(generic=struct_pb2.Struct()), STRUCT),
    (scalar(error=types_pb2.Error(message="no")), Type(simple=types_pb2.ERROR)),
    (scalar(binary=literals_pb2.Binary(value=b"x")), BINARY),
    (packed(), STRUCT),
    (choice(1, tagged(INT, "int")), union(tagged(INT, "int"))),
    (offloaded(list_of(INT)), list_of(INT)),
    (value([]), list_of(NONE)),
    (value({}), map_of(NONE)),
    (value([1, 2]), list_of(INT)),
    (value({"a": "b"}), map_of(STR)),
    (value([1, "a", 2]), list_of(union(INT, STR))),
    (value([[], [1]]), list_of(list_of(INT))),
    (value([[], []]), list_of(list_of(NONE))),
    (value([[1], ["a"]]), list_of(list_of(union(INT, STR)))),
    (value([{"a": 1}, {"b": 1.5}]), list_of(map_of(union(INT, FLOAT)))),
    (value([1, [2]]), list_of(union(INT, list_of(INT)))),
]


@pytest.mark.parametrize(("literal", "expected"), TYPES)
def test_the_type_of_a_value(literal: Literal, expected: Type) -> None:
    assert type_of(literal) == expected


def test_the_order_of_elements_makes_no_difference() -> None:
    assert type_of(value([1, "a", 1.5])) == type_of(value([1.5, "a", 1]))


def test_alternatives_come_in_the_order_they_are_written() -> None:
    assert list(variants(union(union(INT, STR), FLOAT))) == [INT, STR, FLOAT]


@pytest.mark.parametrize(
    "literal",
    [
        Literal(),
        scalar(),
        scalar(primitive=Primitive()),
        scalar(union=literals_pb2.Union(value=value(1))),
        offloaded(None),
        Literal(collection=literals_pb2.LiteralCollection(literals=[Literal()])),
    ],
)
def test_what_holds_no_value_has_no_type(literal: Literal) -> None:
    with pytest.raises(InvalidRequest):
        type_of(literal)
    assert not accepts(INT, literal)


def test_the_type_of_a_value_is_a_message_of_its_own() -> None:
    literal = offloaded(list_of(INT))
    type_of(literal).simple = types_pb2.STRING
    assert literal == offloaded(list_of(INT))


ACCEPTED = [
    (INT, value(1), True),
    (INT, value("1"), False),
    (FLOAT, value(1), False),
    (INT, value([1]), False),
    (enum("red", "green"), value("red"), True),
    (enum("red", "green"), value("blue"), False),
    (enum("red"), value(1), False),
    (list_of(enum("red")), value(["red", "blue"]), False),
    (STR, value("red"), True),
    (list_of(INT), value([]), True),
    (list_of(INT), value([1, "a"]), False),
    (list_of(optional(INT)), value([1, None]), True),
    (list_of(INT), value({}), False),
    (map_of(INT), value({"a": 1}), True),
    (map_of(INT), value({"a": "b"}), False),
    (map_of(INT), value([]), False),
    (list_of(list_of(union(INT, STR))), value([[1], ["a"]]), True),
    (optional(INT), value(1), True),
    (optional(INT), NOTHING, True),
    (optional(FRAME), NOTHING, True),
    (optional(INT), value("a"), False),
    (union(STR, enum("a")), value("b"), True),
    (union(STR, enum("a")), value("a"), False),
    (optional(INT), choice(1, INT), True),
    (optional(INT), choice(None, NONE), True),
    (optional(INT), choice("a", STR), False),
    (optional(INT), choice("a", INT), False),
    (INT, choice(1, INT), True),
    (optional(enum("a")), choice("a", enum("a")), True),
    (optional(enum("a")), choice("b", enum("a")), False),
    (optional(enum("a")), choice("b", STR), False),
    (optional(list_of(INT)), choice([1], list_of(INT)), True),
    (union(tagged(STR, "x"), tagged(STR, "y")), choice("a", tagged(STR, "y")), True),
    (blob("csv"), CSV, True),
    (blob("txt"), CSV, False),
    (blob(), CSV, True),
    (frame("parquet"), PARQUET, True),
    (frame("csv"), PARQUET, False),
    (FRAME, NOTHING, True),
    (INT, NOTHING, False),
    (struct({"title": "Point"}), packed(), True),
    (BINARY, packed(), False),
    (list_of(INT), offloaded(list_of(INT)), True),
    (list_of(INT), offloaded(list_of(STR)), False),
    (Type(), value(1), False),
]


@pytest.mark.parametrize(("declared", "literal", "expected"), ACCEPTED)
def test_what_a_type_accepts(declared: Type, literal: Literal, expected: bool) -> None:
    assert accepts(declared, literal) is expected


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=2)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_is_accepted_where_its_own_type_is_declared(one: object) -> None:
    literal = value(one)
    own = type_of(literal)
    assert castable(own, own)
    assert accepts(own, literal)


def test_values_nested_without_end_are_refused() -> None:
    literal = Literal()
    inner = literal
    for _ in range(5_000):
        inner = inner.collection.literals.add()
    inner.CopyFrom(value(1))
    for look in (lambda: type_of(literal), lambda: accepts(INT, literal)):
        with pytest.raises(InvalidRequest, match="nests deeper than 100 levels"):
            look()


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (optional(INT), True),
        (union(union(INT, NONE), STR), True),
        (INT, False),
        (NONE, False),
        (union(list_of(INT), blob()), False),
    ],
)
def test_what_may_be_left_unbound(one: Type, expected: bool) -> None:
    assert is_optional(one) is expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (INT, "integer"),
        (list_of(map_of(FLOAT)), "list[map[string, float]]"),
        (optional(STR), "union[string | none]"),
        (enum("red", "green"), "enum[red, green]"),
        (blob(), "blob"),
        (blob("csv", multipart=True), "multipart blob[csv]"),
        (frame("parquet", a=INT), "structured dataset[parquet, a: integer]"),
        (FRAME, "structured dataset"),
        (schema(a=types_pb2.SchemaType.SchemaColumn.INTEGER), "schema[a]"),
        (struct({"title": "Point"}), "struct[Point]"),
        (struct({"$ref": "#/definitions/Point"}), "struct[Point]"),
        (STRUCT, "struct"),
        (Type(), "unknown type"),
        (enum(*"abcdefghij"), "enum[a, b, c, d, e, f, g, h, …]"),
    ],
)
def test_types_in_a_few_words(one: Type, expected: str) -> None:
    assert describe(one) == expected


def test_descriptions_are_short_whatever_the_type() -> None:
    assert len(describe(enum("x" * 10_000))) == 300
    assert describe(nested_list(5_000, INT)).endswith("…]]]]]]]]]")
