"""Places for work that is done side by side: who has the least time left to wait gets the next free one."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count


class Places:
    """A number of places. They belong to one event loop."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._asked = count()

    @asynccontextmanager
    async def one(self, due_at: datetime) -> AsyncIterator[None]:
        """Keep a place. Of those who wait the one that is due first comes first, and of equals who asked first."""
        if self._free:
            self._free -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (due_at, next(self._asked), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it was given the place at that very moment
                    self._give_on()
                raise
        try:
            yield
        finally:
            self._give_on()

    def _give_on(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
