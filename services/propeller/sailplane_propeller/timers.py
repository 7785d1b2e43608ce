"""What has to happen at a time: deadlines, pauses, gates that open.

A timer is a command like any other and lies in the outbox until what it led to is committed, so a restart sets it
again. It is kept here apart from the commands that are carried out now: it may wait for days.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from sailplane_core.ids import ExecutionId
from sailplane_core.machine import Observation, SetTimer, TimerFired
from sailplane_core.ports import Clock

from . import records
from .live import Live

_Entry = tuple[datetime, str, ExecutionId, SetTimer]
"""When it is due, its command's id, and what it is about."""


class Timers:
    """All timers of the executions in service, the next one first."""

    def __init__(self, clock: Clock, post: Callable[[ExecutionId, Observation, str], None]) -> None:
        self._clock = clock
        self._post = post
        self._next: list[_Entry] = []
        self._waiting: dict[ExecutionId, dict[str, set[str]]] = {}
        """The ids of the timers that somebody waits for, by execution and node."""
        self._dropped = 0
        """How many of `_next` nobody waits for any more, at most: they are swept out when they are more than half."""
        self._changed = asyncio.Event()

    def start(self, live: Live, timer: SetTimer) -> None:
        """Tell the execution when the time has come."""
        command_id = records.command_id(live.id, timer)
        known = self._waiting.setdefault(live.id, {}).setdefault(timer.node_id, set())
        if command_id not in known:
            known.add(command_id)
            heapq.heappush(self._next, (timer.at, command_id, live.id, timer))
            if self._next[0][1] == command_id:
                self._changed.set()

    def forget(self, id: ExecutionId) -> set[str]:
        """Drop what an execution that is out of service waits for; the ids of its commands."""
        return self._drop(self._waiting.pop(id, {}).values())

    def forget_nodes(self, id: ExecutionId, node_ids: Iterable[str]) -> set[str]:
        """The same for nodes that have ended, in an execution that goes on."""
        waiting = self._waiting.get(id, {})
        return self._drop([waiting.pop(node_id, set()) for node_id in node_ids])

    def _drop(self, ids: Iterable[set[str]]) -> set[str]:
        dropped = set[str]().union(*ids)
        self._dropped += len(dropped)
        if self._dropped > len(self._next) // 2:
            self._next = [entry for entry in self._next if entry[1] in self._ids_beside(entry)]
            heapq.heapify(self._next)
            self._dropped = 0
        return dropped

    def _ids_beside(self, entry: _Entry) -> set[str]:
        """What is waited for about the node of this timer."""
        _, _, id, timer = entry
        return self._waiting.get(id, {}).get(timer.node_id, set())

    async def run(self) -> None:
        """Fire for ever."""
        while True:
            self._changed.clear()
            self._fire_due()
            await self._until_next()

    def _fire_due(self) -> None:
        now = self._clock.now()
        while self._next and self._next[0][0] <= now:
            entry = heapq.heappop(self._next)
            _, command_id, id, timer = entry
            waiting = self._ids_beside(entry)
            if command_id in waiting:
                waiting.discard(command_id)
                self._post(id, TimerFired(timer.node_id, timer.attempt, timer.timer), command_id)

    async def _until_next(self) -> None:
        """Until the next timer is due or an earlier one is set."""
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._changed.wait())]
        if self._next:
            waits.append(asyncio.create_task(self._sleep_until(self._next[0][0])))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _sleep_until(self, when: datetime) -> None:
        await self._clock.sleep_until(when)
