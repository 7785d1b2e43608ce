"""Texts that containers write, read as the types that they declare."""

import datetime

import pytest
from google.protobuf import json_format
from sailplane_core.errors import InvalidRequest
from sailplane_core.literal_parse import parse
from sailplane_core.literal_text import json_value
from sailplane_protos.core import types_pb2


def type_of(**fields: object) -> types_pb2.LiteralType:
    return json_format.ParseDict(fields, types_pb2.LiteralType())


INTEGER = {"simple": "INTEGER"}
OPTIONAL = type_of(unionType={"variants": [INTEGER, {"simple": "STRING"}, {"simple": "NONE"}]})
INTEGERS = type_of(collectionType=INTEGER)
TABLE = type_of(mapValueType={"collectionType": {"simple": "FLOAT"}})
COLOUR = type_of(enumType={"values": ["red", "green"]})


@pytest.mark.parametrize(
    ("text", "expected", "value"),
    [
        ("42\n", type_of(**INTEGER), 42),
        (" -7", type_of(**INTEGER), -7),
        ("2.5e3\n", type_of(simple="FLOAT"), 2500.0),
        ("3", type_of(simple="FLOAT"), 3.0),
        ("kept \n", type_of(simple="STRING"), "kept \n"),
        ("TRUE\n", type_of(simple="BOOLEAN"), True),
        ("0", type_of(simple="BOOLEAN"), False),
        ("2024-02-29T01:02:03.5Z\n", type_of(simple="DATETIME"), "2024-02-29T01:02:03.5Z"),
        ("2024-02-29T03:02:03+02:00", type_of(simple="DATETIME"), "2024-02-29T01:02:03Z"),
        ("90s", type_of(simple="DURATION"), "seconds:90"),
        ("1h30m0.5s", type_of(simple="DURATION"), "seconds:5400 nanos:500000000"),
        ("-1ms", type_of(simple="DURATION"), "nanos:-1000000"),
        ("anything", type_of(simple="NONE"), None),
        ('{"a": [1, 2.5, null]}', type_of(simple="STRUCT"), {"a": [1, 2.5, None]}),
        ("red\n", COLOUR, "red"),
        ("null\n", OPTIONAL, None),
        ("4", OPTIONAL, 4),
        ("four", OPTIONAL, "four"),
        ("[1, 2]", INTEGERS, [1, 2]),
        ('{"a": [1, 2.5], "b": []}', TABLE, {"a": [1.0, 2.5], "b": []}),
    ],
)
def test_texts(text: str, expected: types_pb2.LiteralType, value: object) -> None:
    assert json_value(parse(text, expected)) == value


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        ("many", type_of(**INTEGER), "'many' is not of type integer"),
        ("1.5", type_of(**INTEGER), "not of type integer"),
        (str(2**63), type_of(**INTEGER), "not of type integer"),
        ("", type_of(simple="FLOAT"), "not of type float"),
        ("yes", type_of(simple="BOOLEAN"), "not of type boolean"),
        ("yesterday", type_of(simple="DATETIME"), "not of type datetime"),
        ("10", type_of(simple="DURATION"), "a number and a unit are expected"),
        ("", type_of(simple="DURATION"), "a number and a unit are expected"),
        ("1..5s", type_of(simple="DURATION"), "not of type duration"),
        ("{", type_of(simple="STRUCT"), "not JSON"),
        ("[]", type_of(simple="STRUCT"), "not an object"),
        ("blue", COLOUR, "none of red, green"),
        ("{}", INTEGERS, "not a list"),
        ("[]", TABLE, "not an object"),
        ('["a"]', INTEGERS, "not of type integer"),
        ("x", type_of(unionType={"variants": [INTEGER]}), "none of the types of the union"),
        ("x", type_of(simple="BINARY"), "type binary cannot be read"),
        ("x", type_of(schema={}), "type schema cannot be read"),
        ("9" * 100, type_of(simple="BOOLEAN"), r"\.\.\.' is not"),
    ],
)
def test_what_does_not_fit_says_why(text: str, expected: types_pb2.LiteralType, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        parse(text, expected)


def test_a_union_remembers_the_variant() -> None:
    assert parse("4", OPTIONAL).scalar.union.type.simple == types_pb2.INTEGER
    assert parse("null", OPTIONAL).scalar.union.type.simple == types_pb2.NONE


def test_times_keep_their_instant() -> None:
    literal = parse("2024-02-29T03:02:03+02:00", type_of(simple="DATETIME"))
    at = literal.scalar.primitive.datetime.ToDatetime(datetime.UTC)
    assert at == datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.UTC)
