"""What every queue promises: at least once, one key at a time, expiring claims, a limit, dead letters, confirmation."""

import asyncio
from collections.abc import Sequence

import pytest
from conformance.conftest import QueueWorld, settle, soon
from sailplane_core.errors import InvalidRequest
from sailplane_core.ports import Delivery, Message, Queue

TOPIC = "events"


def message(id: str, key: str = "k", topic: str = TOPIC) -> Message:
    return Message(topic, key, id, f"payload of {id}".encode())


async def receive(queue: Queue, count_max: int = 10) -> Sequence[Delivery]:
    return await soon(queue.receive(TOPIC, count_max))


async def one(queue: Queue) -> Delivery:
    (delivery,) = await receive(queue, 1)
    return delivery


async def is_empty(queue: Queue) -> bool:
    """Whether nothing is due. Whoever asks takes nothing."""
    waiting = asyncio.create_task(queue.receive(TOPIC, 1))
    await settle()
    if waiting.done():
        return False
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return True


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.message.id for delivery in deliveries]


async def test_what_is_published_is_received(queues: QueueWorld) -> None:
    sent = message("1")
    await queues.queue.publish([sent])
    delivery = await one(queues.queue)
    assert delivery.message == sent
    assert delivery.tries == 1


async def test_a_waiting_consumer_is_woken(queues: QueueWorld) -> None:
    waiting = asyncio.create_task(queues.queue.receive(TOPIC, 1))
    await settle()
    assert not waiting.done()
    await queues.queue.publish([message("1")])
    assert ids(await soon(waiting)) == ["1"]


async def test_topics_are_apart(queues: QueueWorld) -> None:
    await queues.queue.publish([message("1", topic="another"), message("2")])
    assert ids(await receive(queues.queue)) == ["2"]


async def test_a_batch_takes_each_message_of_another_key(queues: QueueWorld) -> None:
    await queues.queue.publish([message("a1", "a"), message("a2", "a"), message("b1", "b"), message("c1", "c")])
    assert ids(await receive(queues.queue, 2)) == ["a1", "b1"]
    assert ids(await receive(queues.queue, 2)) == ["c1"]
    assert await is_empty(queues.queue)


async def test_messages_of_one_key_come_one_at_a_time_in_order(queues: QueueWorld) -> None:
    await queues.queue.publish([message(str(number)) for number in range(4)])
    for number in range(4):
        (delivery,) = await receive(queues.queue)
        assert delivery.message.id == str(number)
        assert await is_empty(queues.queue)
        await queues.queue.ack([delivery])
    assert await is_empty(queues.queue)


async def test_two_consumers_share_the_keys(queues: QueueWorld) -> None:
    consumers = [asyncio.create_task(queues.queue.receive(TOPIC, 1)) for _ in range(2)]
    await settle()
    await queues.queue.publish([message("a1", "a"), message("b1", "b"), message("a2", "a")])
    received = [delivery for batch in await soon(asyncio.gather(*consumers)) for delivery in batch]
    assert sorted(ids(received)) == ["a1", "b1"]


async def test_a_consumer_that_stops_waiting_takes_nothing_with_it(queues: QueueWorld) -> None:
    first = asyncio.create_task(queues.queue.receive(TOPIC, 1))
    second = asyncio.create_task(queues.queue.receive(TOPIC, 1))
    await settle()
    await queues.queue.publish([message("1")])
    first.cancel()  # its wake-up is on the way already
    assert ids(await soon(second)) == ["1"]
    await asyncio.gather(first, return_exceptions=True)


async def test_an_id_that_waits_or_is_claimed_is_not_published_again(queues: QueueWorld) -> None:
    await queues.queue.publish([message("1"), message("1")])
    delivery = await one(queues.queue)
    await queues.queue.publish([message("1")])
    await queues.queue.ack([delivery])
    assert await is_empty(queues.queue)


async def test_an_id_that_was_acked_can_be_published_again(queues: QueueWorld) -> None:
    for _ in range(2):
        await queues.queue.publish([message("1")])
        await queues.queue.ack([await one(queues.queue)])


async def test_a_nacked_message_comes_again_before_what_is_behind_it(queues: QueueWorld) -> None:
    await queues.queue.publish([message("1"), message("2")])
    await queues.queue.nack(await one(queues.queue), "not yet")
    again = await one(queues.queue)
    assert (again.message.id, again.tries) == ("1", 2)


async def test_a_nack_with_a_delay_holds_its_key_and_no_other(queues: QueueWorld) -> None:
    await queues.queue.publish([message("a1", "a"), message("a2", "a")])
    await queues.queue.nack(await one(queues.queue), "later", delay_s=10)
    await queues.queue.publish([message("b1", "b")])
    assert ids(await receive(queues.queue)) == ["b1"]
    waiting = asyncio.create_task(queues.queue.receive(TOPIC, 1))
    await queues.pass_time(9.9)
    assert not waiting.done()
    await queues.pass_time(0.2)
    assert ids(await soon(waiting)) == ["a1"]


async def test_everything_that_runs_out_wakes_a_waiting_consumer_at_its_time(queues: QueueWorld) -> None:
    await queues.queue.publish([message("late", "a"), message("later", "b"), message("lost", "c")])
    late, later, _ = await receive(queues.queue)
    await queues.queue.nack(late, "busy", delay_s=10)
    await queues.queue.nack(later, "busy", delay_s=20)
    for id, wait_s in (("late", 10.1), ("later", 10.1), ("lost", queues.claim_ttl_s - 20)):
        waiting = asyncio.create_task(queues.queue.receive(TOPIC, 10))
        await settle()
        assert not waiting.done()
        await queues.pass_time(wait_s)
        (delivery,) = await soon(waiting)
        assert delivery.message.id == id
        await queues.queue.ack([delivery])


async def test_a_claim_that_expires_frees_the_message(queues: QueueWorld) -> None:
    await queues.queue.publish([message("1")])
    lost = await one(queues.queue)
    waiting = asyncio.create_task(queues.queue.receive(TOPIC, 1))
    await queues.pass_time(queues.claim_ttl_s - 1)
    assert not waiting.done()
    await queues.pass_time(2)
    (again,) = await soon(waiting)
    assert (again.message.id, again.tries) == ("1", 2)
    assert again.receipt != lost.receipt


async def test_a_stale_receipt_settles_nothing(queues: QueueWorld) -> None:
    await queues.queue.publish([message("1"), message("2")])
    lost = await one(queues.queue)
    await queues.pass_time(queues.claim_ttl_s + 1)
    again = await one(queues.queue)
    await queues.queue.ack([lost])
    await queues.queue.nack(lost, "too late")
    assert not await queues.queue.extend(lost)
    assert await is_empty(queues.queue)
    await queues.queue.ack([again])
    assert ids(await receive(queues.queue)) == ["2"]


async def test_a_claim_can_be_kept(queues: QueueWorld) -> None:
    await queues.queue.publish([message("1", "a"), message("2", "b")])
    kept, lost = await receive(queues.queue)
    for _ in range(3):
        await queues.pass_time(queues.claim_ttl_s * 0.7)
        assert await queues.queue.extend(kept)
    assert not await queues.queue.extend(lost)
    assert ids(await receive(queues.queue)) == [lost.message.id]
    await queues.queue.ack([kept])
    assert not await queues.queue.extend(kept)


async def test_acking_twice_is_acking_once(queues: QueueWorld) -> None:
    await queues.queue.publish([message("1"), message("2"), message("3")])
    first = await one(queues.queue)
    await queues.queue.ack([first, first])
    await queues.queue.ack([first])
    second = await one(queues.queue)
    assert second.message.id == "2"
    assert await is_empty(queues.queue)


async def park(world: QueueWorld, reason: str = "broken") -> None:
    for tries in range(1, world.deliveries_max + 1):
        delivery = await one(world.queue)
        assert delivery.tries == tries
        await world.queue.nack(delivery, reason)


async def test_a_message_that_keeps_failing_is_parked_and_its_key_goes_on(queues: QueueWorld) -> None:
    await queues.queue.publish([message("bad"), message("good")])
    await park(queues)
    assert ids(await receive(queues.queue)) == ["good"]
    (letter,) = await queues.queue.dead_letters(TOPIC)
    assert (letter.message.id, letter.tries, letter.reason) == ("bad", queues.deliveries_max, "broken")


async def test_a_message_whose_consumers_keep_dying_is_parked(queues: QueueWorld) -> None:
    await queues.queue.publish([message("bad"), message("good")])
    for _ in range(queues.deliveries_max):
        assert (await one(queues.queue)).message.id == "bad"
        await queues.pass_time(queues.claim_ttl_s + 1)
    assert ids(await receive(queues.queue)) == ["good"]
    (letter,) = await queues.queue.dead_letters(TOPIC)
    assert "claim expired" in letter.reason


async def test_a_dead_letter_is_not_published_again(queues: QueueWorld) -> None:
    await queues.queue.publish([message("bad")])
    await park(queues)
    await queues.queue.publish([message("bad")])
    assert await is_empty(queues.queue)


async def test_dead_letters_are_listed_oldest_first(queues: QueueWorld) -> None:
    for id in ("b", "a", "c"):
        await queues.queue.publish([message(id)])
        await park(queues)
    letters = await queues.queue.dead_letters(TOPIC)
    assert [letter.message.id for letter in letters] == ["b", "a", "c"]
    assert await queues.queue.dead_letters("another") == ()


async def test_a_requeued_dead_letter_gets_a_fresh_set_of_deliveries(queues: QueueWorld) -> None:
    await queues.queue.publish([message("bad")])
    await park(queues)
    assert await queues.queue.requeue(TOPIC, "bad")
    assert not await queues.queue.requeue(TOPIC, "bad")
    assert await queues.queue.dead_letters(TOPIC) == ()
    await park(queues)
    assert len(await queues.queue.dead_letters(TOPIC)) == 1


async def test_a_dropped_dead_letter_is_gone(queues: QueueWorld) -> None:
    await queues.queue.publish([message("bad")])
    await park(queues)
    assert await queues.queue.drop(TOPIC, "bad")
    assert not await queues.queue.drop(TOPIC, "bad")
    assert not await queues.queue.requeue(TOPIC, "bad")
    assert await is_empty(queues.queue)


async def test_acks_are_confirmed_to_the_publisher(queues: QueueWorld) -> None:
    confirmed = queues.queue.confirmed(TOPIC)
    await queues.queue.publish([message("1", "a"), message("2", "b"), message("3", "c")])
    first, second, third = await receive(queues.queue)
    await queues.queue.nack(third, "failed")
    await queues.queue.ack([first, second])
    assert set(await soon(anext(confirmed))) == {"1", "2"}


async def test_a_dropped_dead_letter_is_confirmed(queues: QueueWorld) -> None:
    confirmed = queues.queue.confirmed(TOPIC)
    await queues.queue.publish([message("bad")])
    await park(queues)
    await queues.queue.drop(TOPIC, "bad")
    assert list(await soon(anext(confirmed))) == ["bad"]


async def test_a_count_below_one_is_refused(queues: QueueWorld) -> None:
    with pytest.raises(InvalidRequest):
        await queues.queue.receive(TOPIC, 0)


async def test_many_messages_and_consumers_lose_nothing_and_keep_the_order(queues: QueueWorld) -> None:
    handled: dict[str, list[int]] = {f"key-{number}": [] for number in range(20)}
    busy: set[str] = set()

    async def consume() -> None:
        while True:
            for delivery in await queues.queue.receive(TOPIC, 7):
                key = delivery.message.key
                assert key not in busy
                busy.add(key)
                await asyncio.sleep(0)
                busy.discard(key)
                if delivery.tries == 1 and len(delivery.message.id) % 2:
                    await queues.queue.nack(delivery, "the first try of some fails")
                else:
                    handled[key].append(int(delivery.message.id.rpartition(":")[2]))
                    await queues.queue.ack([delivery])

    consumers = [asyncio.create_task(consume()) for _ in range(5)]
    for number in range(50):
        await queues.queue.publish([message(f"{key}:{number}", key) for key in handled])
        await asyncio.sleep(0)
    while any(len(numbers) < 50 for numbers in handled.values()):
        assert not any(consumer.done() for consumer in consumers)
        await asyncio.sleep(0)
    for consumer in consumers:
        consumer.cancel()
    await asyncio.gather(*consumers, return_exceptions=True)
    assert all(numbers == list(range(50)) for numbers in handled.values())
