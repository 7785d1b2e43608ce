"""The stream of status changes: one consumer, nothing missed, several changes of one Pod become the last of them."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Changes(Generic[K]):
    """Keys that changed since they were last handed out, in the order of their first change."""

    def __init__(self) -> None:
        self._changed: dict[K, None] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        """It changed."""
        self._changed[key] = None
        self._wake.set()

    async def stream(self) -> AsyncIterator[K]:
        """Hand out what changed, for ever."""
        while True:
            while self._changed:
                key = next(iter(self._changed))
                del self._changed[key]
                yield key
            self._wake.clear()
            await self._wake.wait()
