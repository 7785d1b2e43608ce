"""MessagePack, as much of it as literals hold: dataclasses and dicts that flytekit packs into `Binary` values.

The format is https://github.com/msgpack/msgpack/blob/master/spec.md. Extension types are kept as bytes.
"""

import struct
from collections.abc import Callable
from typing import cast

DEPTH_MAX = 256
"""Deeper nesting is refused rather than followed: the values come from user code."""


def unpack(data: bytes) -> object:
    """The one value in `data`. Raises `ValueError` when it is cut short, nested too deep or not MessagePack."""
    reader = _Reader(data)
    try:
        value = reader.value(0)
    except (IndexError, struct.error) as error:
        raise ValueError("the data ends in the middle of a value") from error
    if reader.position != len(data):
        raise ValueError(f"{len(data) - reader.position} bytes follow the value")
    return value


def pack(value: object) -> bytes:
    """`value` as MessagePack: None, bool, int, float, str, bytes, lists, tuples and dicts. Raises `ValueError`."""
    parts: list[bytes] = []
    _pack(value, parts, 0)
    return b"".join(parts)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, depth: int) -> object:
        if depth > DEPTH_MAX:
            raise ValueError(f"nested deeper than {DEPTH_MAX}")
        tag = self._data[self.position]
        self.position += 1
        if tag < 0x80:
            return tag
        if tag < 0x90:
            return self._map(tag & 0x0F, depth)
        if tag < 0xA0:
            return self._list(tag & 0x0F, depth)
        if tag < 0xC0:
            return self._text(tag & 0x1F)
        if tag >= 0xE0:
            return tag - 0x100
        known = _BY_TAG.get(tag)
        if known is None:
            raise ValueError(f"byte {tag:#x} does not begin a value")
        return known(self, depth)

    def number(self, layout: str) -> int:
        return int(cast("int", self.scalar(layout)))

    def scalar(self, layout: str) -> object:
        (value,) = struct.unpack_from(layout, self._data, self.position)
        self.position += struct.calcsize(layout)
        return value

    def raw(self, size: int) -> bytes:
        part = self._data[self.position : self.position + size]
        if len(part) < size:
            raise IndexError
        self.position += size
        return part

    def _text(self, size: int) -> str:
        return self.raw(size).decode("utf-8")

    def _list(self, size: int, depth: int) -> list[object]:
        return [self.value(depth + 1) for _ in range(size)]

    def _map(self, size: int, depth: int) -> dict[object, object]:
        found: dict[object, object] = {}
        for _ in range(size):
            key = self.value(depth + 1)
            if isinstance(key, list | dict):
                raise ValueError("a list or a map cannot be a key")
            found[key] = self.value(depth + 1)
        return found

    def extension(self, size: int) -> bytes:
        self.position += 1
        return self.raw(size)

    def text_of(self, layout: str) -> str:
        return self._text(self.number(layout))

    def list_of(self, layout: str, depth: int) -> list[object]:
        return self._list(self.number(layout), depth)

    def map_of(self, layout: str, depth: int) -> dict[object, object]:
        return self._map(self.number(layout), depth)


_BY_TAG: dict[int, Callable[[_Reader, int], object]] = {
    0xC0: lambda reader, depth: None,
    0xC2: lambda reader, depth: False,
    0xC3: lambda reader, depth: True,
    0xC4: lambda reader, depth: reader.raw(reader.number(">B")),
    0xC5: lambda reader, depth: reader.raw(reader.number(">H")),
    0xC6: lambda reader, depth: reader.raw(reader.number(">I")),
    0xC7: lambda reader, depth: reader.extension(reader.number(">B")),
    0xC8: lambda reader, depth: reader.extension(reader.number(">H")),
    0xC9: lambda reader, depth: reader.extension(reader.number(">I")),
    0xCA: lambda reader, depth: reader.scalar(">f"),
    0xCB: lambda reader, depth: reader.scalar(">d"),
    0xCC: lambda reader, depth: reader.number(">B"),
    0xCD: lambda reader, depth: reader.number(">H"),
    0xCE: lambda reader, depth: reader.number(">I"),
    0xCF: lambda reader, depth: reader.number(">Q"),
    0xD0: lambda reader, depth: reader.number(">b"),
    0xD1: lambda reader, depth: reader.number(">h"),
    0xD2: lambda reader, depth: reader.number(">i"),
    0xD3: lambda reader, depth: reader.number(">q"),
    0xD4: lambda reader, depth: reader.extension(1),
    0xD5: lambda reader, depth: reader.extension(2),
    0xD6: lambda reader, depth: reader.extension(4),
    0xD7: lambda reader, depth: reader.extension(8),
    0xD8: lambda reader, depth: reader.extension(16),
    0xD9: lambda reader, depth: reader.text_of(">B"),
    0xDA: lambda reader, depth: reader.text_of(">H"),
    0xDB: lambda reader, depth: reader.text_of(">I"),
    0xDC: lambda reader, depth: reader.list_of(">H", depth),
    0xDD: lambda reader, depth: reader.list_of(">I", depth),
    0xDE: lambda reader, depth: reader.map_of(">H", depth),
    0xDF: lambda reader, depth: reader.map_of(">I", depth),
}


def _pack(value: object, parts: list[bytes], depth: int) -> None:
    if depth > DEPTH_MAX:
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    match value:
        case None:
            parts.append(b"\xc0")
        case bool():
            parts.append(b"\xc3" if value else b"\xc2")
        case int():
            parts.append(_int(value))
        case float():
            parts.append(struct.pack(">Bd", 0xCB, value))
        case str():
            data = value.encode()
            parts += [_head(len(data), 0xA0, 32, (0xD9, 0xDA, 0xDB)), data]
        case bytes():
            parts += [_head(len(value), 0, 0, (0xC4, 0xC5, 0xC6)), value]
        case list() | tuple():
            elements = cast("list[object]", value)
            parts.append(_head(len(elements), 0x90, 16, (None, 0xDC, 0xDD)))
            for element in elements:
                _pack(element, parts, depth + 1)
        case dict():
            entries = cast("dict[object, object]", value)
            parts.append(_head(len(entries), 0x80, 16, (None, 0xDE, 0xDF)))
            for key, element in entries.items():
                _pack(key, parts, depth + 1)
                _pack(element, parts, depth + 1)
        case _:
            raise ValueError(f"a {type(value).__name__} cannot be packed")


def _head(size: int, fixed: int, fixed_sizes: int, tags: tuple[int | None, int, int]) -> bytes:
    if size < fixed_sizes:
        return bytes([fixed | size])
    if tags[0] is not None and size < 1 << 8:
        return struct.pack(">BB", tags[0], size)
    if size < 1 << 16:
        return struct.pack(">BH", tags[1], size)
    return struct.pack(">BI", tags[2], size)


def _int(value: int) -> bytes:
    if -32 <= value < 128:
        return struct.pack(">b", value) if value < 0 else bytes([value])
    unsigned = ((8, 0xCC, "B"), (16, 0xCD, "H"), (32, 0xCE, "I"), (64, 0xCF, "Q"))
    signed = ((8, 0xD0, "b"), (16, 0xD1, "h"), (32, 0xD2, "i"), (64, 0xD3, "q"))
    for bits, tag, letter in unsigned if value >= 0 else signed:
        if (0 <= value < 1 << bits) if value >= 0 else (-(1 << bits - 1) <= value):
            return struct.pack(f">B{letter}", tag, value)
    raise ValueError(f"{value} does not fit into 64 bits")
