"""The Queue port in one process's memory.

It holds no truth: what was not confirmed is in the publisher's outbox, and comes again after a restart. So a dead
letter is confirmed only when somebody drops it: after a restart it gets a fresh set of deliveries, and is not lost.

Every step costs the same however many messages wait (a delayed redelivery costs a heap push). Nobody polls: a
receiver sleeps on a future, claims and delays that run out are woken by one timer per topic.
"""

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from weakref import WeakSet

from sailplane_core.errors import InvalidRequest
from sailplane_core.ports import Clock, DeadLetter, Delivery, Message

DELIVERIES_MAX = 5
CLAIM_TTL_S = 30.0
CLAIM_EXPIRED = "the claim expired: its consumer died or stalled"


class MemoryQueue:
    """`claim_ttl_s`: how long a consumer may work without `extend`. `deliveries_max`: tries before a message is parked.

    Belongs to one event loop. `close` ends its timers; receivers that still wait are cancelled by their owners.
    """

    def __init__(self, clock: Clock, *, claim_ttl_s: float = CLAIM_TTL_S, deliveries_max: int = DELIVERIES_MAX) -> None:
        self._clock = clock
        self._claim_ttl = timedelta(seconds=claim_ttl_s)
        self._deliveries_max = deliveries_max
        self._topics: dict[str, _Topic] = {}

    async def publish(self, messages: Sequence[Message]) -> None:
        """Append the messages. An id that waits, is claimed or is parked is not appended again."""
        for message in messages:
            self._topic(message.topic).append(message)

    async def receive(self, topic: str, count_max: int) -> Sequence[Delivery]:
        """Wait until at least one message is due, then claim up to `count_max`, each of another key."""
        if count_max < 1:
            raise InvalidRequest.invalid("count_max", "must be at least 1")
        return await self._topic(topic).receive(count_max)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """The effect is committed. Frees the keys and tells the publisher. Stale receipts are ignored."""
        for topic, receipts in _receipts_by_topic(deliveries).items():
            self._topic(topic).ack(receipts)

    async def nack(self, delivery: Delivery, reason: str, delay_s: float = 0.0) -> None:
        """It failed; deliver it again after `delay_s`, or park it when the limit is reached.

        Its key waits with it, because the messages of a key come in order.
        """
        self._topic(delivery.message.topic).nack(delivery.receipt, reason, timedelta(seconds=delay_s))

    async def extend(self, delivery: Delivery) -> bool:
        """Renew the claim; False if it was lost, and then the work must be dropped."""
        return self._topic(delivery.message.topic).extend(delivery.receipt)

    def confirmed(self, topic: str) -> AsyncIterator[Sequence[str]]:
        """Ids of messages whose effect is committed (acked or dropped), in batches, from this call on."""
        return self._topic(topic).subscribe()

    async def dead_letters(self, topic: str) -> Sequence[DeadLetter]:
        """Everything parked, oldest first."""
        return tuple(self._topic(topic).parked.values())

    async def requeue(self, topic: str, id: str) -> bool:
        """Give a dead letter a fresh set of deliveries, behind what its key has waiting; False if there is none."""
        return self._topic(topic).requeue(id)

    async def drop(self, topic: str, id: str) -> bool:
        """Forget a dead letter, and tell the publisher to forget it too; False if there is none with this id."""
        return self._topic(topic).drop(id)

    async def close(self) -> None:
        """End the timers."""
        for topic in self._topics.values():
            await topic.close()

    def _topic(self, name: str) -> "_Topic":
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = _Topic(self._clock, self._claim_ttl, self._deliveries_max)
        return topic


def _receipts_by_topic(deliveries: Sequence[Delivery]) -> dict[str, list[str]]:
    receipts: dict[str, list[str]] = {}
    for delivery in deliveries:
        receipts.setdefault(delivery.message.topic, []).append(delivery.receipt)
    return receipts


@dataclass(slots=True)
class _Entry:
    message: Message
    tries: int = 0


_Lane = deque[_Entry]
"""The messages of one key, in order. Never empty; its head is due, claimed or waits out a delay."""


@dataclass(slots=True)
class _Claim:
    lane: _Lane
    expires_at: datetime


class _Topic:
    """One topic. Every lane is in exactly one of `_ready` (its head is due), `_claims` and `_delayed`.

    Each lane that becomes ready wakes one receiver, if any waits; a receiver waits only while nothing is ready.
    """

    def __init__(self, clock: Clock, claim_ttl: timedelta, deliveries_max: int) -> None:
        self._clock = clock
        self._claim_ttl = claim_ttl
        self._deliveries_max = deliveries_max
        self._numbers = count(1)
        self._ids: set[str] = set()
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[_Lane] = deque()
        self._claims: OrderedDict[str, _Claim] = OrderedDict()  # every claim lives equally long: the oldest ends first
        self._delayed: list[tuple[datetime, int, _Lane]] = []
        self._receivers: deque[asyncio.Future[None]] = deque()
        self._subscribers: WeakSet[_Confirmed] = WeakSet()
        self._timer: asyncio.Task[None] | None = None
        self._timer_due: datetime | None = None
        self.parked: dict[str, DeadLetter] = {}

    def append(self, message: Message) -> None:
        if message.id in self._ids or message.id in self.parked:
            return
        self._ids.add(message.id)
        lane = self._lanes.get(message.key)
        if lane is None:
            lane = self._lanes[message.key] = _Lane()
        lane.append(_Entry(message))
        if len(lane) == 1:
            self._offer(lane)

    async def receive(self, count_max: int) -> Sequence[Delivery]:
        while True:
            self._free_expired()
            if self._ready:
                return self._claim(count_max)
            turn = asyncio.get_running_loop().create_future()
            self._receivers.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._wake_receiver()  # it was our turn, and we do not take it
                elif turn in self._receivers:
                    self._receivers.remove(turn)
                raise

    def ack(self, receipts: Sequence[str]) -> None:
        done: list[str] = []
        for receipt in receipts:
            claim = self._claims.pop(receipt, None)
            if claim is not None:
                done.append(self._advance(claim.lane).message.id)
        self._confirm(done)

    def nack(self, receipt: str, reason: str, delay: timedelta) -> None:
        claim = self._claims.pop(receipt, None)
        if claim is not None:
            self._try_again(claim.lane, reason, delay)

    def extend(self, receipt: str) -> bool:
        self._free_expired()
        claim = self._claims.get(receipt)
        if claim is None:
            return False
        claim.expires_at = self._clock.now() + self._claim_ttl
        self._claims.move_to_end(receipt)
        return True

    def subscribe(self) -> "_Confirmed":
        subscriber = _Confirmed()
        self._subscribers.add(subscriber)
        return subscriber

    def requeue(self, id: str) -> bool:
        letter = self.parked.pop(id, None)
        if letter is None:
            return False
        self.append(letter.message)
        return True

    def drop(self, id: str) -> bool:
        if self.parked.pop(id, None) is None:
            return False
        self._confirm([id])
        return True

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)

    def _offer(self, lane: _Lane) -> None:
        self._ready.append(lane)
        self._wake_receiver()

    def _wake_receiver(self) -> None:
        while self._receivers:
            turn = self._receivers.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _claim(self, count_max: int) -> Sequence[Delivery]:
        expires_at = self._clock.now() + self._claim_ttl
        deliveries: list[Delivery] = []
        while self._ready and len(deliveries) < count_max:
            lane = self._ready.popleft()
            entry = lane[0]
            entry.tries += 1
            receipt = str(next(self._numbers))
            self._claims[receipt] = _Claim(lane, expires_at)
            deliveries.append(Delivery(entry.message, entry.tries, receipt))
        self._wake_at(expires_at)
        return deliveries

    def _advance(self, lane: _Lane) -> _Entry:
        """The head of the lane is done with: the next one is due."""
        entry = lane.popleft()
        self._ids.discard(entry.message.id)
        if lane:
            self._offer(lane)
        else:
            del self._lanes[entry.message.key]
        return entry

    def _try_again(self, lane: _Lane, reason: str, delay: timedelta) -> None:
        now = self._clock.now()
        entry = lane[0]
        if entry.tries >= self._deliveries_max:
            self._advance(lane)
            self.parked[entry.message.id] = DeadLetter(entry.message, entry.tries, reason, now)
        elif delay > timedelta(0):
            heapq.heappush(self._delayed, (now + delay, next(self._numbers), lane))
            self._wake_at(now + delay)
        else:
            self._offer(lane)

    def _free_expired(self) -> None:
        now = self._clock.now()
        while self._claims:
            receipt, claim = next(iter(self._claims.items()))
            if claim.expires_at > now:
                break
            del self._claims[receipt]
            self._try_again(claim.lane, CLAIM_EXPIRED, timedelta(0))
        while self._delayed and self._delayed[0][0] <= now:
            self._offer(heapq.heappop(self._delayed)[2])

    def _confirm(self, ids: Sequence[str]) -> None:
        if ids:
            for subscriber in self._subscribers:
                subscriber.add(ids)

    def _wake_at(self, when: datetime) -> None:
        """See to it that the timer looks at `when` or before.

        A timer that sleeps already is left alone even if its reason is gone: an idle wake-up once per claim time is
        cheaper than starting and stopping a timer with every message.
        """
        if self._timer is not None and self._timer_due is not None:
            if self._timer_due <= when:
                return
            self._timer.cancel()
        self._timer_due = when
        self._timer = asyncio.get_running_loop().create_task(self._look_at(when))

    async def _look_at(self, when: datetime) -> None:
        await self._clock.sleep_until(when)
        self._timer = self._timer_due = None
        self._free_expired()
        if self._claims:
            self._wake_at(next(iter(self._claims.values())).expires_at)
        if self._delayed:
            self._wake_at(self._delayed[0][0])


class _Confirmed(AsyncIterator[Sequence[str]]):
    """The confirmations of one subscriber, gathered while it is busy."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._arrived = asyncio.Event()

    def add(self, ids: Sequence[str]) -> None:
        self._ids.extend(ids)
        self._arrived.set()

    async def __anext__(self) -> Sequence[str]:
        await self._arrived.wait()
        self._arrived.clear()
        ids, self._ids = self._ids, []
        return ids
