"""Small questions about types that several rules ask."""

from collections.abc import Iterator

from sailplane_protos.core import types_pb2


def is_none(literal_type: types_pb2.LiteralType) -> bool:
    """Whether it is the type of nothing, which is also what the elements of an empty list are said to be."""
    return literal_type.WhichOneof("type") == "simple" and literal_type.simple == types_pb2.NONE


def is_simple(literal_type: types_pb2.LiteralType, simple: "types_pb2.SimpleType.ValueType") -> bool:
    """Whether it is exactly this simple type."""
    return literal_type.WhichOneof("type") == "simple" and literal_type.simple == simple


def is_optional(literal_type: types_pb2.LiteralType) -> bool:
    """Whether None is one of the alternatives, so that an input of this type may be left unbound.

    Flyte takes any union with a list, map or file among its variants for optional; this one means what it says.
    """
    return literal_type.WhichOneof("type") == "union_type" and any(
        is_none(variant) for variant in variants(literal_type)
    )


def variants(literal_type: types_pb2.LiteralType) -> Iterator[types_pb2.LiteralType]:
    """The alternatives of a type, unions within unions opened; a type that is no union is its only alternative."""
    stack = [literal_type]
    while stack:
        one = stack.pop()
        if one.WhichOneof("type") == "union_type":
            stack.extend(reversed(one.union_type.variants))
        else:
            yield one
