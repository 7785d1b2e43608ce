"""The gateway's RPCs as an OpenAPI document, made of their descriptors and of the words that the schema has for them.

Version 3.1, because 3.0 cannot say that a reference may be null, which every message is that is not set. Types go by
the names that the schema has for them, without our own first part: `admin.Execution`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.rpc import status_pb2  # pyright: ignore[reportMissingTypeStubs]

from .bindings import ALL, Binding

QUERY_DEPTH_MAX = 5
"""How far down fields of messages are listed as parameters. No request that is read from a query goes deeper."""

Schema = dict[str, Any]

_Kind = FieldDescriptor
_STATUS: Any = status_pb2.Status
_SCALARS: dict[int, Schema] = {
    _Kind.CPPTYPE_BOOL: {"type": "boolean"},
    _Kind.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    _Kind.CPPTYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**32 - 1},
    _Kind.CPPTYPE_INT64: {"type": "string", "format": "int64"},
    _Kind.CPPTYPE_UINT64: {"type": "string", "format": "uint64"},
    _Kind.CPPTYPE_DOUBLE: {"type": "number", "format": "double"},
    _Kind.CPPTYPE_FLOAT: {"type": "number", "format": "float"},
    _Kind.CPPTYPE_STRING: {"type": "string"},
}
_BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
    },
    "google.protobuf.Duration": {"type": "string", "examples": ["3.5s"]},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {},
}


def document(calls: Iterable[tuple[MethodDescriptor, Binding]], version: str) -> dict[str, Any]:
    """The whole document, to be written as JSON. `version` is that of the server."""
    types = _Types()
    paths: dict[str, dict[str, Any]] = {}
    names: set[str] = set()
    services: set[str] = set()
    for method, binding in calls:
        services.add(method.containing_service.full_name)
        operation = _operation(method, binding, types)
        while operation["operationId"] in names:  # an additional binding
            operation["operationId"] += "_"
        names.add(operation["operationId"])
        paths.setdefault(_path(binding), {})[binding.verb.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sailplane", "version": version},
        "tags": [{"name": _short(name), **_description(name)} for name in sorted(services)],
        "paths": paths,
        "components": {"schemas": types.schemas()},
    }


class _Types:
    """The schemas of all types that were referred to."""

    def __init__(self) -> None:
        self._schemas: dict[str, Schema] = {}

    def schemas(self) -> Mapping[str, Schema]:
        return dict(sorted(self._schemas.items()))

    def of_message(self, message: Any) -> Schema:
        full_name: str = message.full_name
        if full_name in _WELL_KNOWN:
            return _WELL_KNOWN[full_name]
        if full_name.startswith("google.protobuf.") and full_name.endswith("Value"):
            return self.of_element(message.fields_by_name["value"])
        name = _short(full_name)
        if name not in self._schemas:
            schema: Schema = {"type": "object", **_description(full_name)}
            self._schemas[name] = schema  # before its fields, which may be of this type
            schema["properties"] = {field.name: self.of_field(field) for field in message.fields}
        return {"$ref": f"#/components/schemas/{name}"}

    def of_enum(self, enum: EnumDescriptor) -> Schema:
        name = _short(enum.full_name)
        words = [f"- {value.name}: {text}" for value in enum.values if (text := _words(_value_name(enum, value.name)))]
        self._schemas[name] = {
            "type": "string",
            "enum": [value.name for value in enum.values],
            **_description(enum.full_name, *words),
        }
        return {"$ref": f"#/components/schemas/{name}"}

    def of_field(self, field: FieldDescriptor) -> Schema:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            schema: Schema = {"type": "object", "additionalProperties": self.of_element(entry.fields_by_name["value"])}
        elif field.is_repeated:
            schema = {"type": "array", "items": self.of_element(field)}
        else:
            schema = self.of_element(field)
        if field.has_presence and field.message_type is not None and schema:
            schema = {"anyOf": [schema, {"type": "null"}]}
        said = _description(_field_name(field))
        if field.GetOptions().deprecated:
            said["deprecated"] = True
        return {**schema, **said}

    def of_element(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None:
            return self.of_message(field.message_type)
        if field.enum_type is not None:
            return self.of_enum(field.enum_type)
        return _BASE64 if field.type == _Kind.TYPE_BYTES else _SCALARS[field.cpp_type]


def _operation(method: MethodDescriptor, binding: Binding, types: _Types) -> dict[str, Any]:
    summary, _, _ = _words(method.full_name).partition("\n")
    operation: dict[str, Any] = {
        "operationId": f"{method.containing_service.name}_{method.name}",
        "tags": [_short(method.containing_service.full_name)],
        "summary": summary,
        **_description(method.full_name),
        "parameters": [*_path_parameters(binding, types), *_query_parameters(method, binding, types)],
        "responses": _responses(method, binding, types),
    }
    if method.GetOptions().deprecated:
        operation["deprecated"] = True
    if binding.body:
        schema = types.of_message(method.input_type)
        if binding.body != ALL:
            schema = types.of_field(method.input_type.fields_by_name[binding.body])
        operation["requestBody"] = {"content": _contents(schema)}
    return operation


def _responses(method: MethodDescriptor, binding: Binding, types: _Types) -> dict[str, Any]:
    reply = types.of_message(method.output_type)
    if binding.response_body:
        reply = types.of_field(method.output_type.fields_by_name[binding.response_body])
    status = types.of_message(_STATUS.DESCRIPTOR)
    if method.server_streaming:
        line = {"type": "object", "properties": {"result": reply, "error": status}}
        content = {
            "application/json": {"schema": line},
            "text/event-stream": {},
        }
        said = "One object a line for each reply; or events, of which the last has the name `status`."
    else:
        content, said = _contents(reply), "The reply."
    return {
        "200": {"description": said, "content": content},
        "default": {"description": "Why it went wrong.", "content": _contents(status)},
    }


def _contents(schema: Schema) -> dict[str, Any]:
    return {
        "application/json": {"schema": schema},
        "application/octet-stream": {},
    }


def _path(binding: Binding) -> str:
    """With each variable by its name alone; what it may match, OpenAPI cannot say."""
    segments = list(binding.path.segments)
    for variable in reversed(binding.path.variables):
        segments[variable.first : variable.end] = ["{" + ".".join(variable.field) + "}"]
    return "/" + "/".join(segments)


def _path_parameters(binding: Binding, types: _Types) -> Iterator[dict[str, Any]]:
    for variable, path in zip(binding.path.variables, binding.variables, strict=True):
        yield {
            "name": ".".join(variable.field),
            "in": "path",
            "required": True,
            "schema": types.of_element(path[-1]),
            **_description(_field_name(path[-1])),
        }


def _query_parameters(method: MethodDescriptor, binding: Binding, types: _Types) -> Iterator[dict[str, Any]]:
    if binding.body == ALL:
        return
    taken = {".".join(variable.field) for variable in binding.path.variables} | {binding.body}
    for name, field in _readable(method.input_type, "", QUERY_DEPTH_MAX):
        if name not in taken:
            schema = types.of_element(field)
            yield {
                "name": name,
                "in": "query",
                "schema": {"type": "array", "items": schema} if field.is_repeated else schema,
                **_description(_field_name(field)),
            }


def _readable(message: Descriptor, prefix: str, depth: int) -> Iterator[tuple[str, FieldDescriptor]]:
    """The fields that a parameter can be for."""
    for field in message.fields:
        inner: Any = field.message_type
        if inner is None or inner.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
            yield prefix + field.name, field
        elif depth and not field.is_repeated:
            yield from _readable(inner, f"{prefix}{field.name}.", depth - 1)


# Words


@cache
def _comments() -> Mapping[str, str]:
    return json.loads((resources.files("sailplane_protos") / "comments.json").read_text())


def _words(name: str) -> str:
    return _comments().get(name, "")


def _description(name: str, *more: str) -> dict[str, Any]:
    text = "\n".join(filter(None, (_words(name), *more)))
    return {"description": text} if text else {}


def _short(name: str) -> str:
    return name.removeprefix("sailplane.").removeprefix("google.")


def _field_name(field: FieldDescriptor) -> str:
    owner: Any = field.containing_type
    return f"{owner.full_name}.{field.name}"


def _value_name(enum: EnumDescriptor, value: str) -> str:
    return f"{enum.full_name}.{value}"
