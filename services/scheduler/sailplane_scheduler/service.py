"""The scheduler, wired: from the ports to a service with a beginning and an end.

intake      what admin says of schedules is stored, by whichever scheduler gets it
leader      decides which slots are due, and starts their executions (`leases`: one of all schedulers)
rebuild     once, what admin knows and the store does not
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sailplane_core.errors import SailplaneError, Unavailable
from sailplane_runtime.loops import keep_running

from . import decisions, intake, leases, rebuild
from .backfilling import Backfilling
from .handlers import BackfillHandlers, SchedulerHandlers
from .launches import Launcher
from .leases import Lease
from .ports import SchedulerPorts

FORGET_EVERY = timedelta(hours=1)

log = structlog.get_logger(__name__)


class Scheduler:
    """The clock as a service."""

    def __init__(self, ports: SchedulerPorts) -> None:
        self._ports = ports
        self._launcher = Launcher(ports)
        self._learned = asyncio.Event()
        self._backfills_changed = asyncio.Event()
        self._backfilling = Backfilling(ports, self._backfills_changed)
        self._lease: Lease | None = None
        self._loops: list[asyncio.Task[None]] = []

    def grpc_services(self) -> Sequence[tuple[str, object]]:
        """Full service names and their servicers."""
        return [
            ("sailplane.scheduler.SchedulerService", SchedulerHandlers(self._ports)),
            ("sailplane.scheduler.BackfillService", BackfillHandlers(self._ports, self._backfills_changed)),
        ]

    async def start(self) -> None:
        """Take changes of schedules, and begin to fire them."""
        loops = {
            "scheduler-intake": lambda: intake.run(self._ports, self._learned),
            "scheduler-leader": lambda: leases.lead(self._ports, self._lead),
        }
        self._loops = [
            asyncio.create_task(keep_running(name, run, self._ports.clock), name=name) for name, run in loops.items()
        ]
        self._loops.append(asyncio.create_task(self._rebuild(), name="scheduler-rebuild"))

    async def stop(self) -> None:
        """Stop at once, and let another scheduler lead. What is not done is done after the next start."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._lease is not None:
            with suppress(SailplaneError, leases.LeaseLost):  # then it expires, or has
                await leases.give_up(self._ports, self._lease)

    async def _rebuild(self) -> None:
        while True:
            try:
                if await rebuild.learn_missing(self._ports):
                    self._learned.set()
                return
            except SailplaneError as error:
                log.warning("schedules_not_learned_again", error=str(error))
            await self._sleep(self._ports.settings.retry_delay_s)

    async def _lead(self, lease: Lease) -> None:
        self._lease = lease
        loops = [
            asyncio.create_task(run)
            for run in (self._launcher.run(), self._decide(lease), self._backfilling.run(lease))
        ]
        try:
            await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in loops:
                task.cancel()
            ended = await asyncio.gather(*loops, return_exceptions=True)
        for problem in ended:
            if isinstance(problem, Exception):
                raise problem

    async def _decide(self, lease: Lease) -> None:
        forget_at = self._ports.clock.now()
        while True:
            try:
                self._learned.clear()
                while await decisions.decide_due(self._ports, lease):
                    self._launcher.wake()
                if self._ports.clock.now() >= forget_at:
                    await decisions.forget(self._ports)
                    forget_at = self._ports.clock.now() + FORGET_EVERY
                await self._wait(await decisions.next_due(self._ports))
            except Unavailable as error:
                log.warning("slots_not_decided", error=str(error))
                await self._sleep(self._ports.settings.retry_delay_s)

    async def _wait(self, due: datetime | None) -> None:
        """Until a schedule is due, one was learned here, or another scheduler may have learned one."""
        look_at = self._ports.clock.now() + timedelta(seconds=self._ports.settings.look_every_s)
        until = look_at if due is None else min(due, look_at)
        sleeping = asyncio.ensure_future(self._ports.clock.sleep_until(until))
        learning = asyncio.ensure_future(self._learned.wait())
        try:
            await asyncio.wait((sleeping, learning), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            learning.cancel()

    async def _sleep(self, seconds: float) -> None:
        await self._ports.clock.sleep_until(self._ports.clock.now() + timedelta(seconds=seconds))
