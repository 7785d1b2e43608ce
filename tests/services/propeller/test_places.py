"""Places: never more than there are, the most urgent first, and none lost."""

import asyncio
from datetime import UTC, datetime, timedelta

from sailplane_propeller.places import Places

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_is_due_first_comes_first_and_of_equals_who_asked_first() -> None:
    places, order = Places(1), list[str]()
    release = asyncio.Event()

    async def work(name: str, minutes: int) -> None:
        async with places.one(NOON + timedelta(minutes=minutes)):
            order.append(name)
            await release.wait()

    asked = [("first", 90), ("late", 60), ("soon", 1), ("soon too", 1), ("now", 0)]
    tasks: list[asyncio.Task[None]] = []
    for name, minutes in asked:
        tasks.append(asyncio.create_task(work(name, minutes)))
        await settle()
    assert order == ["first"]
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["first", "now", "soon", "soon too", "late"]


async def test_there_are_never_more_than_places_and_none_is_lost_with_who_gives_up() -> None:
    places, inside, most = Places(3), 0, 0

    async def work(number: int) -> None:
        nonlocal inside, most
        async with places.one(NOON + timedelta(seconds=number % 7)):
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(0)
            finally:
                inside -= 1
            if number % 5 == 0:
                raise ValueError

    tasks = [asyncio.create_task(work(number)) for number in range(60)]
    for turn, task in enumerate(tasks):
        if turn % 3 == 0:
            task.cancel()
        if turn % 10 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (inside, most) == (0, 3)
    async with asyncio.timeout(5), places.one(NOON), places.one(NOON), places.one(NOON):
        pass
