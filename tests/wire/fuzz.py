"""Messages that nobody would write: made of a descriptor alone, or of a good one with changes in some places."""

from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

DEPTH_MAX = 3
FIELDS_MAX = 5
ITEMS_MAX = 3

TEXTS = (
    *("", " ", "\0", "a\nb", "a\0b", "ä", "\u202e", "\U0001f600", "-", "--", ".", "..", "/", "../../etc/passwd", "a/b"),
    *("%s%n%x", "{{.inputs.x}}", "${HOME}", "'; DROP TABLE executions; --", "\\", '"', "NULL", "None", "nan", "1e999"),
    *("flytesnacks", "development", "t", "w", "done", "running", "n0", "start-node", "v1", "approval", "none"),
    *("s3://elsewhere/x", "file:///etc/passwd", "http://localhost:1/", "flyte://v1/flytesnacks/development/done/n0/i"),
    *("eq(name,t)", "eq(phase,RUNNING)+", "value_in(name,a;b)", "contains(", "ne(x.y.z,1)", "18446744073709551616"),
    *("x" * 64, "x" * 256, "x" * 5_000, "* * * * *", "@every 1s", "1h", "-1"),
)
INTEGERS = (0, 1, 2, 10, 100, -1, 255, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1)
DOUBLES = (0.0, -0.0, 1.5, -1.0, 1e308, float("inf"), float("-inf"), float("nan"))
BLOBS = (b"", b"\0", b"\xff\xfe", b"0123456789abcdef", b"x" * 5_000)

_F = FieldDescriptor
_SIGNED_64 = (_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64)
_UNSIGNED_64 = (_F.TYPE_UINT64, _F.TYPE_FIXED64)
_UNSIGNED_32 = (_F.TYPE_UINT32, _F.TYPE_FIXED32)


@cache  # strategies are checked when they are first used
def messages(descriptor: Descriptor, depth: int = DEPTH_MAX) -> st.SearchStrategy[Message]:
    """Any message of a type, with a few of its fields set."""
    return _made(descriptor, depth)


@cache
def _some_fields(descriptor: Descriptor) -> st.SearchStrategy[list[FieldDescriptor]]:
    return st.lists(st.sampled_from(list(descriptor.fields)), max_size=FIELDS_MAX)


@cache
def _lists(field: FieldDescriptor, depth: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(_values(field, depth), max_size=ITEMS_MAX)


@st.composite
def _made(draw: Callable[[Any], Any], descriptor: Descriptor, depth: int) -> Message:
    made: Message = descriptor._concrete_class()  # type: ignore[attr-defined]
    if descriptor.fields:
        for field in draw(_some_fields(descriptor)):
            _set(draw, made, field, depth)
    return made


@st.composite
def spoiled(draw: Callable[[Any], Any], good: Message) -> Message:
    """The message with one to three changes, each to some field of some part of it."""
    made: Message = type(good)()
    made.CopyFrom(good)
    for _ in range(draw(st.integers(1, 3))):
        part = made
        while inner := [one for one, _ in part.ListFields() if _is_single_message(one)]:
            if draw(st.booleans()):
                break
            part = getattr(part, draw(st.sampled_from(inner)).name)
        if not part.DESCRIPTOR.fields:
            continue
        field = draw(st.sampled_from(list(part.DESCRIPTOR.fields)))
        if draw(st.booleans()):
            part.ClearField(field.name)
        else:
            _set(draw, part, field, 2)
    return made


def _is_single_message(field: FieldDescriptor) -> bool:
    return field.type == _F.TYPE_MESSAGE and not field.is_repeated


def _set(draw: Callable[[Any], Any], message: Message, field: FieldDescriptor, depth: int) -> None:
    """Give a field some value; one that holds messages stays as it is when it lies too deep."""
    if field.type == _F.TYPE_MESSAGE and depth <= 0:
        return
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _set_entries(draw, getattr(message, field.name), field.message_type, depth)
    elif field.is_repeated:
        items = draw(_lists(field, depth))
        getattr(message, field.name).extend(items)
    elif field.type == _F.TYPE_MESSAGE:
        getattr(message, field.name).CopyFrom(draw(_values(field, depth)))
    else:
        setattr(message, field.name, draw(_values(field, depth)))


def _set_entries(draw: Callable[[Any], Any], entries: Any, entry: Descriptor, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for name in draw(_lists(key, depth)):
        if value.type == _F.TYPE_MESSAGE:
            entries[name].CopyFrom(draw(_values(value, depth)))
        else:
            entries[name] = draw(_values(value, depth))


@cache
def _values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    match field.type:
        case _F.TYPE_MESSAGE:
            return messages(field.message_type, depth - 1)
        case _F.TYPE_ENUM:
            return st.sampled_from([*(value.number for value in field.enum_type.values), -1, 99, 2**31 - 1])
        case _F.TYPE_STRING:
            return st.sampled_from(TEXTS)
        case _F.TYPE_BYTES:
            return st.sampled_from(BLOBS)
        case _F.TYPE_BOOL:
            return st.booleans()
        case _F.TYPE_DOUBLE | _F.TYPE_FLOAT:
            return st.sampled_from(DOUBLES)
        case _:
            low, high = _bounds(field.type)
            return st.sampled_from([one for one in INTEGERS if low <= one <= high])


def _bounds(kind: int) -> tuple[int, int]:
    if kind in _SIGNED_64:
        return -(2**63), 2**63 - 1
    if kind in _UNSIGNED_64:
        return 0, 2**64 - 1
    return (0, 2**32 - 1) if kind in _UNSIGNED_32 else (-(2**31), 2**31 - 1)
