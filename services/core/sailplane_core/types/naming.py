"""Types in a few words, for messages."""

from sailplane_protos.core import types_pb2

TEXT_CHARS_MAX = 300
"""A longer description is cut: it stands in an error message, where nobody reads a page."""

_VALUES_SHOWN_MAX = 8
_NESTING_SHOWN_MAX = 8


def describe(literal_type: types_pb2.LiteralType) -> str:
    """Like `list[integer]`, `union[string | none]`, `enum[red, green]`, `blob[csv]`, `struct[Point]`."""
    text = _describe(literal_type, 0)
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"


def _describe(literal_type: types_pb2.LiteralType, depth: int) -> str:
    if depth > _NESTING_SHOWN_MAX:
        return "…"
    match literal_type.WhichOneof("type"):
        case "simple":
            return _describe_simple(literal_type)
        case "collection_type":
            return f"list[{_describe(literal_type.collection_type, depth + 1)}]"
        case "map_value_type":
            return f"map[string, {_describe(literal_type.map_value_type, depth + 1)}]"
        case "union_type":
            shown = literal_type.union_type.variants[:_VALUES_SHOWN_MAX]
            hidden = len(literal_type.union_type.variants) - len(shown)
            return f"union[{' | '.join([_describe(one, depth + 1) for one in shown] + ['…'] * bool(hidden))}]"
        case "enum_type":
            shown = literal_type.enum_type.values[:_VALUES_SHOWN_MAX]
            hidden = len(literal_type.enum_type.values) - len(shown)
            return f"enum[{', '.join([*shown] + ['…'] * bool(hidden))}]"
        case "blob":
            is_many = literal_type.blob.dimensionality == types_pb2.BlobType.MULTIPART
            return _with_detail("multipart blob" if is_many else "blob", literal_type.blob.format)
        case "schema":
            return _with_detail("schema", ", ".join(column.name for column in literal_type.schema.columns))
        case "structured_dataset_type":
            dataset = literal_type.structured_dataset_type
            return _with_detail("structured dataset", ", ".join([*filter(None, [dataset.format]), *_columns(dataset)]))
        case _:
            return "unknown type"


def _describe_simple(literal_type: types_pb2.LiteralType) -> str:
    try:
        name = types_pb2.SimpleType.Name(literal_type.simple).lower()
    except ValueError:
        return f"unknown simple type {literal_type.simple}"
    return _with_detail(name, _title(literal_type)) if literal_type.simple == types_pb2.STRUCT else name


def _title(literal_type: types_pb2.LiteralType) -> str:
    """The class name in a JSON schema: its title, or the last part of the reference on top."""
    fields = literal_type.metadata.fields
    if "title" in fields:
        return fields["title"].string_value
    return fields["$ref"].string_value.rpartition("/")[2] if "$ref" in fields else ""


def _columns(dataset: types_pb2.StructuredDatasetType) -> list[str]:
    return [f"{column.name}: {_describe(column.literal_type, _NESTING_SHOWN_MAX)}" for column in dataset.columns]


def _with_detail(word: str, detail: str) -> str:
    return f"{word}[{detail}]" if detail else word
