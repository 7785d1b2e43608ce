"""Text to literals: what containers without an SDK write into their output files."""

import json
from typing import cast

from google.protobuf import duration_pb2, json_format, struct_pb2, timestamp_pb2
from sailplane_protos.core import literals_pb2, types_pb2

from .errors import InvalidRequest
from .literal_text import Json

_Simple = types_pb2.SimpleType


def parse(text: str, expected: types_pb2.LiteralType) -> literals_pb2.Literal:
    """A literal of the expected type.

    Texts are taken as they are; space around other simple values is ignored. Times are RFC 3339, durations `90s` or
    `1.5h`, structures JSON, as lists and maps are, whose elements are then read as their type wants. `null` is None.
    Raises `InvalidRequest` that says what was expected.
    """
    match expected.WhichOneof("type"):
        case "simple":
            return _simple(text, expected.simple)
        case "enum_type":
            return _enum(text.strip(), expected.enum_type)
        case "union_type":
            return _union(text, expected.union_type)
        case "collection_type" | "map_value_type":
            return _element(_json(text), expected)
        case kind:
            raise InvalidRequest(f"a value of type {kind} cannot be read from text")


def _simple(text: str, expected: "types_pb2.SimpleType.ValueType") -> literals_pb2.Literal:
    stripped = text.strip()
    if expected == _Simple.STRING:
        return _primitive(literals_pb2.Primitive(string_value=text))
    if expected == _Simple.NONE:
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    if expected == _Simple.STRUCT:
        return _struct(_json(stripped))
    try:
        if expected == _Simple.INTEGER:
            return _primitive(literals_pb2.Primitive(integer=int(stripped)))
        if expected == _Simple.FLOAT:
            return _primitive(literals_pb2.Primitive(float_value=float(stripped)))
        if expected == _Simple.BOOLEAN:
            return _primitive(literals_pb2.Primitive(boolean=_boolean(stripped)))
        if expected == _Simple.DATETIME:
            datetime = timestamp_pb2.Timestamp()
            datetime.FromJsonString(stripped)
            return _primitive(literals_pb2.Primitive(datetime=datetime))
        if expected == _Simple.DURATION:
            return _primitive(literals_pb2.Primitive(duration=_duration(stripped)))
    except ValueError as error:
        name = _Simple.Name(expected).lower()
        raise InvalidRequest(f"{_shown(text)} is not of type {name}: {error}") from error
    raise InvalidRequest(f"a value of type {_Simple.Name(expected).lower()} cannot be read from text")


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise ValueError("true or false is expected")
    return text.lower() in ("true", "1", "t")


_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def _duration(text: str) -> duration_pb2.Duration:
    """Go's form: a sum of numbers with units, such as `1h30m` or `1.5s`."""
    rest, total_s = text.lstrip("+-"), 0.0
    if not rest:
        raise ValueError("a number and a unit are expected, such as 90s")
    while rest:
        digits = next((index for index, each in enumerate(rest) if each not in "0123456789."), len(rest))
        after = rest[digits:]
        unit = after[: next((index for index, each in enumerate(after) if each in "0123456789."), len(after))]
        if unit not in _UNIT_S:
            raise ValueError("a number and a unit are expected, such as 90s")
        total_s += float(rest[:digits]) * _UNIT_S[unit]
        rest = after[len(unit) :]
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(round(total_s * 1e9) * (-1 if text.startswith("-") else 1))
    return duration


def _enum(text: str, expected: types_pb2.EnumType) -> literals_pb2.Literal:
    if text not in expected.values:
        raise InvalidRequest(f"{_shown(text)} is none of {', '.join(expected.values)}")
    return _primitive(literals_pb2.Primitive(string_value=text))


def _union(text: str, expected: types_pb2.UnionType) -> literals_pb2.Literal:
    """The first variant that the text fits; None only for `null`, and before all others."""
    is_null = text.strip() == "null"
    for variant in sorted(expected.variants, key=lambda each: each.simple != _Simple.NONE):
        if (variant.simple == _Simple.NONE) != is_null:
            continue
        try:
            value = parse(text, variant)
        except InvalidRequest:
            continue
        union = literals_pb2.Union(value=value, type=variant)
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(union=union))
    raise InvalidRequest(f"{_shown(text)} fits none of the types of the union")


def _element(value: Json, expected: types_pb2.LiteralType) -> literals_pb2.Literal:
    """A JSON value as the expected type wants it."""
    match expected.WhichOneof("type"):
        case "collection_type":
            if not isinstance(value, list):
                raise InvalidRequest(f"{_shown(json.dumps(value))} is not a list")
            elements = [_element(each, expected.collection_type) for each in value]
            return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=elements))
        case "map_value_type":
            if not isinstance(value, dict):
                raise InvalidRequest(f"{_shown(json.dumps(value))} is not an object")
            entries = {name: _element(each, expected.map_value_type) for name, each in value.items()}
            return literals_pb2.Literal(map=literals_pb2.LiteralMap(literals=entries))
        case _:
            return parse(value if isinstance(value, str) else json.dumps(value), expected)


def _struct(value: Json) -> literals_pb2.Literal:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{_shown(json.dumps(value))} is not an object")
    struct = json_format.ParseDict(value, struct_pb2.Struct())
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(generic=struct))


def _json(text: str) -> Json:
    try:
        return cast("Json", json.loads(text))
    except ValueError as error:
        raise InvalidRequest(f"{_shown(text)} is not JSON: {error}") from error


def _primitive(primitive: literals_pb2.Primitive) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
