"""Following `promise.field["key"][0]` into what an upstream node wrote."""

from collections.abc import Sequence
from typing import TypeVar, cast

from sailplane_protos.core import literals_pb2, types_pb2

from . import msgpack
from .literal_text import MSGPACK_TAG
from .literals import literal_of, struct_value

Attribute = str | int

T = TypeVar("T")


class PathFailed(Exception):
    """The value has no such attribute; the message says where the path ends."""


def attributes(path: Sequence[types_pb2.PromiseAttribute]) -> list[Attribute]:
    """A promise's path as text keys and list indexes."""
    return [step.int_value if step.WhichOneof("value") == "int_value" else step.string_value for step in path]


def follow(
    literal: literals_pb2.Literal, path: Sequence[Attribute], declared: types_pb2.LiteralType | None = None
) -> literals_pb2.Literal:
    """What the path leads to, as a literal of the destination's `declared` type where it is known.

    Lists and maps of literals are walked first, optional values are looked into, and from a scalar on the path leads
    through the structure that it holds. Raises `PathFailed`.
    """
    for taken, attribute in enumerate(path):
        literal = _unwrapped(literal)
        match literal.WhichOneof("value"):
            case "collection":
                literal = _element(literal.collection.literals, attribute)
            case "map":
                if str(attribute) not in literal.map.literals:
                    raise PathFailed(_no_key(attribute, literal.map.literals))
                literal = literal.map.literals[str(attribute)]
            case "scalar":
                return _follow_structure(literal.scalar, path[taken:], declared)
            case "offloaded_metadata":
                raise PathFailed(f"the value at {literal.offloaded_metadata.uri} is stored apart and has no attributes")
            case _:
                raise PathFailed(f"there is no value to take {attribute!r} of")
    return literal


def _unwrapped(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    while literal.scalar.WhichOneof("value") == "union":
        literal = literal.scalar.union.value
    return literal


def _follow_structure(
    scalar: literals_pb2.Scalar, path: Sequence[Attribute], declared: types_pb2.LiteralType | None
) -> literals_pb2.Literal:
    packed = scalar.WhichOneof("value") == "binary"
    try:
        value = _structure(scalar)
        for attribute in path:
            value = _step(value, attribute)
        return literal_of(value, declared, packed=packed)
    except ValueError as error:
        raise PathFailed(str(error)) from error


def _structure(scalar: literals_pb2.Scalar) -> object:
    match scalar.WhichOneof("value"):
        case "binary":
            if scalar.binary.tag != MSGPACK_TAG:
                raise PathFailed(f"unsupported format {scalar.binary.tag!r} of a binary value")
            return msgpack.unpack(scalar.binary.value)
        case "generic":
            return {key: struct_value(value) for key, value in scalar.generic.fields.items()}
        case kind:
            raise PathFailed(f"a value of kind {kind or 'none'} has no attributes")


def _step(value: object, attribute: Attribute) -> object:
    if isinstance(value, dict):
        entries = cast("dict[object, object]", value)
        if attribute not in entries:
            raise PathFailed(_no_key(attribute, entries))
        return entries[attribute]
    if isinstance(value, list):
        return _element(cast("list[object]", value), attribute)
    raise PathFailed(f"a value of type {type(value).__name__} has no attribute {attribute!r}")


def _element(elements: Sequence[T], attribute: Attribute) -> T:
    if not isinstance(attribute, int):
        raise PathFailed(f"a list has no attribute {attribute!r}")
    if not 0 <= attribute < len(elements):
        raise PathFailed(f"index [{attribute}] is out of range of a list of {len(elements)}")
    return elements[attribute]


def _no_key(attribute: Attribute, entries: object) -> str:
    keys = sorted(map(str, cast("dict[object, object]", entries)))
    shown = ", ".join(keys[:10]) + (", ..." if len(keys) > 10 else "")
    return f"key [{attribute}] does not exist, there are: {shown}"
