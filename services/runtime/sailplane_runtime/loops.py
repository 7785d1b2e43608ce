"""Loops that a service lives by: one that breaks is begun again, and says so."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sailplane_core.ports import Clock

RESTART_DELAY_S = 1.0

log = structlog.get_logger(__name__)


async def keep_running(name: str, run: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run a loop for ever. What it raises is logged, and after a pause it begins again."""
    while True:
        try:
            await run()
        except Exception:  # a service without one of its loops looks alive and does nothing
            log.exception("loop_broken", loop=name, restart_delay_s=RESTART_DELAY_S)
        await clock.sleep_until(clock.now() + timedelta(seconds=RESTART_DELAY_S))
