"""Parsed versions of registered things, by id, and what else never changes: nothing here is ever out of date."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from sailplane_core.ids import EntityId

M = TypeVar("M", bound=Message)

SIZE_BYTES_MAX = 64 * 1024 * 1024
"""Of the messages as serialized; parsed they take a small multiple of it."""


class EntityCache:
    """The versions used last, up to a total size. Whoever takes a message from it must not change it."""

    def __init__(self, size_bytes_max: int = SIZE_BYTES_MAX) -> None:
        self._size_bytes_max = size_bytes_max
        self._size_bytes = 0
        self._entries: OrderedDict[EntityId, tuple[Message, int]] = OrderedDict()

    def get(self, id: EntityId, kind: type[M]) -> M | None:
        """The message of this version, if it is remembered as one of this type."""
        entry = self._entries.get(id)
        if entry is None or not isinstance(entry[0], kind):
            return None
        self._entries.move_to_end(id)
        return entry[0]

    def put(self, id: EntityId, message: Message, size_bytes: int) -> None:
        """Remember a version; the ones not used for longest make room. What is too large for all of it is not kept."""
        if size_bytes > self._size_bytes_max:
            return
        if id in self._entries:
            self._size_bytes -= self._entries.pop(id)[1]
        self._entries[id] = (message, size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > self._size_bytes_max:
            _, (_, freed_bytes) = self._entries.popitem(last=False)
            self._size_bytes -= freed_bytes


ROW_IDS_MAX = 10_000


class RowIdCache:
    """The row numbers of the versions used last: what is registered keeps its row."""

    def __init__(self, rows_max: int = ROW_IDS_MAX) -> None:
        self._rows_max = rows_max
        self._rows: OrderedDict[EntityId, int] = OrderedDict()

    def get(self, id: EntityId) -> int | None:
        """The row of this version, if it is remembered."""
        row_id = self._rows.get(id)
        if row_id is not None:
            self._rows.move_to_end(id)
        return row_id

    def put(self, id: EntityId, row_id: int) -> None:
        """Remember a row; the one not used for longest makes room."""
        self._rows[id] = row_id
        if len(self._rows) > self._rows_max:
            self._rows.popitem(last=False)


@dataclass(slots=True)
class KeyCache:
    """A key of this installation; None until it has been read."""

    value: bytes | None = None
