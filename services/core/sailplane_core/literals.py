"""Plain values as literals: what is left when a path has led into a dataclass, a dict or a list of JSON values.

The literal is the one that a task of the declared type expects. flytekit's tasks take packed structures and bare
primitives alike; launch plans, raw containers and map tasks want real primitives, collections and maps.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from google.protobuf import struct_pb2
from sailplane_protos.core import literals_pb2, types_pb2

from . import msgpack
from .literal_text import MSGPACK_TAG

INTEGER_MAX = 2**63 - 1


def literal_of(value: object, declared: types_pb2.LiteralType | None, *, packed: bool) -> literals_pb2.Literal:
    """The literal of a value as `msgpack.unpack` or a Struct gives it.

    `declared` is the type that the destination has, None when it is unknown; it settles what the value cannot say
    (a whole number may be a float, a text a time, a dict a map). `packed` says what a structure becomes: MessagePack,
    or a Struct. Raises `ValueError` for a value that no literal can hold.
    """
    declared = _only_variant(declared)
    literal = literals_pb2.Literal()
    match value:
        case None:
            literal.scalar.none_type.SetInParent()
        case bool():
            literal.scalar.primitive.boolean = value
        case int() | float():
            _set_number(literal, value, _simple(declared))
        case str():
            _set_text(literal, value, _simple(declared))
        case list() if declared is None or declared.WhichOneof("type") == "collection_type":
            element_type = declared.collection_type if declared is not None else None
            literal.collection.SetInParent()
            for element in cast("list[object]", value):
                literal.collection.literals.append(literal_of(element, element_type, packed=packed))
        case dict() if declared is not None and declared.WhichOneof("type") == "map_value_type":
            literal.map.SetInParent()
            for key, element in cast("dict[object, object]", value).items():
                entry = literal_of(element, declared.map_value_type, packed=packed)
                literal.map.literals[str(key)].CopyFrom(entry)
        case dict() if not packed:
            literal.scalar.generic.CopyFrom(_struct(cast("Mapping[str, object]", value)))
        case _:
            literal.scalar.binary.value = msgpack.pack(value)
            literal.scalar.binary.tag = MSGPACK_TAG
    return literal


def struct_value(value: struct_pb2.Value) -> object:
    """A Struct's value as None, bool, float, str, list or dict."""
    match value.WhichOneof("kind"):
        case "struct_value":
            return {key: struct_value(element) for key, element in value.struct_value.fields.items()}
        case "list_value":
            return [struct_value(element) for element in value.list_value.values]
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _only_variant(declared: types_pb2.LiteralType | None) -> types_pb2.LiteralType | None:
    """For an optional type what it is when it is not None; None for a union with more to choose from."""
    while declared is not None and declared.WhichOneof("type") == "union_type":
        variants = [variant for variant in declared.union_type.variants if _simple(variant) != types_pb2.NONE]
        declared = variants[0] if len(variants) == 1 else None
    return declared


def _simple(declared: types_pb2.LiteralType | None) -> "types_pb2.SimpleType.ValueType | None":
    return declared.simple if declared is not None and declared.WhichOneof("type") == "simple" else None


def _set_number(literal: literals_pb2.Literal, value: float, declared: int | None) -> None:
    primitive = literal.scalar.primitive
    if declared == types_pb2.DURATION:
        primitive.duration.FromNanoseconds(round(value * 1e9))
    elif declared == types_pb2.INTEGER and float(value).is_integer():
        primitive.integer = _bounded(int(value))
    elif isinstance(value, float) or declared == types_pb2.FLOAT:
        primitive.float_value = float(value)
    else:
        primitive.integer = _bounded(value)


def _bounded(value: int) -> int:
    if not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
        raise ValueError(f"{value} does not fit into a signed 64-bit integer")
    return value


def _set_text(literal: literals_pb2.Literal, value: str, declared: int | None) -> None:
    if declared == types_pb2.DATETIME:
        at = datetime.fromisoformat(value)
        literal.scalar.primitive.datetime.FromDatetime(at if at.tzinfo else at.replace(tzinfo=UTC))
    else:
        literal.scalar.primitive.string_value = value


def _struct(value: Mapping[str, object]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(value)  # pyright: ignore[reportArgumentType]
    return struct
