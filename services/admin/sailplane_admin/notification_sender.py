"""Sends the messages that executions owe, each until somebody has taken it or it is given up.

A message is claimed before it is sent, so that of several admins one sends it: its row says until when. Who does not
come back by then has lost it, and what it came to afterwards is ignored. Messages that go one way (all mail, or what
goes through one channel) fail together, so each way has a limit of its own, and a dead one holds up no other.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sailplane_core import backoff
from sailplane_core.errors import SailplaneError
from sailplane_core.notifications import Kind, NotDelivered, Notice, route_of
from sailplane_protos.notification import service_pb2 as pb
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, Row, bindparam, delete, func, select, text, update

from . import tables
from .notifications import state_name
from .ports import AdminPorts
from .tables.notifications import PENDING, REASON_CHARS_MAX

LOOK_EVERY_S = 60.0
"""Between two looks for what another admin was to send. What this one recorded is sent at once."""
LEASE_S = 120.0
"""Longer than any try may take (`Notifier.send`)."""
STORE_RETRY_S = 1.0
"""Between two tries to write down what has become of a message."""
ROWS_DELETED_AT_ONCE = 1_000

_DELIVERIES = tables.notification_deliveries.c
_OF_ROUTE = (text(PENDING), _DELIVERIES.route == bindparam("of_route"))
_ROUTES = select(_DELIVERIES.route).where(text(PENDING)).distinct()
_NEXT = select(func.min(_DELIVERIES.next_try_at_us)).where(*_OF_ROUTE)
_DUE = (
    select(tables.notification_deliveries)
    .where(*_OF_ROUTE, _DELIVERIES.next_try_at_us <= bindparam("now_us"))
    .order_by(_DELIVERIES.next_try_at_us)
    .limit(bindparam("rows_max"))
    .with_for_update(skip_locked=True)
)
_CLAIM = (
    update(tables.notification_deliveries)
    .where(_DELIVERIES.id == bindparam("row_id"))
    .values(tries=_DELIVERIES.tries + 1, leased_until_us=bindparam("until_us"), next_try_at_us=bindparam("until_us"))
)
_SETTLE = (
    update(tables.notification_deliveries)
    .where(_DELIVERIES.id == bindparam("row_id"), _DELIVERIES.tries == bindparam("of_try"), text(PENDING))
    .values(
        {name: bindparam(name) for name in ("state", "last_error", "delivered_at_us")}
        | {"leased_until_us": 0, "next_try_at_us": bindparam("try_us")}
    )
)
_NEWEST = select(func.max(_DELIVERIES.id))
_TOO_OLD = (
    select(_DELIVERIES.id)
    .where(_DELIVERIES.id <= bindparam("last"), _DELIVERIES.state != state_name(pb.DELIVERY_STATE_PENDING))
    .order_by(_DELIVERIES.id)
    .limit(ROWS_DELETED_AT_ONCE)
)
_DELETE = delete(tables.notification_deliveries).where(_DELIVERIES.id.in_(_TOO_OLD))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a try came to. `retry_at` is set as long as the message is pending."""

    state: "pb.DeliveryState.ValueType"
    reason: str = ""
    retry_at: datetime | None = None


class Sender:
    """Sends what is due, several at one time."""

    def __init__(self, ports: AdminPorts) -> None:
        self._ports = ports
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._of_route: Counter[str] = Counter()
        self._routes: dict[str, None] = {}
        """In turn: the way that was used last comes last, so that ways that hang do not take all the room for ever."""
        self._look_at = ports.clock.now()

    async def run(self) -> None:
        """For ever."""
        clock = self._ports.clock
        try:
            while True:
                self._ports.deliveries_owed.clear()
                try:
                    await self._look()
                    next_at = await self._begin()
                except SailplaneError as error:  # the store is away or full; what is under way goes on
                    log.warning("notifications_not_read", reason=str(error))
                    next_at = clock.now() + timedelta(seconds=STORE_RETRY_S)
                await self._wait(min(next_at or self._look_at, self._look_at))
        finally:
            tasks = list(self._under_way.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Now and then: which ways are there, those of channels that are no longer configured included?"""
        now = self._ports.clock.now()
        if now < self._look_at:
            return
        found = await self._ports.store.read(lambda connection: connection.execute(_ROUTES).scalars().all())
        there = {route_of(Kind.EMAIL, ""), *found}
        there |= {route_of(Kind.CHANNEL, name) for name in self._ports.notifier.channels}
        known = [route for route in self._routes if route in there]
        self._routes = dict.fromkeys([*sorted(there - self._routes.keys()), *known])
        self._look_at = now + timedelta(seconds=LOOK_EVERY_S)

    async def _begin(self) -> datetime | None:
        """Claim and send, until nothing is due or all is busy. When to begin again, unless something ends before."""
        while free := self._free():
            now_us = tables.time_us(self._ports.clock.now())
            times_us = await self._ports.store.read(lambda connection, free=free: _next_times(connection, free))
            due = {route: free[route] for route, time_us in times_us.items() if time_us <= now_us}
            if not due:
                return tables.time_of(min(times_us.values())) if times_us else None
            claimed = await self._claim(due)
            for row in claimed:
                self._of_route[row.route] += 1
                self._routes[row.route] = self._routes.pop(row.route)
                self._under_way[row.id] = asyncio.create_task(self._deliver(row))
            if not claimed:  # another admin was faster
                return self._ports.clock.now() + timedelta(seconds=STORE_RETRY_S)
        return None

    def _free(self) -> dict[str, int]:
        """The ways by which more can be sent now, and how much."""
        settings = self._ports.settings
        room = settings.notifications_at_once - len(self._under_way)
        free = {route: settings.notifications_of_route_at_once - self._of_route[route] for route in self._routes}
        return {route: min(count, room) for route, count in free.items() if min(count, room) > 0}

    async def _claim(self, due: dict[str, int]) -> list[Row[Any]]:
        now = self._ports.clock.now()
        now_us, until_us = tables.time_us(now), tables.time_us(now + timedelta(seconds=LEASE_S))
        room = self._ports.settings.notifications_at_once - len(self._under_way)

        def change(transaction: Transaction) -> list[Row[Any]]:
            connection = transaction.connection
            taken: list[Row[Any]] = []
            for route, count in due.items():
                asked = {"of_route": route, "now_us": now_us, "rows_max": min(count, room - len(taken))}
                taken += connection.execute(_DUE, asked).all()
            if taken:
                connection.execute(_CLAIM, [{"row_id": row.id, "until_us": until_us} for row in taken])
            return taken

        return await self._ports.store.write(change)

    async def _wait(self, until: datetime) -> None:
        """Until then, or something is owed, or a try has ended."""
        waiting: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._ports.deliveries_owed.wait()),
            asyncio.ensure_future(self._ports.clock.sleep_until(until)),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _deliver(self, row: Row[Any]) -> None:
        lease_ends = self._ports.clock.now() + timedelta(seconds=LEASE_S)
        try:
            outcome = await self._try(row)
            await self._settle(row, outcome, lease_ends)
        except SailplaneError as error:  # the store is away: its lease lapses, and it is sent again
            log.warning("notification_not_settled", delivery=row.delivery_id, reason=str(error))
        finally:
            del self._under_way[row.id]
            self._of_route[row.route] -= 1
            self._ports.deliveries_owed.set()

    async def _try(self, row: Row[Any]) -> Outcome:
        try:
            await self._ports.notifier.send(_notice(row))
        except NotDelivered as error:
            return self._failed(row, error)
        except Exception as error:  # a fault of ours must not make it come again for ever
            log.exception("notification_broken", delivery=row.delivery_id)
            return self._failed(row, NotDelivered(f"internal error: {type(error).__name__}"))
        return Outcome(pb.DELIVERY_STATE_DELIVERED)

    def _failed(self, row: Row[Any], error: NotDelivered) -> Outcome:
        settings, now = self._ports.settings, self._ports.clock.now()
        reason, tries = error.reason[:REASON_CHARS_MAX], row.tries + 1
        give_up_at = tables.time_of(row.tried_since_us) + timedelta(seconds=settings.notification_give_up_s)
        if error.is_permanent or now >= give_up_at:
            log.warning("notification_given_up", delivery=row.delivery_id, route=row.route, tries=tries, reason=reason)
            return Outcome(pb.DELIVERY_STATE_GIVEN_UP, reason)
        pause = backoff.pause(settings.notification_retry_s, settings.notification_retry_s_max, row.delivery_id, tries)
        if error.retry_after_s is not None:
            pause = max(pause, timedelta(seconds=error.retry_after_s))
        log.info("notification_not_delivered", delivery=row.delivery_id, route=row.route, tries=tries, reason=reason)
        return Outcome(pb.DELIVERY_STATE_PENDING, reason, min(now + pause, give_up_at))

    async def _settle(self, row: Row[Any], outcome: Outcome, lease_ends: datetime) -> None:
        """Write down what a try came to; while the store is away, as long as the message is ours."""
        clock = self._ports.clock
        while True:
            try:
                await self._ports.store.write(lambda transaction: self._write(transaction, row, outcome))
                return
            except SailplaneError as error:
                if clock.now() >= lease_ends:
                    raise
                log.warning("notification_waits_for_the_store", delivery=row.delivery_id, reason=str(error))
            await clock.sleep_until(clock.now() + timedelta(seconds=STORE_RETRY_S))

    def _write(self, transaction: Transaction, row: Row[Any], outcome: Outcome) -> None:
        now_us = tables.time_us(self._ports.clock.now())
        settled = {
            "row_id": row.id,
            "of_try": row.tries + 1,
            "state": state_name(outcome.state),
            "last_error": outcome.reason,
            "delivered_at_us": now_us if outcome.state == pb.DELIVERY_STATE_DELIVERED else None,
            "try_us": now_us if outcome.retry_at is None else tables.time_us(outcome.retry_at),
        }
        transaction.connection.execute(_SETTLE, settled)
        newest: int = transaction.connection.execute(_NEWEST).scalar_one()
        transaction.connection.execute(_DELETE, {"last": newest - self._ports.settings.notification_rows_max})


def _next_times(connection: Connection, routes: Iterable[str]) -> dict[str, int]:
    """When the next message of each way may be tried, of those that have any."""
    found = {route: connection.execute(_NEXT, {"of_route": route}).scalar() for route in routes}
    return {route: time_us for route, time_us in found.items() if time_us is not None}


def _notice(row: Row[Any]) -> Notice:
    values = {
        "project": row.execution_project,
        "domain": row.execution_domain,
        "name": row.execution_name,
        "phase": row.phase,
        "error": row.error,
    }
    columns = row._mapping
    for entity in ("workflow", "launch_plan"):
        values |= {f"{entity}.{part}": columns[f"{entity}_{part}"] for part in ("project", "domain", "name", "version")}
    return Notice(row.delivery_id, Kind(row.kind), row.target, row.template, tables.time_of(row.ended_at_us), values)
