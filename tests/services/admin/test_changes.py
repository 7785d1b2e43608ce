"""Waking who watches an execution."""

import asyncio

import pytest
from sailplane_admin.changes import Changes
from sailplane_core.ids import ExecutionId

X, Y = ExecutionId("p", "d", "x"), ExecutionId("p", "d", "y")


async def test_a_change_wakes_everybody_who_watches_that_execution_and_nobody_else() -> None:
    changes = Changes()
    with changes.watch(X) as first, changes.watch(X) as second, changes.watch(Y) as other:
        changes.publish([X])
        await asyncio.wait_for(asyncio.gather(first.changed(), second.changed()), 1)
        waiting = asyncio.create_task(other.changed())
        await asyncio.sleep(0)
        assert not waiting.done()
        changes.publish([Y])
        await asyncio.wait_for(waiting, 1)


async def test_changes_before_a_look_count_once() -> None:
    changes = Changes()
    with changes.watch(X) as watch:
        changes.publish([X, X])
        changes.publish([X])
        await watch.changed()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.changed(), 0)


async def test_a_watch_that_ended_is_forgotten() -> None:
    changes = Changes()
    with changes.watch(X) as watch:
        pass
    changes.publish([X])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.changed(), 0)
