"""Types and values in a word, for the tests of the type system and of the compiler."""

from collections.abc import Mapping, Sequence

from google.protobuf import struct_pb2
from sailplane_protos.core import literals_pb2, types_pb2

Type = types_pb2.LiteralType
Literal = literals_pb2.Literal

NONE, INT, FLOAT, STR, BOOL, BINARY, STRUCT = (
    Type(simple=simple)
    for simple in (
        types_pb2.NONE,
        types_pb2.INTEGER,
        types_pb2.FLOAT,
        types_pb2.STRING,
        types_pb2.BOOLEAN,
        types_pb2.BINARY,
        types_pb2.STRUCT,
    )
)
FRAME = Type(structured_dataset_type=types_pb2.StructuredDatasetType())
NOTHING = Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))


def list_of(element: Type) -> Type:
    """A list."""
    return Type(collection_type=element)


def map_of(value: Type) -> Type:
    """A map from strings."""
    return Type(map_value_type=value)


def union(*variants: Type) -> Type:
    """One of several."""
    return Type(union_type=types_pb2.UnionType(variants=variants))


def optional(one: Type) -> Type:
    """It or None."""
    return union(one, NONE)


def enum(*values: str) -> Type:
    """One of these texts."""
    return Type(enum_type=types_pb2.EnumType(values=values))


def blob(file_format: str = "", *, multipart: bool = False) -> Type:
    """A file, or a directory of them."""
    dimensionality = types_pb2.BlobType.MULTIPART if multipart else types_pb2.BlobType.SINGLE
    return Type(blob=types_pb2.BlobType(format=file_format, dimensionality=dimensionality))


def frame(file_format: str = "", **columns: Type) -> Type:
    """A structured dataset."""
    wanted = [types_pb2.StructuredDatasetType.DatasetColumn(name=n, literal_type=t) for n, t in columns.items()]
    return Type(structured_dataset_type=types_pb2.StructuredDatasetType(format=file_format, columns=wanted))


def schema(**columns: "types_pb2.SchemaType.SchemaColumn.SchemaColumnType.ValueType") -> Type:
    """A schema, the forerunner of structured datasets."""
    wanted = [types_pb2.SchemaType.SchemaColumn(name=n, type=t) for n, t in columns.items()]
    return Type(schema=types_pb2.SchemaType(columns=wanted))


def tagged(one: Type, tag: str) -> Type:
    """The type with the name of its transformer."""
    result = Type()
    result.CopyFrom(one)
    result.structure.tag = tag
    return result


def struct(json_schema: Mapping[str, object]) -> Type:
    """A dataclass with its JSON schema."""
    metadata = struct_pb2.Struct()
    metadata.update(json_schema)
    return Type(simple=types_pb2.STRUCT, metadata=metadata)


def dataclass(**fields: Type) -> Type:
    """A dataclass whose fields are described, and no JSON schema."""
    return Type(simple=types_pb2.STRUCT, structure=types_pb2.TypeStructure(dataclass_type=fields))


def value(of: object) -> Literal:
    """A Python value as a literal: None, bool, int, float, str, lists and dicts."""
    if of is None:
        return NOTHING
    if isinstance(of, Mapping):
        return Literal(map=literals_pb2.LiteralMap(literals={name: value(one) for name, one in of.items()}))
    if isinstance(of, Sequence) and not isinstance(of, str):
        return Literal(collection=literals_pb2.LiteralCollection(literals=[value(one) for one in of]))
    fields = {bool: "boolean", int: "integer", float: "float_value", str: "string_value"}
    return Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(**{fields[type(of)]: of})))


def choice(of: object, named: Type) -> Literal:
    """A union value that names its alternative."""
    return Literal(scalar=literals_pb2.Scalar(union=literals_pb2.Union(value=value(of), type=named)))


def packed(data: bytes = b"\x80") -> Literal:
    """A dataclass as flytekit packs it."""
    return Literal(scalar=literals_pb2.Scalar(binary=literals_pb2.Binary(value=data, tag="msgpack")))


def offloaded(inferred: Type | None) -> Literal:
    """A value that is in the blob store."""
    return Literal(offloaded_metadata=literals_pb2.LiteralOffloadedMetadata(uri="s3://x", inferred_type=inferred))


def nested_list(levels: int, innermost: Type) -> Type:
    """A list in a list in a list."""
    result = Type()
    inner = result
    for _ in range(levels):
        inner = inner.collection_type
    inner.CopyFrom(innermost)
    return result
