"""What every clock promises, and what the manual one promises beyond that."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from conformance.conftest import ClockWorld, settle, soon
from sailplane_runtime import clock as clock_module
from sailplane_runtime.clock import ManualClock, SystemClock


def ms(milliseconds: float) -> timedelta:
    return timedelta(milliseconds=milliseconds)


def test_now_is_in_utc(clocks: ClockWorld) -> None:
    assert clocks.clock.now().utcoffset() == timedelta(0)


async def test_never_goes_backwards(clocks: ClockWorld) -> None:
    seen = []
    for _ in range(200):
        seen.append(clocks.clock.now())
        await asyncio.sleep(0)
    assert seen == sorted(seen)


async def test_a_past_deadline_returns_at_once(clocks: ClockWorld) -> None:
    await soon(clocks.clock.sleep_until(clocks.clock.now() - timedelta(days=1)))
    await soon(clocks.clock.sleep_until(clocks.clock.now()))


async def test_nobody_wakes_before_the_deadline(clocks: ClockWorld) -> None:
    deadline = clocks.clock.now() + ms(15)
    await soon(clocks.clock.sleep_until(deadline))
    assert clocks.clock.now() >= deadline


async def test_sleepers_wake_in_the_order_of_their_deadlines(clocks: ClockWorld) -> None:
    began, woken = clocks.clock.now(), []

    async def sleeper(delay_ms: int) -> None:
        await clocks.clock.sleep_until(began + ms(delay_ms))
        woken.append(delay_ms)

    await soon(asyncio.gather(*(sleeper(delay) for delay in (60, 20, 40))))
    assert woken == [20, 40, 60]


async def test_a_sleeper_can_be_cancelled(clocks: ClockWorld) -> None:
    sleeper = asyncio.create_task(clocks.clock.sleep_until(clocks.clock.now() + timedelta(days=1)))
    await asyncio.sleep(0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(sleeper)
    await soon(clocks.clock.sleep_until(clocks.clock.now() + ms(5)))


@pytest.mark.needs("virtual_time")
async def test_a_day_passes_at_once(clocks: ClockWorld) -> None:
    began = clocks.clock.now()
    await soon(clocks.clock.sleep_until(began + timedelta(days=1)))
    assert clocks.clock.now() == began + timedelta(days=1)


def test_the_system_clock_stands_still_when_the_wall_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class WallClock(datetime):
        present = datetime(2026, 5, 1, 12, tzinfo=UTC)

        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return cls.present

    monkeypatch.setattr(clock_module, "datetime", WallClock)
    clock = SystemClock()
    WallClock.present -= timedelta(hours=1)
    assert clock.now() == datetime(2026, 5, 1, 12, tzinfo=UTC)
    WallClock.present += timedelta(hours=2)
    assert clock.now() == datetime(2026, 5, 1, 13, tzinfo=UTC)


async def test_the_system_clock_notices_a_jump_of_the_wall_clock_while_it_sleeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock_module, "SLEEP_SLICE_S_MAX", 0.001)
    clock = SystemClock()
    sleeper = asyncio.create_task(clock.sleep_until(clock.now() + timedelta(days=1)))
    await asyncio.sleep(0)

    class WallClock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=2)

    monkeypatch.setattr(clock_module, "datetime", WallClock)
    await soon(sleeper)


async def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock()
    began = clock.now()
    sleeper = asyncio.create_task(clock.sleep_until(began + ms(10)))
    await settle()
    assert clock.now() == began
    assert clock.sleepers == 1
    clock.advance(0.009)
    await settle()
    assert not sleeper.done()
    clock.advance(0.001)
    await soon(sleeper)
    assert clock.sleepers == 0


async def test_advancing_wakes_equal_deadlines_in_the_order_of_falling_asleep() -> None:
    clock, woken = ManualClock(), []
    deadline = clock.now() + ms(10)

    async def sleeper(name: str, when: datetime) -> None:
        await clock.sleep_until(when)
        woken.append((name, clock.now()))

    tasks = [
        asyncio.create_task(sleeper(name, when))
        for name, when in (("later", deadline + ms(1)), ("a", deadline), ("b", deadline))
    ]
    await settle()
    clock.advance(1)
    await soon(asyncio.gather(*tasks))
    assert woken == [("a", clock.now()), ("b", clock.now()), ("later", clock.now())]


def test_time_is_not_turned_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


async def test_autojump_goes_to_one_deadline_at_a_time() -> None:
    clock, seen = ManualClock(autojump_threshold_s=0), []
    began = clock.now()

    async def chain() -> None:
        for _ in range(3):
            await clock.sleep_until(clock.now() + timedelta(hours=1))
            seen.append(("chain", clock.now() - began))

    async def once() -> None:
        await clock.sleep_until(began + timedelta(minutes=90))
        seen.append(("once", clock.now() - began))

    await soon(asyncio.gather(chain(), once()))
    hour = timedelta(hours=1)
    assert seen == [("chain", hour), ("once", 1.5 * hour), ("chain", 2 * hour), ("chain", 3 * hour)]


async def test_autojump_waits_while_anything_can_run() -> None:
    clock = ManualClock(autojump_threshold_s=0)
    began = clock.now()
    sleeper = asyncio.create_task(clock.sleep_until(began + timedelta(hours=1)))
    for _ in range(500):
        await asyncio.sleep(0)
        assert clock.now() == began
    await soon(sleeper)


async def test_autojump_waits_for_a_thread_when_given_a_threshold() -> None:
    clock = ManualClock(autojump_threshold_s=0.5)
    began = clock.now()
    sleeper = asyncio.create_task(clock.sleep_until(began + timedelta(hours=1)))
    for _ in range(20):
        await asyncio.to_thread(time.sleep, 0.01)
        assert clock.now() == began
    await soon(sleeper)


async def test_autojump_passes_over_who_was_cancelled() -> None:
    clock = ManualClock(autojump_threshold_s=0)
    began = clock.now()
    sleeper = asyncio.create_task(clock.sleep_until(began + timedelta(hours=1)))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.to_thread(time.sleep, 0.01)  # the loop is idle meanwhile
    assert clock.now() == began
    await soon(clock.sleep_until(began + timedelta(hours=2)))
    assert clock.now() == began + timedelta(hours=2)
