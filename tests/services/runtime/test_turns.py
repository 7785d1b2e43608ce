"""Background work waits for its turn, in order, and lets others run in between."""

import asyncio
from itertools import pairwise

from sailplane_runtime.turns import Turns


async def test_turns_come_in_the_order_they_were_asked_for() -> None:
    turns, done = Turns(rounds=2), list[int]()

    async def step(number: int) -> None:
        await turns.next()
        done.append(number)

    await asyncio.gather(*(step(number) for number in range(20)))
    assert done == list(range(20))


async def test_the_loop_goes_round_between_two_turns() -> None:
    turns, rounds, seen = Turns(rounds=5), 0, list[int]()

    async def others() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async def step() -> None:
        await turns.next()
        seen.append(rounds)

    busy = asyncio.create_task(others())
    await asyncio.gather(step(), step(), step())
    busy.cancel()
    assert all(later - earlier >= 5 for earlier, later in pairwise(seen))
