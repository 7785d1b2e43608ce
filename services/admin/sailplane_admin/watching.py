"""Whoever watches an execution is told of its changes as they are committed.

A watcher is woken by the doorbell (`changes`), reads what came after the version it has, and sends that before it looks
again: a slow one hears of several changes at once, and nothing is kept for it. Those who have the same version and are
woken together share one read. Commits of other processes ring no bell here, so one look a second is made for all who
watch an execution.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from sailplane_core import validation
from sailplane_core.errors import InvalidRequest, LimitReached, Unavailable
from sailplane_core.ids import ExecutionId
from sailplane_protos.watch import service_pb2 as watch_pb2
from sailplane_runtime.loops import keep_running

from . import change_pages
from .change_pages import PageLimit
from .ports import AdminPorts

Page = watch_pb2.WatchExecutionResponse


@dataclass(slots=True)
class _Room:
    """All who watch one execution. `known` is the newest version that any of them was told or woken for."""

    looking: "asyncio.Task[None]"
    watchers: int = 0
    known: int = 0
    reads: "dict[int, asyncio.Task[Page]]" = field(default_factory=dict[int, "asyncio.Task[Page]"])


class Watching:
    """The watchers of one server. Belongs to one event loop."""

    def __init__(self, ports: AdminPorts) -> None:
        self._ports = ports
        self._rooms: dict[ExecutionId, _Room] = {}
        self._watchers = 0

    async def watch(self, request: watch_pb2.WatchExecutionRequest) -> AsyncGenerator[Page]:
        """What `WatchExecution` answers. Raises `InvalidRequest`, `NotFound` and `LimitReached`."""
        validation.check_execution_id(request.id)
        version = request.resume_version
        if version < 0:
            raise InvalidRequest.invalid("resume_version", "it is below 0")
        id, clock = ExecutionId.of(request.id), self._ports.clock
        idle = self._half_heartbeat
        with self._room(id) as room, self._ports.changes.watch(id) as doorbell:
            told_at = None
            while True:
                page = await self._read(id, room, version)
                if told_at is None or page.version != version or clock.now() >= told_at + idle:
                    yield page
                    told_at = clock.now()
                version = page.version
                if page.has_ended:
                    return
                if page.is_current:
                    await doorbell.changed()

    @property
    def _half_heartbeat(self) -> timedelta:
        """The bell rings for heartbeats twice as often as they are due, because it does not know who was told when."""
        return timedelta(seconds=self._ports.settings.watch_heartbeat_s / 2)

    @contextmanager
    def _room(self, id: ExecutionId) -> Generator[_Room]:
        watchers_max = self._ports.settings.watchers_max
        if self._watchers >= watchers_max:
            raise LimitReached(f"watchers_max: {watchers_max} at one time")
        room = self._rooms.get(id)
        if room is None:
            name = f"watching {id}"
            looking = keep_running(name, lambda: self._look(id), self._ports.clock)
            room = self._rooms[id] = _Room(asyncio.create_task(looking, name=name))
        self._watchers += 1
        room.watchers += 1
        try:
            yield room
        finally:
            self._watchers -= 1
            room.watchers -= 1
            if not room.watchers:
                room.looking.cancel()
                del self._rooms[id]

    async def _read(self, id: ExecutionId, room: _Room, after: int) -> Page:
        """The page after a version, for all who ask for it before it is begun to be read.

        Later ones begin another, because their bell may have rung for what this one does not see.
        """
        limit = PageLimit.of(self._ports.settings)

        async def read() -> Page:
            del room.reads[after]
            page = await self._ports.store.read(lambda connection: change_pages.read(connection, id, after, limit))
            room.known = max(room.known, page.version)
            return page

        if after not in room.reads:
            room.reads[after] = asyncio.create_task(read())
        return await asyncio.shield(room.reads[after])

    async def _look(self, id: ExecutionId) -> None:
        """Ring the bell for commits of other processes, and now and then for heartbeats."""
        ports, settings = self._ports, self._ports.settings
        rung_at = ports.clock.now()
        while True:
            await ports.clock.sleep_until(ports.clock.now() + timedelta(seconds=settings.watch_look_every_s))
            room = self._rooms[id]
            try:
                last = await ports.store.read(lambda connection: change_pages.last_change(connection, id))
            except Unavailable:
                last = None
            now = ports.clock.now()
            # None too: whoever is woken finds out by itself why there is nothing to read any more.
            if last is None or last > room.known or now >= rung_at + self._half_heartbeat:
                room.known = room.known if last is None else last
                rung_at = now
                ports.changes.publish([id])
