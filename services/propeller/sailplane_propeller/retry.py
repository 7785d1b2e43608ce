"""Trying again: what is unavailable is waited for, and the unexpected is met with a few more tries."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NoReturn, TypeVar

import structlog
from sailplane_core.errors import LimitReached, Unavailable

from .ports import PropellerPorts

log = structlog.get_logger(__name__)

T = TypeVar("T")

TRIES_MAX = 5
"""How often an unexpected error is met with another try before an attempt is given up as a system failure."""


class Pauses:
    """The pauses between the tries of one thing: each twice the one before, up to `retry_delay_s_max`."""

    def __init__(self, ports: PropellerPorts) -> None:
        self._clock = ports.clock
        self._delay_s_max = ports.settings.retry_delay_s_max
        self.delay_s = ports.settings.retry_delay_s
        """How long the next one is."""

    async def wait(self) -> None:
        """Make the next pause."""
        await self._clock.sleep_until(self._clock.now() + timedelta(seconds=self.delay_s))
        self.delay_s = min(2 * self.delay_s, self._delay_s_max)


def is_unavailable(error: Exception) -> bool:
    """Whether the same may succeed later."""
    return isinstance(error, (Unavailable, LimitReached))


def give_up_at_once(error: Exception, tries: int) -> NoReturn:
    """For whoever has an answer to errors that no waiting mends."""
    raise error


async def until_done(
    ports: PropellerPorts,
    act: Callable[[], Awaitable[T]],
    event: str,
    *,
    waits_for: Callable[[Exception], bool] = is_unavailable,
    give_up: Callable[[Exception, int], T | None] = give_up_at_once,
    **about: str,
) -> T:
    """What `act` gives, tried again after pauses that become longer.

    Errors that are waited for are waited for without end. Of every other one `give_up` is told, with how many of them
    there were: it gives or raises what it all comes to, or gives None to have another try. `event` and `about` are what
    the log says of what is waited for.
    """
    pauses, tries = Pauses(ports), 0
    while True:
        try:
            return await act()
        except Exception as error:  # whose meaning is the caller's to tell
            if waits_for(error):
                log.warning(event, reason=str(error), delay_s=pauses.delay_s, **about)
            else:
                tries += 1
                if (given_up := give_up(error, tries)) is not None:
                    return given_up
        await pauses.wait()
