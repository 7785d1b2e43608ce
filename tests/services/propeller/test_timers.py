"""Timers: what is waited for, and what nobody waits for any more."""

import asyncio
from datetime import timedelta

from sailplane_core.ids import ExecutionId
from sailplane_core.machine import Observation, SetTimer, Timer, TimerFired
from sailplane_propeller.live import Live
from sailplane_propeller.timers import Timers
from sailplane_runtime.clock import ManualClock
from services.propeller.conftest import NOON, X

Y = ExecutionId("p", "development", "y")


def deadline(node_id: str, hours: int) -> SetTimer:
    """The end of a node's attempt."""
    return SetTimer(node_id, 0, Timer.EXECUTION, NOON + timedelta(hours=hours))


async def test_executions_that_are_forgotten_leave_nothing_behind() -> None:
    clock, fired = ManualClock(NOON), list[tuple[ExecutionId, Observation]]()
    timers = Timers(clock, lambda id, seen, command_id: fired.append((id, seen)))
    timers.start(Live(Y), deadline("a", 30))
    for number in range(1000):
        gone = Live(ExecutionId("p", "development", f"x{number}"))
        timers.start(gone, deadline("a", 24))
        assert len(timers.forget(gone.id)) == 1
    assert len(timers._next) <= 4  # pyright: ignore[reportPrivateUsage]
    running = asyncio.create_task(timers.run())
    while not clock.sleepers:
        await asyncio.sleep(0)
    clock.advance(timedelta(hours=31).total_seconds())
    while not fired:
        await asyncio.sleep(0)
    running.cancel()
    assert fired == [(Y, TimerFired("a", 0, Timer.EXECUTION))]


async def test_an_execution_that_comes_back_is_told_once() -> None:
    clock, fired = ManualClock(NOON), list[Observation]()
    timers = Timers(clock, lambda id, seen, command_id: fired.append(seen))
    for number in range(3):
        timers.start(Live(X), deadline(f"n{number}", 1))
    timers.start(Live(Y), deadline("a", 1))
    timers.start(Live(Y), deadline("b", 1))
    timers.forget(Y)
    timers.start(Live(Y), deadline("a", 1))
    running = asyncio.create_task(timers.run())
    while not clock.sleepers:
        await asyncio.sleep(0)
    clock.advance(timedelta(hours=2).total_seconds())
    for _ in range(20):
        await asyncio.sleep(0)
    running.cancel()
    assert sorted(one.node_id for one in fired if isinstance(one, TimerFired)) == ["a", "n0", "n1", "n2"]


async def test_what_nodes_that_have_ended_waited_for_is_dropped() -> None:
    clock, fired = ManualClock(NOON), list[Observation]()
    timers = Timers(clock, lambda id, seen, command_id: fired.append(seen))
    live = Live(X)
    for number in range(1000):
        timers.start(live, deadline(f"n{number}", 24))
        timers.start(live, deadline(f"n{number}", 48))
    assert len(timers.forget_nodes(X, [f"n{number}" for number in range(999)])) == 2 * 999
    assert len(timers._next) <= 4  # pyright: ignore[reportPrivateUsage]
    running = asyncio.create_task(timers.run())
    for hours in (25, 49):
        while not clock.sleepers:
            await asyncio.sleep(0)
        clock.advance_to(NOON + timedelta(hours=hours))
        for _ in range(20):
            await asyncio.sleep(0)
    running.cancel()
    assert [one.node_id for one in fired if isinstance(one, TimerFired)] == ["n999", "n999"]
    assert timers.forget(X) == set()
