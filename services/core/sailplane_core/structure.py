"""Comparing messages by what they mean: whether a version that is registered again is the same version.

Two messages are the same when they differ only in the order of map entries and in message fields that are set but
hold nothing: another release of a client may write `interface {}` where the first one wrote nothing. Presence counts
where it says something: in a oneof (`none_type {}`, an empty list) and for wrappers (`interruptible` set to false).
Fields that this release does not know are compared as bytes.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

DIFF_LINES_MAX = 60
DIFF_BYTES_MAX = 4096
"""An error's text travels in a gRPC trailer, and some clients accept no more than 8 KiB of those."""
VALUE_CHARS_MAX = 160

_WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)


def digest(message: Message) -> bytes:
    """A SHA-256 over the message, the same for any order of map entries.

    Quick, for the common case: equal digests mean the same structure. Unequal ones need not mean another, since a
    set but empty field counts here; ask `same` then.
    """
    return hashlib.sha256(message.SerializeToString(deterministic=True)).digest()


def same(before: Message, after: Message) -> bool:
    """Whether two messages of one type have the same structure."""
    if before.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True):
        return True
    return _normal(before).SerializeToString(deterministic=True) == _normal(after).SerializeToString(deterministic=True)


def diff(before: Message, after: Message) -> str:
    """What differs, as text of at most `DIFF_BYTES_MAX` bytes: JSON pointers, each with the value before and after.

    Empty if the two are the same.
    """
    changes = _changes("", _normal(before), _normal(after))
    lines: list[str] = []
    size_bytes = 0
    for pointer, old, new in islice(changes, DIFF_LINES_MAX):
        line = f"{pointer}:\n\t- {_shown(old)}\n\t+ {_shown(new)}"
        size_bytes += len(line.encode()) + 1
        if size_bytes > DIFF_BYTES_MAX - len("..."):
            lines.append("...")
            return "\n".join(lines)
        lines.append(line)
    if next(changes, None) is not None:
        lines.append("...")
    return "\n".join(lines)


def _normal(message: Message) -> Message:
    """A copy without message fields that are set but hold nothing."""
    copy = type(message)()
    copy.CopyFrom(message)
    _prune(copy)
    return copy


def _prune(message: Message) -> None:
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        if _is_map(field):
            if _holds_messages(field):
                for entry in value.values():
                    _prune(entry)
        elif field.is_repeated:
            for item in value:
                _prune(item)
        else:
            _prune(value)
            if field.containing_oneof is None and value.ByteSize() == 0 and not _is_wrapper(field):
                message.ClearField(field.name)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _holds_messages(field: FieldDescriptor) -> bool:
    entry = field.message_type
    return entry is not None and entry.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE


def _is_wrapper(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name in _WRAPPERS


Change = tuple[str, Any, Any]
"""A JSON pointer, the value before and the value after; None where there was or is none."""


def _changes(pointer: str, before: Message, after: Message) -> Iterator[Change]:
    """The leaves that differ, in the order of field numbers; equal parts are skipped without a look inside."""
    old = {field.number: (field, value) for field, value in before.ListFields()}
    new = {field.number: (field, value) for field, value in after.ListFields()}
    for number in sorted(old.keys() | new.keys()):
        field = (old.get(number) or new[number])[0]
        old_value = old[number][1] if number in old else None
        new_value = new[number][1] if number in new else None
        below = f"{pointer}/{field.name}"
        if _is_map(field):
            yield from _map_changes(below, old_value or {}, new_value or {})
        elif field.is_repeated:
            yield from _list_changes(below, list(old_value or ()), list(new_value or ()))
        else:
            yield from _value_changes(below, _named(field, old_value), _named(field, new_value))


def _map_changes(pointer: str, before: Any, after: Any) -> Iterator[Change]:
    for key in sorted({*before, *after}):
        below = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
        yield from _value_changes(below, before.get(key), after.get(key))


def _list_changes(pointer: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    for index in range(max(len(before), len(after))):
        old = before[index] if index < len(before) else None
        new = after[index] if index < len(after) else None
        yield from _value_changes(f"{pointer}/{index}", old, new)


def _value_changes(pointer: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, Message) and isinstance(after, Message):
        if before.SerializeToString(deterministic=True) != after.SerializeToString(deterministic=True):
            found = False
            for change in _changes(pointer, before, after):
                found = True
                yield change
            if not found:
                yield pointer, "(unknown fields)", "(other unknown fields)"
    elif before != after:
        yield pointer, before, after


def _named(field: FieldDescriptor, value: Any) -> Any:
    """An enum's name for its number, where it has one."""
    if field.enum_type is None or value is None:
        return value
    known = field.enum_type.values_by_number.get(value)
    return known.name if known is not None else value


def _shown(value: Any) -> str:
    if value is None:
        return "(absent)"
    text = " ".join(str(value).split()) or "{}" if isinstance(value, Message) else repr(value)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}..."
