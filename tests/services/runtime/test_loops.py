"""A loop that breaks is begun again."""

import asyncio

from sailplane_runtime.clock import ManualClock
from sailplane_runtime.loops import keep_running
from structlog.testing import capture_logs


async def test_a_broken_loop_says_so_and_goes_on() -> None:
    begun = 0
    enough = asyncio.Event()

    async def run() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise ValueError("broken")
        enough.set()
        await asyncio.Event().wait()

    with capture_logs() as logs:
        kept = asyncio.create_task(keep_running("work", run, ManualClock(autojump_threshold_s=0.0)))
        async with asyncio.timeout(5):
            await enough.wait()
        kept.cancel()
    assert [entry["loop"] for entry in logs] == ["work", "work"]
