"""A bound on nesting, so that following a type or a value never exhausts the stack."""

from collections.abc import Iterable

from sailplane_protos.core import literals_pb2, types_pb2

from ..errors import InvalidRequest

NESTING_MAX = 100
"""Levels of lists, maps and unions within one another. Protobuf refuses to parse deeper messages anyway."""


def check_type(literal_type: types_pb2.LiteralType) -> None:
    """Raise `InvalidRequest` if the type nests deeper than `NESTING_MAX`."""
    level = [literal_type]
    for _ in range(NESTING_MAX):
        level = [inner for outer in level for inner in _inner_types(outer)]
        if not level:
            return
    raise InvalidRequest(f"a type nests deeper than {NESTING_MAX} levels")


def check_literal(literal: literals_pb2.Literal) -> None:
    """Raise `InvalidRequest` if the value nests deeper than `NESTING_MAX`."""
    level = [literal]
    for _ in range(NESTING_MAX):
        level = [inner for outer in level for inner in _inner_literals(outer)]
        if not level:
            return
    raise InvalidRequest(f"a literal nests deeper than {NESTING_MAX} levels")


def _inner_types(literal_type: types_pb2.LiteralType) -> Iterable[types_pb2.LiteralType]:
    match literal_type.WhichOneof("type"):
        case "collection_type":
            return (literal_type.collection_type,)
        case "map_value_type":
            return (literal_type.map_value_type,)
        case "union_type":
            return literal_type.union_type.variants
        case "structured_dataset_type":
            return (column.literal_type for column in literal_type.structured_dataset_type.columns)
        case _:
            return ()


def _inner_literals(literal: literals_pb2.Literal) -> Iterable[literals_pb2.Literal]:
    match literal.WhichOneof("value"):
        case "collection":
            return literal.collection.literals
        case "map":
            return literal.map.literals.values()
        case "scalar" if literal.scalar.HasField("union"):
            return (literal.scalar.union.value,)
        case _:
            return ()
