"""The relay from a store's outbox to a queue: everything committed arrives, and leaves the outbox when it is done."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from conformance.conftest import settle, soon
from sailplane_core.errors import Unavailable
from sailplane_core.ports import Delivery, Message
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.outbox import RETRY_S, Relay
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import MetaData

TOPIC = "events"


@pytest.fixture
async def store(tmp_path: Path):
    store = await SqlStore.open(f"sqlite:///{tmp_path}/store.db", MetaData())
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def queue(clock: ManualClock):
    queue = MemoryQueue(clock)
    yield queue
    await queue.close()


async def send(store: SqlStore, *ids: str) -> None:
    def change(tx) -> None:
        for id in ids:
            tx.send(Message(TOPIC, f"key of {id}", id, id.encode()))

    await store.write(change)


async def receive(queue: MemoryQueue) -> Sequence[Delivery]:
    return await soon(queue.receive(TOPIC, 100))


def ids(messages) -> list[str]:
    return [getattr(message, "message", message).id for message in messages]


async def until_pending(store: SqlStore, expected: list[str]) -> None:
    async def look() -> None:
        while ids(await store.pending(TOPIC)) != expected:
            await asyncio.sleep(0)

    await soon(look())


async def test_a_commit_is_published_at_once_and_confirmed_when_acked(store: SqlStore, queue: MemoryQueue) -> None:
    relay = Relay(store, queue, TOPIC)
    await relay.start()
    waiting = asyncio.create_task(queue.receive(TOPIC, 10))
    await send(store, "1", "2")
    deliveries = await soon(waiting)
    assert ids(deliveries) == ["1", "2"]
    assert ids(await store.pending(TOPIC)) == ["1", "2"]
    await queue.ack(deliveries[:1])
    await until_pending(store, ["2"])
    await relay.stop()


async def test_what_was_left_in_the_outbox_comes_first(store: SqlStore, clock: ManualClock) -> None:
    await send(store, "1", "2")
    queue = MemoryQueue(clock)
    relay = Relay(store, queue, TOPIC)
    await relay.start()
    await send(store, "3")
    await settle()
    assert ids(await receive(queue)) == ["1", "2", "3"]
    await relay.stop()
    await queue.close()


async def test_a_parked_message_stays_in_the_outbox_of_a_queue_without_memory(
    store: SqlStore, clock: ManualClock
) -> None:
    queue = MemoryQueue(clock, deliveries_max=1)
    relay = Relay(store, queue, TOPIC)
    await relay.start()
    await send(store, "1")
    (delivery,) = await receive(queue)
    await queue.nack(delivery, "broken")
    await settle()
    assert ids(await store.pending(TOPIC)) == ["1"]
    await queue.drop(TOPIC, "1")
    await until_pending(store, [])
    await relay.stop()
    await queue.close()


async def test_a_queue_that_is_away_is_tried_again(
    store: SqlStore, queue: MemoryQueue, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[list[str]] = []
    publish = queue.publish

    async def sometimes(messages: Sequence[Message]) -> None:
        attempts.append(ids(messages))
        if len(attempts) < 3:
            raise Unavailable("the queue")
        await publish(messages)

    monkeypatch.setattr(queue, "publish", sometimes)
    relay = Relay(store, queue, TOPIC, clock=clock)
    await relay.start()
    await send(store, "1")
    for tries in (1, 2):
        await settle()
        assert len(attempts) == tries
        clock.advance(RETRY_S)
    await settle()
    assert ids(await receive(queue)) == ["1"]
    await send(store, "2")
    assert ids(await receive(queue)) == ["2"]
    assert attempts == [["1"], ["1"], ["1"], ["2"]]
    await relay.stop()


async def test_what_is_committed_while_the_queue_is_slow_comes_next(
    store: SqlStore, queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, go_on = queue.publish, asyncio.Event()

    async def slowly(messages: Sequence[Message]) -> None:
        await go_on.wait()
        await publish(messages)

    monkeypatch.setattr(queue, "publish", slowly)
    relay = Relay(store, queue, TOPIC)
    await relay.start()
    for id in ("1", "2", "3"):
        await send(store, id)
        await settle()
    go_on.set()
    await settle()
    assert ids(await receive(queue)) == ["1", "2", "3"]
    await relay.stop()


async def test_what_another_has_committed_and_not_published_is_published_before_what_builds_upon_it(
    tmp_path: Path, store: SqlStore, queue: MemoryQueue
) -> None:
    relay = Relay(store, queue, TOPIC)
    await relay.start()
    other = await SqlStore.open(f"sqlite:///{tmp_path}/store.db", MetaData())
    await send(other, "1", "2")
    await relay.recall("key of 1")
    await send(store, "3")
    assert ids(await receive(queue)) == ["1", "3"]
    await relay.stop()
    await other.close()


async def test_many_commits_all_arrive_and_the_outbox_is_empty_in_the_end(store: SqlStore, queue: MemoryQueue) -> None:
    relay = Relay(store, queue, TOPIC)
    await relay.start()
    wanted = {f"{batch}-{number}" for batch in range(40) for number in range(5)}
    seen: set[str] = set()

    async def consume() -> None:
        while seen != wanted:
            deliveries = await queue.receive(TOPIC, 10)
            seen.update(ids(deliveries))
            await queue.ack(deliveries)

    consumer = asyncio.create_task(consume())
    await asyncio.gather(*(send(store, *(f"{batch}-{number}" for number in range(5))) for batch in range(40)))
    await soon(consumer)
    await until_pending(store, [])
    await relay.stop()
