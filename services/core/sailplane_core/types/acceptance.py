"""May this very value go where a type is declared?"""

from collections.abc import Iterable

from sailplane_protos.core import literals_pb2, types_pb2

from ..errors import InvalidRequest
from . import nesting
from .casting import castable, fits
from .inference import of_scalar
from .variants import is_none, variants


def accepts(declared: types_pb2.LiteralType, literal: literals_pb2.Literal) -> bool:
    """Whether the value may be bound to an input of this type.

    A value is looked at from the declared type inwards, element by element. A string is accepted by an enum only if
    it is one of its values. A union value must name an alternative that fits, and hold a value of it. Raises
    `InvalidRequest` when either nests deeper than `NESTING_MAX`.
    """
    nesting.check_type(declared)
    nesting.check_literal(literal)
    return _accepts(declared, literal)


def _accepts(declared: types_pb2.LiteralType, literal: literals_pb2.Literal) -> bool:
    kind = literal.WhichOneof("value")
    if kind == "offloaded_metadata":
        # Its elements are in the blob store; the type inferred by whoever put them there must do.
        return castable(literal.offloaded_metadata.inferred_type, declared)
    if kind == "scalar" and literal.scalar.HasField("union"):
        return _accepts_union_value(declared, literal.scalar.union)
    match declared.WhichOneof("type"):
        case "union_type":
            return _accepts_as_one_variant(declared, literal)
        case "collection_type":
            return kind == "collection" and _accepts_all(declared.collection_type, literal.collection.literals)
        case "map_value_type":
            return kind == "map" and _accepts_all(declared.map_value_type, literal.map.literals.values())
        case "enum_type":
            return kind == "scalar" and _is_member(declared.enum_type, literal.scalar)
        case _:
            return kind == "scalar" and _scalar_fits(literal.scalar, declared)


def _accepts_all(declared: types_pb2.LiteralType, literals: Iterable[literals_pb2.Literal]) -> bool:
    """Whether each may go there. There may be millions: of numbers and the like, one of each kind stands for all."""
    value_counts = any(variant.HasField("enum_type") for variant in variants(declared))
    seen: set[str] = set()
    for literal in literals:
        kind = None if value_counts else literal.scalar.primitive.WhichOneof("value")
        if kind is not None:
            if kind in seen:
                continue
            seen.add(kind)
        if not _accepts(declared, literal):
            return False
    return True


def _accepts_union_value(declared: types_pb2.LiteralType, value: literals_pb2.Union) -> bool:
    nesting.check_type(value.type)
    named = types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[value.type]))
    if not fits(named, declared) or not _accepts(value.type, value.value):
        return False
    # The writer may call a string what the reader declares as an enum: its members are the reader's to say.
    targets = [variant for variant in variants(declared) if fits(value.type, variant)]
    return not targets or any(_accepts(target, value.value) for target in targets)


def _accepts_as_one_variant(declared: types_pb2.LiteralType, literal: literals_pb2.Literal) -> bool:
    """A bare value where a union is declared must fit exactly one alternative; None means None."""
    targets = list(variants(declared))
    if literal.scalar.HasField("none_type") and any(is_none(target) for target in targets):
        return True
    return sum(_accepts(target, literal) for target in targets) == 1


def _is_member(enum: types_pb2.EnumType, scalar: literals_pb2.Scalar) -> bool:
    primitive = scalar.primitive
    return primitive.WhichOneof("value") == "string_value" and primitive.string_value in enum.values


def _scalar_fits(scalar: literals_pb2.Scalar, declared: types_pb2.LiteralType) -> bool:
    try:
        return fits(of_scalar(scalar), declared)
    except InvalidRequest:
        return False
