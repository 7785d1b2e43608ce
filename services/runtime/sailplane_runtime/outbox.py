"""The relay from a store's outbox to a queue: what was decided is told, once it is committed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog
from sailplane_core.ports import Clock, Message, Queue

from .clock import SystemClock
from .store.port import Store

T = TypeVar("T")

RETRY_S = 1.0
PUBLISH_MESSAGES_MAX = 500

log = structlog.get_logger(__name__)


class Relay:
    """Publishes each commit's messages of one topic at once, and confirms to the store what the queue confirms.

    Nothing is lost: a message leaves the outbox only when its consumer has committed the effect, and whatever is in
    the outbox at the start is published again. Doubled messages are possible, and are the consumer's to recognise by
    their id. The messages of a key are published in the order in which they were committed.
    """

    def __init__(self, store: Store, queue: Queue, topic: str, *, clock: Clock | None = None) -> None:
        self._store = store
        self._queue = queue
        self._topic = topic
        self._clock = clock or SystemClock()
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Publish what was left in the outbox, then whatever is committed. Start it before anything is written."""
        confirmed = self._queue.confirmed(self._topic)
        self._store.listen(self._topic, self._on_commit)
        left_over = await self._store.pending(self._topic)
        self._waiting.extendleft(reversed(left_over))
        self._arrived.set()
        self._tasks = [
            asyncio.create_task(self._publish(), name=f"relay-{self._topic}"),
            asyncio.create_task(self._confirm(confirmed), name=f"relay-{self._topic}-confirmed"),
        ]

    async def recall(self, key: str) -> None:
        """Publish once more what is in the outbox for a key, ahead of whatever is committed after this returns.

        Another publisher may have committed some of it and not have got to publishing it.
        """
        self._on_commit(await self._store.pending(self._topic, key))

    async def stop(self) -> None:
        """Stop at once. What was not confirmed is published again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_commit(self, messages: Sequence[Message]) -> None:
        self._waiting.extend(messages)
        self._arrived.set()

    async def _publish(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                count = min(len(self._waiting), PUBLISH_MESSAGES_MAX)
                batch = [self._waiting[index] for index in range(count)]
                await self._until_done("publish", self._queue.publish, batch)
                for _ in batch:
                    self._waiting.popleft()

    async def _confirm(self, confirmed: AsyncIterator[Sequence[str]]) -> None:
        async for ids in confirmed:
            await self._until_done("confirm", self._store.confirm, ids)

    async def _until_done(self, what: str, act: Callable[[Sequence[T]], Awaitable[None]], batch: Sequence[T]) -> None:
        while True:
            try:
                return await act(batch)
            except Exception as error:
                log.warning("relay will try again", act=what, topic=self._topic, messages=len(batch), error=str(error))
            await self._clock.sleep_until(self._clock.now() + timedelta(seconds=RETRY_S))
