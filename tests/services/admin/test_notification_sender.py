"""Messages are sent until somebody has taken them: once, as far as anybody can know, and in nobody's way."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import trustme
from conformance.notifier_servers import MailServer, Taken
from sailplane_admin import events, executions, notifications
from sailplane_admin.notification_sender import LEASE_S, LOOK_EVERY_S
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import LimitReached
from sailplane_core.notifications import NotDelivered, Notice
from sailplane_protos.admin import event_pb2
from sailplane_protos.notification import service_pb2 as pb
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.notifiers.router import Notifiers
from sailplane_runtime.notifiers.settings import NotificationSettings
from services.admin.notified import DELIVERED, FAILED, GIVEN_UP, PENDING, FakeNotifier

from services.admin import execution_requests as requests
from services.admin import notified


@pytest.fixture
def notifier() -> FakeNotifier:
    return FakeNotifier()


@pytest.fixture
async def admin(ports: AdminPorts, notifier: FakeNotifier) -> AdminPorts:
    await requests.register(ports)
    return replace(ports, notifier=notifier)


def down(notice: Notice) -> None:
    raise NotDelivered("connection refused")


def refused(notice: Notice) -> None:
    raise NotDelivered("550 no such user", is_permanent=True)


async def test_a_message_is_sent_as_soon_as_it_is_owed(admin: AdminPorts, notifier: FakeNotifier) -> None:
    async with notified.sending(admin):
        await asyncio.sleep(0.02)
        await end_over_rpc(admin, "x")
        [done] = await notified.until(admin, DELIVERED, 1)
    assert (done.tries, done.last_error, done.HasField("next_try_at")) == (1, "", False)
    assert done.delivered_at == done.created_at, "the clock stands still"
    assert [notice.delivery_id for notice in notifier.sent] == [done.id]


async def end_over_rpc(admin: AdminPorts, name: str) -> None:
    """End an execution as an engine that reports by RPC does, which wakes the sender."""
    request = requests.create(name)
    request.spec.notifications.notifications.append(notified.mail("a@x"))
    await executions.create(admin, request)
    event = requests.workflow_event(FAILED)
    event.execution_id.CopyFrom(requests.execution_id(name))
    await events.create_workflow_event(admin, event_pb2.WorkflowExecutionEventRequest(request_id="r", event=event))


async def test_what_was_not_taken_is_sent_again_after_growing_pauses(
    admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock
) -> None:
    notifier.answer = down
    await notified.end(admin, "x", notified.mail("a@x"))
    tried = [clock.now()]
    async with notified.sending(admin):
        for sent in range(1, 12):
            await notified.at_rest(notifier, sent)
            [waiting] = await notified.deliveries(admin)
            assert (waiting.state, waiting.tries, waiting.last_error) == (PENDING, sent, "connection refused")
            again = waiting.next_try_at.ToDatetime(clock.now().tzinfo)
            clock.advance_to(again - timedelta(microseconds=1))
            await notified.at_rest(notifier, sent)
            clock.advance_to(again)
            tried.append(again)
        await notified.at_rest(notifier, 12)
    pauses_s = [(after - before).total_seconds() for before, after in pairwise(tried)]
    for number, pause_s in enumerate(pauses_s):
        assert min(5.0 * 2**number, 300.0) / 2 <= pause_s <= min(5.0 * 2**number, 300.0)
    assert len({notice.delivery_id for notice in notifier.sent}) == 1


async def test_who_says_when_to_come_again_is_heard(
    admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock
) -> None:
    def busy(notice: Notice) -> None:
        raise NotDelivered("answered 429", retry_after_s=900.0)

    notifier.answer = busy
    await notified.end(admin, "x", notified.channel("oncall"))
    async with notified.sending(admin):
        await notified.at_rest(notifier, 1)
    [waiting] = await notified.deliveries(admin)
    assert waiting.next_try_at.ToDatetime(clock.now().tzinfo) == clock.now() + timedelta(seconds=900)


async def test_what_is_refused_for_good_is_given_up_until_somebody_asks(
    admin: AdminPorts, notifier: FakeNotifier
) -> None:
    notifier.answer = refused
    await notified.end(admin, "x", notified.mail("a@x"))
    async with notified.sending(admin):
        [given_up] = await notified.until(admin, GIVEN_UP, 1)
        assert (given_up.tries, given_up.last_error) == (1, "550 no such user")
        notifier.answer = lambda notice: None
        again = (await notifications.retry(admin, pb.RetryDeliveryRequest(id=given_up.id))).delivery
        assert again.state == PENDING
        [done] = await notified.until(admin, DELIVERED, 1)
    assert (done.id, done.tries, done.last_error) == (given_up.id, 2, "")


async def test_after_a_day_a_message_is_given_up(admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock) -> None:
    notifier.answer = down
    await notified.end(admin, "x", notified.mail("a@x"))
    async with notified.sending(admin):
        await notified.at_rest(notifier, 1)
        clock.advance(86_399)
        await notified.at_rest(notifier, 2)
        [waiting] = await notified.deliveries(admin)
        assert waiting.state == PENDING
        clock.advance(1)
        [given_up] = await notified.until(admin, GIVEN_UP, 1)
        again = (await notifications.retry(admin, pb.RetryDeliveryRequest(id=given_up.id))).delivery
        assert again.state == PENDING
        await notified.at_rest(notifier, 4)
        [waiting] = await notified.deliveries(admin)
        assert waiting.state == PENDING, "it has a day before it again"


async def test_a_dead_channel_holds_up_nobody_else(admin: AdminPorts, notifier: FakeNotifier) -> None:
    never = asyncio.Event()
    notifier.answer = lambda notice: never.wait() if notice.target == "oncall" else None
    for number in range(20):
        await notified.end(admin, f"x{number}", notified.channel("oncall"))
    for number in range(20):
        await notified.end(admin, f"y{number}", notified.channel("audit"), notified.mail("a@x"))
    async with notified.sending(admin):
        await notified.until(admin, DELIVERED, 40)
        assert notifier.at_once == admin.settings.notifications_of_route_at_once
    assert Counter(notice.target for notice in notifier.sent) == {"oncall": 4, "audit": 20, "a@x": 20}


async def test_no_more_are_sent_at_one_time_than_may_be(admin: AdminPorts, notifier: FakeNotifier) -> None:
    few = notified.with_settings(admin, notifications_at_once=3)
    notifier.answer = lambda notice: asyncio.sleep(0.002)
    for number in range(10):
        await notified.end(
            few, f"x{number}", notified.mail("a@x"), notified.channel("oncall"), notified.channel("audit")
        )
    async with notified.sending(few):
        await notified.until(few, DELIVERED, 30)
    assert notifier.at_once_max == 3


async def test_ways_that_hang_do_not_take_all_the_room_again_and_again(
    admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock
) -> None:
    dead = [f"dead{number}" for number in range(6)]
    notifier.channels = dict.fromkeys((*dead, "audit"), "webhook")

    async def hang() -> None:
        await clock.sleep_until(clock.now() + timedelta(seconds=30))
        raise NotDelivered("no answer")

    notifier.answer = lambda notice: None if notice.target == "audit" else hang()
    for number in range(10):
        await notified.end(admin, f"x{number}", notified.channel(*dead))
    clock.advance(1)
    await notified.end(admin, "y", notified.channel("audit"))
    few = notified.with_settings(admin, notifications_at_once=2, notifications_of_route_at_once=1)
    async with notified.sending(few):
        for _ in range(5):
            await asyncio.sleep(0.05)
            clock.advance(30)
        await notified.until(admin, DELIVERED, 1)


async def test_two_senders_share_the_work(admin: AdminPorts, notifier: FakeNotifier) -> None:
    notifier.answer = lambda notice: asyncio.sleep(0.001)
    for number in range(30):
        await notified.end(admin, f"x{number}", notified.mail("a@x", "b@x"))
    other = replace(admin, deliveries_owed=asyncio.Event())
    async with notified.sending(admin), notified.sending(other):
        await notified.until(admin, DELIVERED, 60)
    assert max(Counter(notice.delivery_id for notice in notifier.sent).values()) == 1


async def test_what_a_stopped_sender_had_claimed_is_sent_after_its_lease(
    admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock
) -> None:
    never = asyncio.Event()
    notifier.answer = lambda notice: never.wait()
    await notified.end(admin, "x", notified.mail("a@x"))
    async with notified.sending(admin):
        await asyncio.wait_for(at_work(notifier, 1), 10)
    notifier.answer = lambda notice: None
    async with notified.sending(admin):
        await asyncio.sleep(0.05)
        assert len(notifier.sent) == 1
        [claimed] = await notified.deliveries(admin)
        again = (await notifications.retry(admin, pb.RetryDeliveryRequest(id=claimed.id))).delivery
        assert again.next_try_at == claimed.next_try_at, "it may still be under way"
        clock.advance(LEASE_S)
        [done] = await notified.until(admin, DELIVERED, 1)
    assert done.tries == 2


async def at_work(notifier: FakeNotifier, count: int) -> None:
    while notifier.at_once < count:
        await asyncio.sleep(0.001)


async def test_what_a_stalled_sender_tells_too_late_is_ignored(
    admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock
) -> None:
    released = asyncio.Event()

    async def stall() -> None:
        await released.wait()
        raise NotDelivered("550", is_permanent=True)

    notifier.answer = lambda notice: stall()
    await notified.end(admin, "x", notified.mail("a@x"))
    async with notified.sending(admin):
        await asyncio.wait_for(at_work(notifier, 1), 10)
        notifier.answer = lambda notice: None
        clock.advance(LEASE_S)
        async with notified.sending(replace(admin, deliveries_owed=asyncio.Event())):
            await notified.until(admin, DELIVERED, 1)
        released.set()
        await asyncio.sleep(0.05)
        [done] = await notified.deliveries(admin)
    assert (done.state, done.tries) == (DELIVERED, 2)


async def test_what_another_admin_was_to_send_is_found(
    admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock
) -> None:
    async with notified.sending(admin):
        await asyncio.sleep(0.02)
        await notified.end(replace(admin, deliveries_owed=asyncio.Event()), "x", notified.mail("a@x"))
        await asyncio.sleep(0.05)
        assert notifier.sent == []
        clock.advance(LOOK_EVERY_S)
        await notified.until(admin, DELIVERED, 1)


async def test_a_channel_that_was_taken_away_does_not_keep_its_messages(
    admin: AdminPorts, notifier: FakeNotifier
) -> None:
    await notified.end(admin, "x", notified.channel("oncall"))
    notifier.channels = {}
    notifier.answer = refused
    async with notified.sending(admin):
        await notified.until(admin, GIVEN_UP, 1)


class AwayStore:
    """A store that can be away."""

    def __init__(self, store: Any) -> None:
        self._store, self.is_away = store, False

    async def read(self, query: Any) -> Any:
        self._check()
        return await self._store.read(query)

    async def write(self, change: Any) -> Any:
        self._check()
        return await self._store.write(change)

    def _check(self) -> None:
        if self.is_away:
            raise LimitReached("the disk is full")


async def test_what_was_sent_is_not_sent_again_because_the_store_was_away(
    admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock
) -> None:
    store = AwayStore(admin.store)
    away = replace(admin, store=store)

    async def taken() -> None:
        store.is_away = True

    notifier.answer = lambda notice: taken()
    await notified.end(admin, "x", notified.mail("a@x"))
    async with notified.sending(away):
        await notified.at_rest(notifier, 1)
        [waiting] = await notified.deliveries(admin)
        assert waiting.state == PENDING
        store.is_away = False
        clock.advance(2)
        await notified.until(admin, DELIVERED, 1)
    assert len(notifier.sent) == 1


async def test_a_fault_of_ours_stops_no_other_message(admin: AdminPorts, notifier: FakeNotifier) -> None:
    def broken(notice: Notice) -> None:
        if notice.target == "bad@x":
            raise RuntimeError("a bug")

    notifier.answer = broken
    await notified.end(admin, "x", notified.mail("bad@x", "a@x", "b@x"))
    async with notified.sending(admin):
        await notified.until(admin, DELIVERED, 2)
        [waiting] = await notified.until(admin, PENDING, 1)
    assert (waiting.target, waiting.last_error) == ("bad@x", "internal error: RuntimeError")


async def test_the_oldest_are_forgotten_unless_they_are_still_to_be_sent(
    admin: AdminPorts, notifier: FakeNotifier
) -> None:
    few = notified.with_settings(admin, notification_rows_max=5)
    notifier.answer = lambda notice: down(notice) if notice.target == "late@x" else None
    await notified.end(few, "first", notified.mail("late@x"))
    for number in range(10):
        await notified.end(few, f"x{number}", notified.mail("a@x"))
    async with notified.sending(few):
        await notified.until(few, DELIVERED, 5)
        await asyncio.sleep(0.1)
        kept = await notified.deliveries(few)
    assert [one.execution.name for one in kept] == ["first", *(f"x{number}" for number in range(5, 10))]


async def test_a_thousand_ends_while_the_mail_server_is_down_for_a_minute(
    admin: AdminPorts, notifier: FakeNotifier, clock: ManualClock
) -> None:
    """None is lost, and only those come twice whose answers were lost."""
    up_at = clock.now() + timedelta(minutes=1)
    taken: Counter[str] = Counter()
    lost_answers: set[str] = set()

    def serve(notice: Notice) -> None:
        if clock.now() < up_at:
            raise NotDelivered("connection refused")
        taken[notice.delivery_id] += 1
        if int(notice.delivery_id[:2], 16) == 0 and notice.delivery_id not in lost_answers:
            lost_answers.add(notice.delivery_id)
            raise NotDelivered("the connection was lost")

    notifier.answer = serve
    async with notified.sending(admin):
        for number in range(1000):
            await notified.end(admin, f"x{number}", notified.mail("a@x"))
            if number % 17 == 0:
                clock.advance(1)
        while await notified.deliveries(admin, state=PENDING, limit=1):
            clock.advance(5)
            await asyncio.sleep(0.01)
        assert len(await notified.deliveries(admin, state=DELIVERED)) == 1000
    assert len(taken) == 1000
    assert {id for id, count in taken.items() if count > 1} == lost_answers
    assert set(taken.values()) <= {1, 2}


async def test_a_thousand_mails_to_a_real_server_that_is_down_for_a_minute(
    admin: AdminPorts, clock: ManualClock
) -> None:
    """Some answers are lost: the server has taken the mail, and the connection ends."""
    server = await MailServer("none", trustme.CA()).start()
    settings = NotificationSettings(
        smtp_host="127.0.0.1", smtp_port=server.port, smtp_tls="none", sender="sailplane@example.org"
    )
    await server.stop()
    telling = replace(admin, notifier=Notifiers(settings, clock))
    up_at, lost = clock.now() + timedelta(minutes=1), set[str]()

    def loses_answer(mail: Taken) -> bool:
        id = str(mail.message["Message-ID"])
        is_lost = id.startswith("<00") and id not in lost
        lost.update({id} if is_lost else ())
        return is_lost

    server.handler.loses_answer = loses_answer
    async with notified.sending(telling):
        for number in range(1000):
            await notified.end(telling, f"x{number}", notified.mail("a@example.org"))
        while await notified.deliveries(telling, state=PENDING, limit=1):
            if clock.now() >= up_at and not server.is_up:
                await server.start()
            clock.advance(5)
            await asyncio.sleep(0.05)
        assert len(await notified.deliveries(telling, state=DELIVERED)) == 1000
    await server.stop()
    taken = Counter(str(mail.message["Message-ID"]) for mail in server.handler.taken)
    assert len(taken) == 1000
    assert {id for id, count in taken.items() if count > 1} == lost
    assert set(taken.values()) <= {1, 2}
