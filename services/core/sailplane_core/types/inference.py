"""The type that a value shows by itself."""

from collections.abc import Iterable

from sailplane_protos.core import literals_pb2, types_pb2

from ..errors import InvalidRequest
from . import nesting
from .variants import variants

MSGPACK_TAG = "msgpack"
"""The tag of a `Binary` that is a dataclass or a dict, and so a STRUCT."""

_PRIMITIVES = {
    "integer": types_pb2.INTEGER,
    "float_value": types_pb2.FLOAT,
    "string_value": types_pb2.STRING,
    "boolean": types_pb2.BOOLEAN,
    "datetime": types_pb2.DATETIME,
    "duration": types_pb2.DURATION,
}


def type_of(literal: literals_pb2.Literal) -> types_pb2.LiteralType:
    """The literal's own type, always a new message.

    A list or map whose elements differ has a union of their types, lists among them merged; an empty one has elements
    of type NONE. A union value is of the one alternative that it names. Raises `InvalidRequest` when there is no value
    in it, or it nests deeper than `NESTING_MAX`.
    """
    nesting.check_literal(literal)
    return infer(literal)


def infer(literal: literals_pb2.Literal) -> types_pb2.LiteralType:
    """`type_of` for literals whose nesting is known to be bounded."""
    match literal.WhichOneof("value"):
        case "scalar":
            return of_scalar(literal.scalar)
        case "collection":
            return types_pb2.LiteralType(collection_type=_common(literal.collection.literals))
        case "map":
            return types_pb2.LiteralType(map_value_type=_common(literal.map.literals.values()))
        case "offloaded_metadata" if literal.offloaded_metadata.HasField("inferred_type"):
            result = types_pb2.LiteralType()
            result.CopyFrom(literal.offloaded_metadata.inferred_type)
            return result
        case _:
            raise InvalidRequest("a literal has no value of a known type")


def of_scalar(scalar: literals_pb2.Scalar) -> types_pb2.LiteralType:
    """The type of one scalar. Raises `InvalidRequest` when it is empty."""
    match scalar.WhichOneof("value"):
        case "primitive":
            return _of_primitive(scalar.primitive)
        case "none_type":
            return types_pb2.LiteralType(simple=types_pb2.NONE)
        case "blob":
            return types_pb2.LiteralType(blob=scalar.blob.metadata.type)
        case "binary":
            is_struct = scalar.binary.tag == MSGPACK_TAG
            return types_pb2.LiteralType(simple=types_pb2.STRUCT if is_struct else types_pb2.BINARY)
        case "generic":
            return types_pb2.LiteralType(simple=types_pb2.STRUCT)
        case "error":
            return types_pb2.LiteralType(simple=types_pb2.ERROR)
        case "schema":
            return types_pb2.LiteralType(schema=scalar.schema.type)
        case "structured_dataset":
            metadata = scalar.structured_dataset.metadata
            return types_pb2.LiteralType(structured_dataset_type=metadata.structured_dataset_type)
        case "union" if scalar.union.HasField("type"):
            return types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[scalar.union.type]))
        case _:
            raise InvalidRequest("a scalar has no value of a known type")


def _of_primitive(primitive: literals_pb2.Primitive) -> types_pb2.LiteralType:
    kind = primitive.WhichOneof("value")
    if kind is None:
        raise InvalidRequest("a primitive has no value")
    return types_pb2.LiteralType(simple=_PRIMITIVES[kind])


def _common(literals: Iterable[literals_pb2.Literal]) -> types_pb2.LiteralType:
    """One type for all: lists count as one list with the elements of each, maps likewise, the rest side by side."""
    distinct: dict[bytes, types_pb2.LiteralType] = {}
    lists: list[literals_pb2.LiteralCollection] = []
    maps: list[literals_pb2.LiteralMap] = []
    for literal in literals:
        match literal.WhichOneof("value"):
            case "collection":
                lists.append(literal.collection)
            case "map":
                maps.append(literal.map)
            case _:
                one = infer(literal)
                distinct.setdefault(one.SerializeToString(deterministic=True), one)
    members = [distinct[key] for key in sorted(distinct)]
    if lists:
        elements = _common(element for one in lists for element in one.literals)
        members.append(types_pb2.LiteralType(collection_type=elements))
    if maps:
        values = _common(value for one in maps for value in one.literals.values())
        members.append(types_pb2.LiteralType(map_value_type=values))
    if not members:
        return types_pb2.LiteralType(simple=types_pb2.NONE)
    if len(members) == 1:
        return members[0]
    flat = [variant for member in members for variant in variants(member)]
    return types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=flat))
