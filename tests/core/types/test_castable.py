"""What may be bound to what: the matrix of kinds, and the rules within each kind."""

import pytest
from core.types.samples import (
    BINARY,
    BOOL,
    FLOAT,
    FRAME,
    INT,
    NONE,
    STR,
    STRUCT,
    Type,
    blob,
    enum,
    frame,
    list_of,
    map_of,
    nested_list,
    optional,
    schema,
    struct,
    tagged,
    union,
)
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.errors import InvalidRequest
from sailplane_core.types import castable
from sailplane_protos.core import types_pb2

Column = types_pb2.SchemaType.SchemaColumn

KINDS = {
    "none": NONE,
    "int": INT,
    "float": FLOAT,
    "str": STR,
    "bool": BOOL,
    "binary": BINARY,
    "struct": STRUCT,
    "enum": enum("a", "b"),
    "list": list_of(INT),
    "map": map_of(INT),
    "blob": blob(),
    "schema": schema(),
    "frame": FRAME,
    "optional": optional(INT),
    "untyped": Type(),
}
ALSO_CASTABLE = {
    ("str", "enum"),
    ("enum", "str"),
    ("none", "frame"),
    ("schema", "frame"),
    ("frame", "schema"),
    ("int", "optional"),
    ("none", "optional"),
}


@pytest.mark.parametrize("downstream", KINDS)
@pytest.mark.parametrize("upstream", KINDS)
def test_each_kind_fits_itself_and_few_others(upstream: str, downstream: str) -> None:
    expected = (upstream == downstream and upstream != "untyped") or (upstream, downstream) in ALSO_CASTABLE
    assert castable(KINDS[upstream], KINDS[downstream]) is expected


COLLECTIONS = [
    ("an empty list fits every list", list_of(NONE), list_of(STR), True),
    ("an empty map fits every map", map_of(NONE), map_of(STR), True),
    ("an empty list is no map", list_of(NONE), map_of(STR), False),
    ("elements must fit", list_of(INT), list_of(STR), False),
    ("values must fit", map_of(INT), map_of(STR), False),
    ("a list within a list", list_of(list_of(INT)), list_of(list_of(INT)), True),
    ("nesting must agree", list_of(list_of(INT)), list_of(INT), False),
    ("elements may become optional", list_of(INT), list_of(optional(INT)), True),
    ("and not the reverse", list_of(optional(INT)), list_of(INT), False),
]
FILES = [
    ("formats agree", blob("csv"), blob("csv"), True),
    ("formats differ", blob("csv"), blob("txt"), False),
    ("the reader takes any format", blob("csv"), blob(), True),
    ("the writer names no format", blob(), blob("csv"), True),
    ("a directory where a file is declared", blob("csv", multipart=True), blob("csv"), True),
]
FRAMES = [
    ("fewer columns are wanted", frame(a=INT, b=STR), frame(a=INT), True),
    ("a wanted column is missing", frame(a=INT), frame(a=INT, b=STR), False),
    ("a column is of another type", frame(a=INT), frame(a=STR), False),
    ("the reader names no columns", frame(a=INT), frame(), True),
    ("the writer names no columns", frame(), frame(a=INT), True),
    ("formats, whatever the case", frame("Parquet"), frame("parquet"), True),
    ("formats differ", frame("csv"), frame("parquet"), False),
    ("the writer names no format", frame(), frame("csv"), True),
    ("a schema is parquet", schema(), frame("csv"), False),
    ("a schema is parquet, and welcome", schema(), frame("PARQUET"), True),
    ("a csv frame is no schema", frame("csv"), schema(), False),
    ("schema columns", schema(a=Column.INTEGER, b=Column.FLOAT), schema(a=Column.INTEGER), True),
    ("schema columns differ", schema(a=Column.INTEGER), schema(a=Column.FLOAT), False),
    ("schema to frame, by column", schema(a=Column.DATETIME), frame(a=STR), False),
    ("frame to schema, by column", frame(a=BOOL), schema(a=Column.BOOLEAN), True),
]
ENUMS = [
    ("the same values", enum("a", "b"), enum("a", "b"), True),
    ("fewer values may come", enum("a"), enum("a", "b"), True),
    ("more values may come", enum("a", "b"), enum("a"), False),
    ("an enum is a text in a list too", list_of(enum("a")), list_of(STR), True),
]
TAGS = [
    ("the same transformer", tagged(INT, "int"), tagged(INT, "int"), True),
    ("another transformer", tagged(BINARY, "pickle"), tagged(BINARY, "numpy"), False),
    ("the writer names none", INT, tagged(INT, "int"), True),
    ("only the writer names one", tagged(INT, "int"), INT, False),
]
UNIONS = [
    ("a union fits itself", union(INT, STR), union(STR, INT), True),
    ("every alternative must fit", union(INT, STR), union(INT, FLOAT), False),
    ("a wider union", union(INT, STR), union(INT, STR, FLOAT), True),
    ("a union is no plain type", optional(INT), INT, False),
    ("a union of one is that one", union(INT), INT, True),
    ("a union of one of one", union(union(INT)), INT, True),
    ("a union in a union is opened", union(union(INT, STR), FLOAT), union(INT, STR, FLOAT), True),
    ("and on the other side", union(INT, FLOAT), union(union(INT, STR), FLOAT), True),
    ("none of the alternatives", BOOL, union(INT, STR), False),
    ("two alternatives", STR, union(STR, enum("a")), False),
    ("two alternatives, but the tag decides", tagged(STR, "x"), union(tagged(STR, "x"), tagged(STR, "y")), True),
    ("two alternatives without a tag", STR, union(tagged(STR, "x"), tagged(STR, "y")), False),
    ("None is None, though a frame may be None too", NONE, optional(FRAME), True),
    ("a union without alternatives", union(), union(INT), False),
    ("a union without alternatives, where one is wanted", INT, union(), False),
    ("the value of an optional list", list_of(INT), optional(list_of(INT)), True),
]


@pytest.mark.parametrize(
    ("upstream", "downstream", "expected"),
    [pytest.param(*case, id=name) for name, *case in (*COLLECTIONS, *FILES, *FRAMES, *ENUMS, *TAGS, *UNIONS)],
)
def test_rules_within_a_kind(upstream: Type, downstream: Type, expected: bool) -> None:
    assert castable(upstream, downstream) is expected


def _object(required: tuple[str, ...] = (), **properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(required)}


WHOLE, TEXT, REAL = {"type": "integer"}, {"type": "string"}, {"type": "number"}
POINT = _object(("x", "y"), x=WHOLE, y=WHOLE)
TREE = {
    "$ref": "#/$defs/T",
    "$defs": {"T": _object(("v",), v=WHOLE, kids={"type": "array", "items": {"$ref": "#/$defs/T"}})},
}
TREE_OF_TEXTS = {
    "$ref": "#/$defs/T",
    "$defs": {"T": _object(("v",), v=TEXT, kids={"type": "array", "items": {"$ref": "#/$defs/T"}})},
}
OLD_POINT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$ref": "#/definitions/P",
    "definitions": {"P": POINT},
}

SCHEMAS = [
    ("the same", POINT, POINT, True),
    ("the same under another name", {**POINT, "title": "A"}, {**POINT, "title": "B"}, True),
    ("a subclass where its parent is declared", _object(("x", "y", "z"), x=WHOLE, y=WHOLE, z=WHOLE), POINT, True),
    ("a parent where a subclass is declared", POINT, _object(("x", "y", "z"), x=WHOLE, y=WHOLE, z=WHOLE), False),
    ("a field with a default may be missing", POINT, _object(("x", "y"), x=WHOLE, y=WHOLE, z=WHOLE), True),
    ("a field of another type", _object(("x",), x=TEXT), _object(("x",), x=WHOLE), False),
    ("an integer is a number", _object(x=WHOLE), _object(x=REAL), True),
    ("a number is no integer", _object(x=REAL), _object(x=WHOLE), False),
    ("several types", _object(x={"type": ["integer", "null"]}), _object(x=WHOLE), False),
    ("an optional field", _object(x=WHOLE), _object(x={"anyOf": [WHOLE, {"type": "null"}]}), True),
    (
        "an optional field, the other way round",
        _object(x={"anyOf": [WHOLE, {"type": "null"}]}),
        _object(x=WHOLE),
        False,
    ),
    ("elements", _object(x={"type": "array", "items": WHOLE}), _object(x={"type": "array", "items": TEXT}), False),
    (
        "values of a dictionary",
        _object(x={"type": "object", "additionalProperties": WHOLE}),
        _object(x={"type": "object", "additionalProperties": TEXT}),
        False,
    ),
    ("an enum with fewer values", _object(x={"enum": ["a"]}), _object(x={"enum": ["a", "b"]}), True),
    ("an enum with more values", _object(x={"enum": ["a", "b"]}), _object(x={"enum": ["a"]}), False),
    ("definitions of older clients", OLD_POINT, POINT, True),
    ("a recursive definition", TREE, {**TREE, "title": "again"}, True),
    ("a recursive definition of another type", TREE, TREE_OF_TEXTS, False),
    ("a reference to nowhere", {"$ref": "#/nowhere"}, POINT, True),
    ("a reference to itself", {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, POINT, True),
    (
        "fields one by one, though both name one definition",
        _object(x={"$ref": "#/$defs/N"}, y={"$ref": "#/$defs/N"}) | {"$defs": {"N": WHOLE}},
        _object(x=WHOLE, y=TEXT),
        False,
    ),
]


@pytest.mark.parametrize(
    ("upstream", "downstream", "expected"), [pytest.param(*case, id=name) for name, *case in SCHEMAS]
)
def test_structures_fit_by_their_json_schemas(
    upstream: dict[str, object], downstream: dict[str, object], expected: bool
) -> None:
    assert castable(struct(upstream), struct(downstream)) is expected


def test_a_structure_without_a_schema_fits_all_structures() -> None:
    assert castable(STRUCT, struct(POINT))
    assert castable(struct(POINT), STRUCT)


def test_recursive_schemas_that_fan_out_are_compared_once_per_pair() -> None:
    names = [f"D{i}" for i in range(40)]
    defs = {name: _object(**{f"f{j}": {"$ref": f"#/$defs/{other}"} for j, other in enumerate(names)}) for name in names}
    one, other = {"$ref": "#/$defs/D0", "$defs": defs}, {"$ref": "#/$defs/D1", "$defs": defs}
    assert castable(struct(one), struct(other))


def test_unions_within_unions_take_no_longer_than_their_size() -> None:
    deep = INT
    for _ in range(45):
        deep = union(deep)
    assert castable(deep, deep)
    assert not castable(deep, optional(STR))


@pytest.mark.parametrize("levels", [200, 20_000])
def test_types_nested_without_end_are_refused(levels: int) -> None:
    with pytest.raises(InvalidRequest, match="nests deeper than 100 levels"):
        castable(nested_list(levels, INT), nested_list(levels, INT))


PLAIN = st.sampled_from([NONE, INT, STR, BOOL, BINARY, blob("csv"), blob(), enum("a"), FRAME, schema(), STRUCT])
TYPES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        inner.map(list_of), inner.map(map_of), st.lists(inner, min_size=1, max_size=3).map(lambda many: union(*many))
    ),
    max_leaves=8,
)


@given(TYPES)
def test_every_type_fits_itself(one: Type) -> None:
    assert castable(one, one)


@given(TYPES)
def test_every_type_fits_where_it_or_none_is_declared(one: Type) -> None:
    assert castable(union(one), optional(one))
