"""Who waits for news of an execution is woken when some is committed.

News says that something changed, never what: whoever is woken reads the rows. So news that comes while the last is
still being looked at counts once, and nothing has to be kept for a slow reader.
"""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from sailplane_core.ids import ExecutionId


class Watch:
    """One reader's doorbell."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Something was committed."""
        self._rung.set()

    async def changed(self) -> None:
        """Return once something was committed since the last return, or since the watch began."""
        await self._rung.wait()
        self._rung.clear()


class Changes:
    """The doorbells of all readers, by execution. Belongs to one event loop; only its own process's commits ring."""

    def __init__(self) -> None:
        self._watches: dict[ExecutionId, set[Watch]] = {}

    def publish(self, ids: Iterable[ExecutionId]) -> None:
        """These executions, their nodes or their attempts were changed, and that is committed."""
        for id in ids:
            for watch in self._watches.get(id, ()):
                watch.ring()

    @contextmanager
    def watch(self, id: ExecutionId) -> Generator[Watch]:
        """Watch an execution. Begin before the first read, and no change after that read is missed."""
        watch = Watch()
        self._watches.setdefault(id, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[id]
            watches.remove(watch)
            if not watches:
                del self._watches[id]
