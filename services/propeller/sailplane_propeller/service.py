"""Propeller, wired: from the ports to a service with a beginning and an end."""

import asyncio
from collections.abc import Sequence

from sailplane_runtime.loops import keep_running
from sailplane_runtime.outbox import Relay

from . import records
from .cached_tasks import Reservations
from .inputs import Literals
from .inspection import Inspection
from .live import Live
from .logs import Logs
from .perform import Performers
from .pods import PodNames
from .ports import PropellerPorts
from .sweeper import Sweeper
from .timers import Timers
from .tools import Tools
from .watch import Watcher
from .worker import Worker


class Propeller:
    """The execution engine as a service."""

    def __init__(self, ports: PropellerPorts) -> None:
        self._ports = ports
        self._names = PodNames()
        self._worker = Worker(ports, ports.blobs.uri("").rstrip("/"))
        literals = Literals(ports.blobs)
        self._timers = Timers(ports.clock, self._worker.post)
        tools = Tools(ports, literals, self._names, Logs(ports))
        self._performers = Performers(
            tools, self._timers, self._worker.post, self._worker.confirm, self._worker.release
        )
        self._reservations = Reservations(tools, self._worker.in_service)
        self._watcher = Watcher(ports, self._names, literals, self._worker.live, self._worker.post)
        self._sweeper = Sweeper(ports, self._watcher, self._worker.in_service, self._worker.post)
        self._relay = Relay(ports.store, ports.queue, records.EVENTS_TOPIC, clock=ports.clock)
        self._worker.hand_out = self._performers.hand_out
        self._worker.entered = self._entered
        self._worker.left = self._left
        self._worker.ended = lambda live, node_ids: self._timers.forget_nodes(live.id, node_ids)
        self._worker.recall_events = self._relay.recall
        self._worker.clear_pods = self._sweeper.clear
        self._tasks: list[asyncio.Task[None]] = []

    def grpc_services(self) -> Sequence[tuple[str, object]]:
        """Full service names and their servicers."""
        return [("sailplane.propeller.PropellerService", Inspection(self._ports))]

    async def start(self) -> None:
        """Take up what was under way, then take new work."""
        await self._relay.start()
        await self._worker.recover()
        loops = {
            "propeller-intake": self._worker.run,
            "propeller-watch": self._watcher.run,
            "sweeper": self._sweeper.run,
            "timers": self._timers.run,
            "reservations": self._reservations.run,
        }
        self._tasks = [
            asyncio.create_task(keep_running(name, run, self._ports.clock), name=name) for name, run in loops.items()
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

    def _left(self, live: Live) -> None:
        self._names.leave(live)
        self._worker.drop_commands(self._timers.forget(live.id))
