"""Propeller, wired: from the ports to a service with a beginning and an end."""

import asyncio
from collections.abc import Sequence

from sailplane_runtime.outbox import Relay

from . import records
from .inputs import Literals
from .inspection import Inspection
from .live import Live
from .perform import Performers
from .pods import PodNames
from .ports import PropellerPorts
from .sweeper import Sweeper
from .watch import Watcher
from .worker import Worker


class Propeller:
    """The execution engine as a service."""

    def __init__(self, ports: PropellerPorts) -> None:
        self._ports = ports
        self._names = PodNames()
        self._worker = Worker(ports, ports.blobs.uri("").rstrip("/"))
        literals = Literals(ports.blobs)
        self._performers = Performers(ports, self._names, literals, self._worker.post, self._worker.release)
        self._watcher = Watcher(ports, self._names, literals, self._worker.live, self._worker.post)
        self._sweeper = Sweeper(ports, self._watcher, self._worker.in_service)
        self._relay = Relay(ports.store, ports.queue, records.EVENTS_TOPIC)
        self._worker.hand_out = self._performers.hand_out
        self._worker.entered = self._entered
        self._intake: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def grpc_services(self) -> Sequence[tuple[str, object]]:
        """Full service names and their servicers."""
        return [("sailplane.propeller.PropellerService", Inspection(self._ports, self._drain))]

    async def start(self) -> None:
        """Take up what was under way, then take new work."""
        await self._relay.start()
        await self._worker.recover()
        self._intake = asyncio.create_task(self._worker.run())
        self._tasks = [
            self._intake,
            asyncio.create_task(self._watcher.run()),
            asyncio.create_task(self._sweeper.run()),
        ]

    async def stop(self) -> None:
        """Stop at once. Running Pods go on; what is not saved is seen again after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._watcher.close()
        await self._worker.close()
        await self._performers.close(self._worker.in_service())
        await self._relay.stop()

    def _entered(self, live: Live) -> None:
        self._watcher.look_again(self._names.enter(live))

    async def _drain(self, grace_s: float) -> int:
        if self._intake is not None:
            self._intake.cancel()
        lives = self._worker.in_service()
        busy = [work for live in lives for work in _under_way(live)]
        if busy:
            await asyncio.wait(busy, timeout=grace_s)
        return len(lives)


def _under_way(live: Live) -> list["asyncio.Task[None]"]:
    tasks = list(live.chains.values())
    if live.worker is not None:
        tasks.append(live.worker)
    return tasks
