"""Messages as JSON, the way Flyte's gateway writes and reads them.

Written are the schema's names, all fields also when they are not set (null for a message), except those of a oneof and
those that we have added to Flyte's messages, because clients with Flyte's schema refuse what they do not know. 64-bit
integers are texts, enums go by name, bytes in base64, timestamps by RFC 3339. Read are the schema's names and the names
that protobuf's JSON has, each field once; a field that is not in the schema is an error.
"""

import base64
import json
import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NoReturn, cast

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from sailplane_core.errors import InvalidRequest

from ..flyte_names import FIRST_EXTENSION, flyte_name, our_name

NESTED_MAX = 100
"""How deeply messages may lie in one another; what protobuf's own encoding permits."""

_TO_STANDARD = str.maketrans("-_", "+/")

_Write = Callable[[Any], Any]
_Kind = FieldDescriptor


def encode(message: Message) -> bytes:
    """The message as JSON text."""
    return dump(value_of(message))


def dump(value: object) -> bytes:
    """A JSON value as text, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def value_of(message: Message) -> Any:
    """The message as a JSON value."""
    return _writer(message.DESCRIPTOR)(message)


def decode(data: bytes, message: Message, *, field: str = "") -> None:
    """Read JSON text into a message, or into a field of it. Raises `InvalidRequest` that says where it is wrong."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_each_once, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is no UTF-8: byte {error.start}") from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"the body is no JSON: {error}") from None
    except ValueError:
        raise InvalidRequest("the body is no JSON: a number has too many digits") from None
    fields: Any = {field: value} if field else value
    if not isinstance(fields, dict):
        raise InvalidRequest("the body must be a JSON object")
    try:
        _check(cast("dict[str, Any]", fields), message.DESCRIPTOR, "")
        json_format.ParseDict(cast("dict[str, Any]", fields), message, max_recursion_depth=NESTED_MAX)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidRequest(f"the body is no {message.DESCRIPTOR.name}: {error}") from None


def _check(value: dict[str, Any], message: Any, place: str) -> None:
    """What protobuf's own reader would let pass: other things for messages if they are empty, and broken base64."""
    for name, given in value.items():
        field = message.fields_by_name.get(name) or message.fields_by_camelcase_name.get(name)
        if field is None:
            continue
        where = f"{place}{name}"
        each: Iterable[Any] = [given]
        if field.is_repeated:
            each = _elements(given)
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                field = field.message_type.fields_by_name["value"]
        for one in each:
            if one is None:
                continue
            if field.type == _Kind.TYPE_BYTES:
                base64_bytes(one, where)
            elif field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf."):
                if not isinstance(one, dict):
                    raise InvalidRequest.invalid(where, "must be a JSON object")
                _check(cast("dict[str, Any]", one), field.message_type, where + ".")


def _elements(given: Any) -> Iterable[Any]:
    """Of a list or a map; what is neither is left to protobuf's reader to refuse."""
    if isinstance(given, dict):
        return cast("dict[str, Any]", given).values()
    return cast("list[Any]", given) if isinstance(given, list) else ()


def base64_bytes(text: object, name: str) -> bytes:
    """Base64 with either alphabet, with or without its padding. Raises `InvalidRequest` that names the field."""
    try:
        plain = str(text).rstrip("=").translate(_TO_STANDARD)
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise InvalidRequest.invalid(name, "must be base64") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise InvalidRequest(f"{next(name for name in names if names.count(name) > 1)!r} is twice in one JSON object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is no JSON; as a text it stands for such a number")


# Writing


@cache
def _writer(descriptor: Descriptor) -> _Write:
    """How to write messages of a type; found out once. The process-wide pool keeps its descriptors for ever."""
    special = _SPECIAL.get(descriptor.full_name)
    if special is not None:
        return special
    if descriptor.full_name.startswith("google.protobuf.") and descriptor.full_name.endswith("Value"):
        inner = _element_writer(descriptor.fields_by_name["value"])
        return lambda message: inner(message.value)
    plan: list[tuple[str, bool, _Write]] | None = None
    added = {
        field.name
        for field in descriptor.fields
        if field.number >= FIRST_EXTENSION and flyte_name(descriptor.full_name) is not None
    }

    def write(message: Any) -> dict[str, Any]:
        nonlocal plan
        if plan is None:  # not before the first message, because types may contain themselves
            plan = [(field.name, field.has_presence, _field_writer(field)) for field in descriptor.fields]
        written: dict[str, Any] = {}
        for name, has_presence, of in plan:
            if name in added and not (message.HasField(name) if has_presence else getattr(message, name)):
                continue
            if not has_presence or message.HasField(name):
                written[name] = of(getattr(message, name))
            elif name in always_there:
                written[name] = None
        return written

    always_there = {field.name for field in descriptor.fields if field.has_presence and not field.containing_oneof}
    return write


def _field_writer(field: FieldDescriptor) -> _Write:
    if not field.is_repeated:
        return _element_writer(field)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        of = _element_writer(entry.fields_by_name["value"])
        is_bool = entry.fields_by_name["key"].cpp_type == _Kind.CPPTYPE_BOOL
        return lambda found: {(str(key).lower() if is_bool else str(key)): of(found[key]) for key in found}
    of = _element_writer(field)
    return lambda found: [of(element) for element in found]


def _element_writer(field: FieldDescriptor) -> _Write:
    match field.cpp_type:
        case _Kind.CPPTYPE_MESSAGE:
            return _writer(field.message_type)
        case _Kind.CPPTYPE_ENUM:
            return _enum_writer(field)
        case _Kind.CPPTYPE_INT64 | _Kind.CPPTYPE_UINT64:
            return str
        case _Kind.CPPTYPE_DOUBLE | _Kind.CPPTYPE_FLOAT:
            return _number
        case _Kind.CPPTYPE_STRING if field.type == _Kind.TYPE_BYTES:
            return _base64
        case _:
            return _same


def _enum_writer(field: FieldDescriptor) -> _Write:
    enum: Any = field.enum_type
    names: dict[int, str] = {number: value.name for number, value in enum.values_by_number.items()}
    return lambda number: names.get(number, number)


def _same(value: Any) -> Any:
    return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text(message: Any) -> str | None:
    """Timestamps, durations and masks. One that cannot be told, such as a time after the year 9999, is null."""
    try:
        return message.ToJsonString()
    except ValueError:
        return None


def _struct(message: Any) -> dict[str, Any]:
    return {name: _struct_value(message.fields[name]) for name in message.fields}


def _struct_list(message: Any) -> list[Any]:
    return [_struct_value(value) for value in message.values]


def _struct_value(message: Any) -> Any:
    match message.WhichOneof("kind"):
        case "struct_value":
            return _struct(message.struct_value)
        case "list_value":
            return _struct_list(message.list_value)
        case "number_value":
            return _number(message.number_value)
        case None | "null_value":
            return None
        case kind:
            return getattr(message, kind)


def any_value(packed: AnyMessage) -> dict[str, Any]:
    """A packed message with its type; of a type that is not known here, its bytes. Types may go by Flyte's names."""
    name = packed.type_url.rpartition("/")[2]
    try:
        inner = GetMessageClass(Default().FindMessageTypeByName(our_name(name))).FromString(packed.value)
    except (KeyError, DecodeError):
        return {"@type": packed.type_url, "value": _base64(packed.value)}
    value = value_of(inner)
    is_object = isinstance(value, dict) and inner.DESCRIPTOR.full_name != "google.protobuf.Struct"
    return {"@type": packed.type_url, **(value if is_object else {"value": value})}


_SPECIAL: dict[str, _Write] = {
    "google.protobuf.Timestamp": _text,
    "google.protobuf.Duration": _text,
    "google.protobuf.FieldMask": _text,
    "google.protobuf.Struct": _struct,
    "google.protobuf.ListValue": _struct_list,
    "google.protobuf.Value": _struct_value,
    "google.protobuf.Any": any_value,
}
