"""The two clocks: the system's, and one that tests turn by hand or let jump."""

import asyncio
import heapq
import selectors
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast

SLEEP_SLICE_S_MAX = 10.0
"""`SystemClock` looks at the wall clock at least this often while asleep: the loop's own timers stand still while a
laptop is suspended, so one long sleep would end as much too late as the lid was closed."""

EPOCH_OF_TESTS = datetime(2030, 1, 1, tzinfo=UTC)
"""Where `ManualClock` starts. Far from today, so that a stray look at the system's time shows up."""


class SystemClock:
    """The machine's wall clock, which follows NTP.

    When the wall clock is set back, `now()` stands still until it has caught up.
    """

    def __init__(self) -> None:
        self._latest = datetime.now(UTC)

    def now(self) -> datetime:
        """The present in UTC, never before what this clock said last."""
        present = datetime.now(UTC)
        if present > self._latest:
            self._latest = present
        return self._latest

    async def sleep_until(self, when: datetime) -> None:
        """Return once `now() >= when`. A forward jump of the wall clock is noticed within `SLEEP_SLICE_S_MAX`."""
        while (left_s := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - no event announces a time
            await asyncio.sleep(min(left_s, SLEEP_SLICE_S_MAX))


class ManualClock:
    """A clock that stands still until `advance` is called, or, with autojump, until nothing else can happen.

    What it promises:

    - Time moves only by `advance`, `advance_to` and autojump.
    - Sleepers wake in the order of their deadlines, equal deadlines in the order in which they went to sleep.
    - `advance` goes to its target in one step: every sleeper it wakes sees the new time, as after a suspended laptop.
    - Autojump goes to one deadline at a time, so everything that follows from one wake-up happens before the next.

    Autojump: when the event loop has nothing to run and has waited `autojump_threshold_s` real seconds for files,
    sockets, threads and the loop's own timers, the clock jumps to the earliest deadline. 0 is right where the clock is
    the only thing anybody waits for, and repeats exactly. Where threads or processes take part, 0 would jump while they
    work: choose a threshold longer than they take, a few hundredths of a second. None: no autojump.
    """

    def __init__(self, start: datetime = EPOCH_OF_TESTS, *, autojump_threshold_s: float | None = None) -> None:
        self._now = start
        self._autojump_threshold_s = autojump_threshold_s
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._watched: asyncio.AbstractEventLoop | None = None

    def now(self) -> datetime:
        """The time it was set to."""
        return self._now

    @property
    def sleepers(self) -> int:
        """How many are asleep: what a test waits for before it advances."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    @property
    def next_deadline(self) -> datetime | None:
        """When the first sleeper is due; None while nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)  # was cancelled in its sleep
        return self._sleepers[0][0] if self._sleepers else None

    async def sleep_until(self, when: datetime) -> None:
        """Return once somebody moved the clock to `when` or beyond."""
        if when <= self._now:
            return
        loop = asyncio.get_running_loop()
        if self._autojump_threshold_s is not None and self._watched is not loop:
            _on_idle(loop, self._autojump_threshold_s, self._jump)
            self._watched = loop
        wake = loop.create_future()
        heapq.heappush(self._sleepers, (when, next(self._order), wake))
        await wake

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` and wake whoever is due. They run when the caller next awaits."""
        self.advance_to(self._now + timedelta(seconds=seconds))

    def advance_to(self, when: datetime) -> None:
        """Move on to `when` and wake whoever is due. Time never goes back: an earlier `when` is a ValueError."""
        if when < self._now:
            raise ValueError(f"the clock stands at {self._now}, it does not go back to {when}")
        self._now = when
        while self._sleepers and self._sleepers[0][0] <= when:
            _, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)

    def _jump(self) -> bool:
        deadline = self.next_deadline
        if deadline is None:
            return False
        self.advance_to(deadline)
        return True


def _on_idle(loop: asyncio.AbstractEventLoop, threshold_s: float, jump: Callable[[], bool]) -> None:
    """Call `jump` whenever `loop` would go to sleep and nothing arrived for `threshold_s` real seconds.

    The selector is the one place that sees this: the loop asks it with timeout 0 while callbacks are ready, and with
    another timeout only when it has nothing to do. asyncio offers no public hook, so this reaches for the selector
    of its standard loop; other loops (uvloop) have none and are refused.
    """
    selector = cast("selectors.BaseSelector | None", getattr(loop, "_selector", None))
    if selector is None:
        raise TypeError(f"autojump needs asyncio's own event loop, not {type(loop).__name__}")
    select = selector.select

    def select_or_jump(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return select(timeout)
        wait_s = threshold_s if timeout is None else min(timeout, threshold_s)
        ready = select(wait_s)
        if ready or wait_s < threshold_s:  # a timer of the loop is due first: that counts as something to do
            return ready
        if jump():
            return []
        return select(None if timeout is None else timeout - wait_s)

    cast("Any", selector).select = select_or_jump
