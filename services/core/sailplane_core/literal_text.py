"""Literals as text and as JSON values: what command lines and files of containers without an SDK are given."""

import json
from decimal import Decimal
from typing import cast

from google.protobuf import duration_pb2, json_format, struct_pb2, timestamp_pb2
from sailplane_protos.core import literals_pb2

from . import msgpack
from .errors import InvalidRequest

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

MSGPACK_TAG = "msgpack"


def text(literal: literals_pb2.Literal) -> str:
    """The literal as one argument of a command line.

    Numbers, booleans, times and durations look as Flyte writes them (Go's formats), files and frames are their URI.
    Where Flyte refuses: None is empty, an optional value is the value, a structure or a map is JSON. A list is
    `[a,b]` when its elements are simple, and JSON otherwise.
    """
    match literal.WhichOneof("value"):
        case "scalar":
            return _scalar_text(literal.scalar)
        case "collection":
            elements = literal.collection.literals
            if all(_is_simple(element) for element in elements):
                return "[" + ",".join(text(element) for element in elements) + "]"
            return _dump(json_value(literal))
        case "map":
            return _dump(json_value(literal))
        case "offloaded_metadata":
            return literal.offloaded_metadata.uri
        case None:
            return ""


def json_value(literal: literals_pb2.Literal) -> Json:
    """The literal as a JSON value; times, durations, files and frames are strings as in `text`."""
    match literal.WhichOneof("value"):
        case "scalar":
            return _scalar_json(literal.scalar)
        case "collection":
            return [json_value(element) for element in literal.collection.literals]
        case "map":
            return {name: json_value(value) for name, value in sorted(literal.map.literals.items())}
        case "offloaded_metadata":
            return literal.offloaded_metadata.uri
        case None:
            return None


def float_text(value: float) -> str:
    """A float as Go's `%v` writes it: the shortest text that reads back equal, `3` for 3.0, `1e+21` from there on."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[repr(value)]
    if value == 0:
        return "-0" if repr(value).startswith("-") else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    shown = "".join(map(str, digits))
    point = len(shown) + cast("int", exponent)
    if -4 <= point - 1 < 21:
        if point <= 0:
            body = "0." + "0" * -point + shown
        elif point >= len(shown):
            body = shown + "0" * (point - len(shown))
        else:
            body = f"{shown[:point]}.{shown[point:]}"
    else:
        mantissa = shown[0] + (f".{shown[1:]}" if len(shown) > 1 else "")
        body = f"{mantissa}e{'-' if point < 1 else '+'}{abs(point - 1):02d}"
    return ("-" if sign else "") + body


def timestamp_text(value: timestamp_pb2.Timestamp) -> str:
    """RFC 3339 in UTC, with as many digits of the second as are needed. Raises `InvalidRequest` for no such time."""
    try:
        whole = timestamp_pb2.Timestamp(seconds=value.seconds).ToJsonString().removesuffix("Z")
    except ValueError as error:
        raise InvalidRequest(f"a datetime cannot be written as text: {error}") from error
    fraction = f".{value.nanos:09d}".rstrip("0").rstrip(".")
    return f"{whole}{fraction}Z"


def duration_text(value: duration_pb2.Duration) -> str:
    """Protobuf's text form, which Flyte gives: `seconds:10`."""
    fields = (("seconds", value.seconds), ("nanos", value.nanos))
    return " ".join(f"{name}:{number}" for name, number in fields if number)


def _is_simple(literal: literals_pb2.Literal) -> bool:
    if literal.WhichOneof("value") == "collection":
        return all(_is_simple(element) for element in literal.collection.literals)
    if literal.WhichOneof("value") != "scalar":
        return False
    if literal.scalar.WhichOneof("value") == "union":
        return _is_simple(literal.scalar.union.value)
    return literal.scalar.WhichOneof("value") in ("primitive", "blob", "schema", "structured_dataset", "none_type")


def _scalar_text(scalar: literals_pb2.Scalar) -> str:
    if scalar.WhichOneof("value") == "primitive":
        return _primitive_text(scalar.primitive)
    if scalar.WhichOneof("value") == "union":
        return text(scalar.union.value)
    value = _scalar_json(scalar)
    if value is None:
        return ""
    return value if isinstance(value, str) else _dump(value)


def _primitive_text(primitive: literals_pb2.Primitive) -> str:
    match primitive.WhichOneof("value"):
        case "integer":
            return str(primitive.integer)
        case "float_value":
            return float_text(primitive.float_value)
        case "string_value":
            return primitive.string_value
        case "boolean":
            return "true" if primitive.boolean else "false"
        case "datetime":
            return timestamp_text(primitive.datetime)
        case "duration":
            return duration_text(primitive.duration)
        case None:
            return ""


def _scalar_json(scalar: literals_pb2.Scalar) -> Json:
    match scalar.WhichOneof("value"):
        case "primitive":
            return _primitive_json(scalar.primitive)
        case "union":
            return json_value(scalar.union.value)
        case "blob":
            return scalar.blob.uri
        case "schema":
            return scalar.schema.uri
        case "structured_dataset":
            return scalar.structured_dataset.uri
        case "generic":
            return struct_json(scalar.generic)
        case "binary":
            return _binary_json(scalar.binary)
        case "error":
            return scalar.error.message
        case _:
            return None


def _primitive_json(primitive: literals_pb2.Primitive) -> Json:
    match primitive.WhichOneof("value"):
        case "integer":
            return primitive.integer
        case "float_value":
            return primitive.float_value
        case "boolean":
            return primitive.boolean
        case _:
            return _primitive_text(primitive)


def struct_json(struct: struct_pb2.Struct) -> Json:
    """A Struct as a JSON value; its numbers are doubles on the wire, and whole ones become integers again.

    Fields come by name: a protobuf map has no order of its own, and equal values must give equal texts. Raises
    `InvalidRequest` for what JSON has no word for, such as NaN.
    """
    try:
        return _whole_numbers(cast("Json", json_format.MessageToDict(struct)))
    except ValueError as error:
        raise InvalidRequest(f"a struct cannot be written as JSON: {error}") from error


def _whole_numbers(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_whole_numbers(element) for element in value]
    if isinstance(value, dict):
        return {name: _whole_numbers(element) for name, element in sorted(value.items())}
    return value


def _binary_json(binary: literals_pb2.Binary) -> Json:
    if binary.tag != MSGPACK_TAG:
        raise InvalidRequest(f"a binary value tagged {binary.tag!r} has no text form")
    try:
        return _jsonable(msgpack.unpack(binary.value))
    except ValueError as error:
        raise InvalidRequest(f"a value tagged {MSGPACK_TAG!r} cannot be read: {error}") from error


def _jsonable(value: object) -> Json:
    if isinstance(value, dict):
        return {str(name): _jsonable(element) for name, element in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_jsonable(element) for element in cast("list[object]", value)]
    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)


def _dump(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
