"""May a value of one type go where another type is declared?"""

from collections.abc import Mapping

from sailplane_protos.core import types_pb2

from . import json_schema, nesting
from .variants import is_none, is_simple, variants

_Column = types_pb2.SchemaType.SchemaColumn
_TYPE_OF_COLUMN = {
    _Column.INTEGER: types_pb2.LiteralType(simple=types_pb2.INTEGER),
    _Column.FLOAT: types_pb2.LiteralType(simple=types_pb2.FLOAT),
    _Column.STRING: types_pb2.LiteralType(simple=types_pb2.STRING),
    _Column.BOOLEAN: types_pb2.LiteralType(simple=types_pb2.BOOLEAN),
    _Column.DATETIME: types_pb2.LiteralType(simple=types_pb2.DATETIME),
    _Column.DURATION: types_pb2.LiteralType(simple=types_pb2.DURATION),
}
_SCHEMA_FORMAT = "parquet"
"""Schemas, the forerunner of structured datasets, are always stored like this."""


def castable(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    """Whether every value of `upstream` may be bound where `downstream` is declared.

    Raises `InvalidRequest` when either nests deeper than `NESTING_MAX`.
    """
    nesting.check_type(upstream)
    nesting.check_type(downstream)
    return fits(upstream, downstream)


def fits(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    """`castable` for types whose nesting is known to be bounded.

    A union with one alternative counts as that alternative. A union fits a union when each of its alternatives fits
    one of the other's; it never fits a type that is no union. What is no union fits a union only when it fits exactly
    one alternative, so that the reader knows which one is meant; None means the alternative None if there is one.
    """
    alternatives = list(variants(upstream))
    if downstream.WhichOneof("type") == "union_type":
        targets = list(variants(downstream))
        if upstream.WhichOneof("type") == "union_type":
            return bool(alternatives) and all(
                any(_fits_plainly(alternative, target) for target in targets) for alternative in alternatives
            )
        if is_none(upstream) and any(is_none(target) for target in targets):
            return True
        return sum(_fits_plainly(upstream, target) for target in targets) == 1
    return len(alternatives) == 1 and _fits_plainly(alternatives[0], downstream)


def _fits_plainly(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    """`fits` where neither is a union."""
    match downstream.WhichOneof("type"):
        case "collection_type":
            return upstream.WhichOneof("type") == "collection_type" and _element_fits(
                upstream.collection_type, downstream.collection_type
            )
        case "map_value_type":
            return upstream.WhichOneof("type") == "map_value_type" and _element_fits(
                upstream.map_value_type, downstream.map_value_type
            )
        case "blob":
            return upstream.WhichOneof("type") == "blob" and _formats_agree(
                upstream.blob.format, downstream.blob.format
            )
        case "schema":
            return _fits_schema(upstream, downstream.schema)
        case "structured_dataset_type":
            return _fits_dataset(upstream, downstream.structured_dataset_type)
        case "enum_type":
            return is_simple(upstream, types_pb2.STRING) or _fits_enum(upstream, downstream)
        case "simple":
            return _fits_simple(upstream, downstream)
        case _:
            return False


def _element_fits(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    """Elements of a list or values of a map; an empty one has elements of type None and fits all."""
    return is_none(upstream) or fits(upstream, downstream)


def _formats_agree(upstream: str, downstream: str) -> bool:
    """Formats of files; the dimensionality plays no part."""
    return not upstream or not downstream or upstream == downstream


def _tag_agrees(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    """A variant that names its transformer can only be read by the same one."""
    return not upstream.structure.tag or upstream.structure.tag == downstream.structure.tag


def _fits_enum(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    """An enum fits one that has all its values. (For Flyte both lists must be the same, order included.)"""
    if upstream.WhichOneof("type") != "enum_type" or not _tag_agrees(upstream, downstream):
        return False
    return set(upstream.enum_type.values) <= set(downstream.enum_type.values)


def _fits_simple(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    if downstream.simple == types_pb2.NONE:
        return is_none(upstream)
    if downstream.simple == types_pb2.STRING and upstream.WhichOneof("type") == "enum_type":
        return True
    if not is_simple(upstream, downstream.simple) or not _tag_agrees(upstream, downstream):
        return False
    if downstream.simple == types_pb2.STRUCT and upstream.HasField("metadata") and downstream.HasField("metadata"):
        return json_schema.fits(upstream.metadata, downstream.metadata)
    return True


def _fits_schema(upstream: types_pb2.LiteralType, downstream: types_pb2.SchemaType) -> bool:
    match upstream.WhichOneof("type"):
        case "schema":
            return _columns_fit(_schema_columns(upstream.schema), _schema_columns(downstream))
        case "structured_dataset_type":
            dataset = upstream.structured_dataset_type
            return _is_format(dataset.format, _SCHEMA_FORMAT) and _columns_fit(
                _dataset_columns(dataset), _schema_columns(downstream)
            )
        case _:
            return False


def _fits_dataset(upstream: types_pb2.LiteralType, downstream: types_pb2.StructuredDatasetType) -> bool:
    match upstream.WhichOneof("type"):
        case "structured_dataset_type":
            dataset = upstream.structured_dataset_type
            return _is_format(dataset.format, downstream.format) and _columns_fit(
                _dataset_columns(dataset), _dataset_columns(downstream)
            )
        case "schema":
            return _is_format(_SCHEMA_FORMAT, downstream.format) and _columns_fit(
                _schema_columns(upstream.schema), _dataset_columns(downstream)
            )
        case _:
            # A frame may be None: Flyte reads the absence of a frame as an empty one.
            return is_none(upstream)


def _is_format(one: str, other: str) -> bool:
    return not one or not other or one.lower() == other.lower()


def _columns_fit(
    upstream: Mapping[str, types_pb2.LiteralType], downstream: Mapping[str, types_pb2.LiteralType]
) -> bool:
    """Every column asked for is there with a fitting type; a side that names no columns says nothing about them."""
    if not upstream or not downstream:
        return True
    return all(name in upstream and fits(upstream[name], wanted) for name, wanted in downstream.items())


def _schema_columns(schema: types_pb2.SchemaType) -> Mapping[str, types_pb2.LiteralType]:
    """Columns of a type that this version knows."""
    return {column.name: _TYPE_OF_COLUMN[column.type] for column in schema.columns if column.type in _TYPE_OF_COLUMN}


def _dataset_columns(dataset: types_pb2.StructuredDatasetType) -> Mapping[str, types_pb2.LiteralType]:
    return {column.name: column.literal_type for column in dataset.columns}
