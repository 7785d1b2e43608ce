"""Messages that nobody means well: random ones of a type, good ones with something changed, and broken bytes.

Everything comes from a `random.Random`, so a seed says what was sent.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

TEXTS = (
    *("", "a", "n0", "start-node", "end-node", "node", "v1", "flytesnacks", "development"),
    *("x" * 300, "9" * 30, "1e999", "-1", "Ω\0\n", "../../etc/passwd", "a=b", "$(A)", "{{.inputs.node}}", "{{.inputs"),
    *(
        "a'; DROP TABLE executions; --",
        "eq(name,a)",
        "contains(name,%)",
        "value_in(phase,FAILED;RUNNING)",
        "created_at",
    ),
    *("*/5 * * * *", "@every 1ns", "flyte://v1/flytesnacks/development/a/n0/o", "s3://bucket/key", "100000Gi", "<b>"),
)
NUMBERS: dict[int, tuple[Any, ...]] = {
    FieldDescriptor.TYPE_BOOL: (False, True),
    FieldDescriptor.TYPE_BYTES: (b"", b"\xff\xfe", b"\x81\xa1a\x01", b"a" * 100),
    FieldDescriptor.TYPE_DOUBLE: (0.0, 1.5, float("nan"), float("inf"), -float("inf"), 1e308),
    FieldDescriptor.TYPE_FLOAT: (0.0, 1.5, float("nan"), float("inf"), -float("inf")),
    FieldDescriptor.TYPE_INT32: (0, 1, 2, -1, 2**31 - 1, -(2**31)),
    FieldDescriptor.TYPE_INT64: (0, 1, -1, 10**12, 2**63 - 1, -(2**63)),
    FieldDescriptor.TYPE_UINT32: (0, 1, 2, 100, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 1, 2**64 - 1),
}
UNKNOWN_ENUM_VALUE = 99


def fill(message: Message, luck: Random, depth: int, density: float) -> None:
    """Set each field with the probability `density`, `depth` messages deep."""
    for field in message.DESCRIPTOR.fields:
        if luck.random() < density:
            set_field(message, field, luck, depth, density)


def set_field(message: Message, field: FieldDescriptor, luck: Random, depth: int, density: float) -> None:
    """Give a field a value of its type, or add some if it has many."""
    here: Any = getattr(message, field.name)
    inner = field.message_type
    if inner is None:
        if field.is_repeated:
            here.extend(_scalar(field, luck) for _ in range(luck.randrange(3)))
        else:
            setattr(message, field.name, _scalar(field, luck))
    elif inner.GetOptions().map_entry:
        value = inner.fields_by_name["value"]
        for _ in range(luck.randrange(3)):
            key = _scalar(inner.fields_by_name["key"], luck)
            if value.message_type is None:
                here[key] = _scalar(value, luck)
            elif depth:
                fill(here[key], luck, depth - 1, density)
    elif depth and field.is_repeated:
        for _ in range(luck.randrange(3)):
            fill(here.add(), luck, depth - 1, density)
    elif depth:
        here.SetInParent()
        fill(here, luck, depth - 1, density)


def varied(message: M, luck: Random) -> M:
    """A copy in which one to three fields, anywhere in it, are cleared, doubled or replaced."""
    copy = type(message)()
    copy.CopyFrom(message)
    for _ in range(luck.choice((1, 1, 1, 2, 3))):
        part = luck.choice(list(_parts(copy)))
        if not part.DESCRIPTOR.fields:
            continue
        field = luck.choice(part.DESCRIPTOR.fields)
        change: Callable[[], object] = luck.choice(
            (
                lambda part=part, field=field: part.ClearField(field.name),
                lambda part=part, field=field: _double(part, field, luck),
                lambda part=part, field=field: set_field(part, field, luck, luck.choice((1, 3, 5)), 0.7),
                lambda part=part, field=field: set_field(part, field, luck, luck.choice((1, 3)), 0.4),
            )
        )
        change()
    return copy


def broken(data: bytes, luck: Random) -> bytes:
    """Bytes of which some are changed, missing or added."""
    bytes_ = bytearray(data or b"\x0a\x00")
    for _ in range(luck.randrange(1, 5)):
        at = luck.randrange(len(bytes_))
        match luck.randrange(4):
            case 0:
                bytes_[at] = luck.randrange(256)
            case 1:
                bytes_[at] ^= 1 << luck.randrange(8)
            case 2:
                del bytes_[at + 1 :]
            case _:
                bytes_[at:at] = luck.randbytes(luck.randrange(8))
    return bytes(bytes_)


def _scalar(field: FieldDescriptor, luck: Random) -> Any:
    if field.enum_type is not None:
        return luck.choice([*field.enum_type.values_by_number, UNKNOWN_ENUM_VALUE])
    return luck.choice(NUMBERS.get(field.type, TEXTS))


def _double(part: Message, field: FieldDescriptor, luck: Random) -> None:
    here: Any = getattr(part, field.name)
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    if field.is_repeated and not is_map and len(here):
        here.extend([luck.choice(list(here))])


def _parts(message: Message) -> Iterator[Message]:
    """The message and every message in it."""
    yield message
    value: Any
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = value.values() if field.message_type.fields_by_name["value"].message_type is not None else ()
        else:
            inner = value if field.is_repeated else (value,)
        for each in inner:
            yield from _parts(each)
