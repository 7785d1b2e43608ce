"""Fields of a request from texts: variables of the path, and parameters of the query.

A field is named by the names on the way to it, `id.project`; each may be the schema's or JSON's. A repeated field takes
a parameter once for each element. What names no field is passed over, as Flyte's gateway does, and so is a parameter
for what the path says already.
"""

import json
import math
import re
from collections.abc import Collection, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from sailplane_core.errors import InvalidRequest

from .json_text import base64_bytes
from .templates import decoded

PARAMETERS_MAX = 1000
"""In one query. A list of Flyte's has some ten."""

_Kind = FieldDescriptor
_SIGNED = (_Kind.CPPTYPE_INT32, _Kind.CPPTYPE_INT64)
_UNSIGNED = (_Kind.CPPTYPE_UINT32, _Kind.CPPTYPE_UINT64)
_WIDE = (_Kind.CPPTYPE_INT64, _Kind.CPPTYPE_UINT64)
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?(?:[0-9.]+(?:[eE][+-]?[0-9]{1,3})?|Infinity|inf|NaN|nan)")

_AS_TEXT = frozenset(
    f"google.protobuf.{name}"
    for name in ("Timestamp", "Duration", "FieldMask", "StringValue", "BytesValue", "Int64Value", "UInt64Value")
)
_FORMS = {
    "google.protobuf.Timestamp": "it must be a time as in RFC 3339, such as 2030-01-31T00:00:00Z",
    "google.protobuf.Duration": "it must be seconds, such as 1.5s",
}
"""How those texts are written that have a form."""
_AS_JSON = frozenset(
    f"google.protobuf.{name}"
    for name in ("BoolValue", "DoubleValue", "FloatValue", "Int32Value", "UInt32Value", "Struct", "Value", "ListValue")
)

Path = tuple[FieldDescriptor, ...]


def fields_of(message: Descriptor, names: Sequence[str]) -> Path | None:
    """The fields that `names` lead through, None when there is no such way. All but the last are single messages."""
    path: list[FieldDescriptor] = []
    within: Descriptor | None = message
    for name in names:
        if within is None:
            return None
        found = within.fields_by_name.get(name) or within.fields_by_camelcase_name.get(name)
        if found is None:
            return None
        path.append(found)
        within = None if found.is_repeated else found.message_type
    return tuple(path) if path else None


def set_field(message: Any, path: Path, texts: Sequence[str]) -> None:
    """Set the field at the end of `path`, several times if it is repeated. Raises `InvalidRequest` that names it."""
    name = ".".join(field.name for field in path)
    *way, last = path
    for field in way:
        _refuse_second_of_oneof(message, field, name)
        message = getattr(message, field.name)
    message.SetInParent()
    if last.is_repeated:
        values = getattr(message, last.name)
        for text in texts:
            if last.message_type is None:
                values.append(_value(last, text, name))
            else:
                _read_message(values.add(), text, name)
        return
    if len(texts) != 1:
        raise InvalidRequest.invalid(name, "it is there more than once, and takes one value")
    _refuse_second_of_oneof(message, last, name)
    if last.message_type is not None:
        _read_message(getattr(message, last.name), texts[0], name)
        return
    try:
        setattr(message, last.name, _value(last, texts[0], name))
    except ValueError as error:
        raise InvalidRequest.invalid(name, str(error)) from error


def read_query(query: str, message: Any, taken: Collection[Path]) -> None:
    """Set the fields that the query names, but for those `taken`. Raises `InvalidRequest`."""
    if not query:
        return
    parameters = query.split("&")
    if len(parameters) > PARAMETERS_MAX:
        raise InvalidRequest(f"the query has more than {PARAMETERS_MAX} parameters")
    texts: dict[Path, list[str]] = {}
    for parameter in parameters:
        encoded_name, _, encoded = parameter.partition("=")
        name = decoded(encoded_name.replace("+", " "), "the query")
        text = decoded(encoded.replace("+", " "), f"the parameter {name[:100]!r}")
        path = fields_of(message.DESCRIPTOR, name.split("."))
        if path is not None and path not in taken:
            texts.setdefault(path, []).append(text)
    for path, values in texts.items():
        set_field(message, path, values)


def _refuse_second_of_oneof(message: Message, field: FieldDescriptor, name: str) -> None:
    oneof = field.containing_oneof
    present = None if oneof is None else message.WhichOneof(oneof.name)
    if oneof is not None and present not in (None, field.name):
        raise InvalidRequest.invalid(name, f"{present} is there too, and only one of {oneof.name} may be")


def _read_message(message: Message, text: str, name: str) -> None:
    """Only what JSON has one value for can be one parameter."""
    type_name = message.DESCRIPTOR.full_name
    if type_name not in _AS_TEXT | _AS_JSON:
        raise InvalidRequest.invalid(name, "it has fields of its own; name one of them")
    try:
        json_format.Parse(json.dumps(text) if type_name in _AS_TEXT else text, message)
    except (json_format.ParseError, ValueError) as error:
        problem = _FORMS.get(type_name, str(error))
        raise InvalidRequest.invalid(name, problem) from error


def _value(field: FieldDescriptor, text: str, name: str) -> Any:
    kind = field.cpp_type
    if kind == _Kind.CPPTYPE_STRING:
        return base64_bytes(text, name) if field.type == _Kind.TYPE_BYTES else text
    if kind == _Kind.CPPTYPE_ENUM:
        return _enum_number(field, text, name)
    if kind == _Kind.CPPTYPE_BOOL:
        if text not in (*_TRUE, *_FALSE):
            raise InvalidRequest.invalid(name, "must be true or false")
        return text in _TRUE
    if kind in _SIGNED or kind in _UNSIGNED:
        return _integer(text, name, is_signed=kind in _SIGNED, bits=64 if kind in _WIDE else 32)
    return _float(text, name)


def _integer(text: str, name: str, *, is_signed: bool, bits: int) -> int:
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
        raise InvalidRequest.invalid(name, f"must be a whole number from {least} to {most}")
    return int(text)


def _float(text: str, name: str) -> float:
    try:
        number = float(text) if _FLOAT.fullmatch(text) else None
    except ValueError:
        number = None
    if number is None or (math.isinf(number) and "inf" not in text.lower()):
        raise InvalidRequest.invalid(name, "must be a number")
    return number


def _enum_number(field: FieldDescriptor, text: str, name: str) -> int:
    values: Any = field.enum_type
    if text in values.values_by_name:
        return values.values_by_name[text].number
    if _INTEGER.fullmatch(text) and int(text) in values.values_by_number:
        return int(text)
    raise InvalidRequest.invalid(name, f"must be one of {', '.join(values.values_by_name)}, or its number")
