"""Proof of progress: something that must happen again and again, watched for whether it still does.

A process that answers is not yet one that works. So health is not asked of the process: each check is a probe that
goes through what it vouches for, such as a read from a store, and health is how long ago the last one came back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sailplane_core.ports import Clock

PROBE_INTERVAL_S = 5.0
STALE_AFTER_S = 20.0
"""Three probes may be late or fail before anybody is told: restarting a service that is merely busy makes it worse."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Check:
    probe: Callable[[], Awaitable[object]]
    latest: datetime
    failing: str = ""


class Progress:
    """The checks of one process. One is stale when its probe has not succeeded for `stale_after_s`."""

    def __init__(
        self, clock: Clock, *, interval_s: float = PROBE_INTERVAL_S, stale_after_s: float = STALE_AFTER_S
    ) -> None:
        self._clock = clock
        self._interval = timedelta(seconds=interval_s)
        self._stale_after = timedelta(seconds=stale_after_s)
        self._checks: dict[str, _Check] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def watch(self, name: str, probe: Callable[[], Awaitable[object]]) -> None:
        """Call `probe` from `start` on. It proves progress by returning; what it raises is logged."""
        self._checks[name] = _Check(probe, self._clock.now())

    def stale(self) -> list[str]:
        """The names of the checks that have seen no progress for too long; empty when all is well."""
        oldest = self._clock.now() - self._stale_after
        return [name for name, check in self._checks.items() if check.latest < oldest]

    async def start(self) -> None:
        """Begin to probe. A check is not stale before its first probes had their time."""
        for name, check in self._checks.items():
            check.latest = self._clock.now()
            self._tasks.append(asyncio.create_task(self._follow(name, check), name=f"progress-{name}"))

    async def stop(self) -> None:
        """Probe no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _follow(self, name: str, check: _Check) -> None:
        while True:
            try:
                await check.probe()
            except Exception as error:
                check.failing = str(error)
                log.warning("probe failed", check=name, error=check.failing)
            else:
                check.latest = self._clock.now()
                if check.failing:
                    check.failing = ""
                    log.info("probe succeeds again", check=name)
            await self._clock.sleep_until(self._clock.now() + self._interval)
