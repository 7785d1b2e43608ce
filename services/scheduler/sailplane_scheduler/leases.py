"""Who leads: of several schedulers on one store, one decides and starts executions, and the others wait to take over.

The lease is a row with a fence, a number that grows whenever it is taken. Whatever a leader decides is written in a
transaction that finds its own fence in the row. So one that has slept through its lease writes nothing, however sure it
is of itself; what it may still ask of admin has been decided before, and its name makes it happen once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sailplane_core.errors import Unavailable
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.times import time_us
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from .ports import SchedulerPorts
from .tables import leases

NAME = "scheduler"
RENEWALS_PER_TTL = 3

_ROW = select(leases).where(leases.c.name == NAME).with_for_update()

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Another scheduler leads. Nobody outside hears of it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Leadership, as long as nobody else takes it."""

    holder: str
    fence: int

    def check(self, transaction: Transaction) -> None:
        """To be asked in every transaction that decides. Raises `LeaseLost`."""
        row = transaction.connection.execute(_ROW).one_or_none()
        if row is None or (row.holder, row.fence) != (self.holder, self.fence):
            raise LeaseLost("the scheduler's lease")


async def take(ports: SchedulerPorts) -> Lease | None:
    """The lease if it is free, has expired, or was this holder's before; None if somebody else has it."""
    now = ports.clock.now()

    def change(transaction: Transaction) -> Lease | None:
        connection = transaction.connection
        row = connection.execute(_ROW).one_or_none()
        values = {"holder": ports.holder, "expires_at_us": time_us(now + _ttl(ports))}
        if row is None:
            connection.execute(insert(leases).values(name=NAME, fence=1, **values))
            return Lease(ports.holder, 1)
        if row.holder != ports.holder and row.expires_at_us > time_us(now):
            return None
        connection.execute(update(leases).where(leases.c.name == NAME).values(fence=row.fence + 1, **values))
        return Lease(ports.holder, row.fence + 1)

    try:
        return await ports.store.write(change)
    except IntegrityError:  # two were the first at the same time
        return None


async def renew(ports: SchedulerPorts, lease: Lease) -> None:
    """Say that its holder is alive. Raises `LeaseLost`."""
    expires_at_us = time_us(ports.clock.now() + _ttl(ports))

    def change(transaction: Transaction) -> None:
        lease.check(transaction)
        transaction.connection.execute(update(leases).where(leases.c.name == NAME).values(expires_at_us=expires_at_us))

    await ports.store.write(change)


async def give_up(ports: SchedulerPorts, lease: Lease) -> None:
    """Let another scheduler lead at once."""

    def change(transaction: Transaction) -> None:
        lease.check(transaction)
        transaction.connection.execute(update(leases).where(leases.c.name == NAME).values(expires_at_us=0))

    await ports.store.write(change)


async def lead(ports: SchedulerPorts, work: Callable[[Lease], Awaitable[None]]) -> None:
    """Wait for the lease, do the work while it is held, and return when it is lost."""
    while (lease := await take(ports)) is None:
        await _pause(ports)
    log.info("scheduler_leads", holder=lease.holder, fence=lease.fence)
    working = asyncio.ensure_future(work(lease))
    renewing = asyncio.ensure_future(_keep(ports, lease))
    try:
        await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, renewing):
            task.cancel()
        ended = await asyncio.gather(working, renewing, return_exceptions=True)
    for problem in ended:
        if isinstance(problem, LeaseLost):
            log.warning("scheduler_lease_lost", holder=lease.holder, fence=lease.fence)
        elif isinstance(problem, Exception):
            raise problem


async def _keep(ports: SchedulerPorts, lease: Lease) -> None:
    while True:
        await _pause(ports)
        try:
            await renew(ports, lease)
        except Unavailable as error:  # what was decided needs the same store, so there is no hurry
            log.warning("scheduler_lease_not_renewed", error=str(error))


async def _pause(ports: SchedulerPorts) -> None:
    await ports.clock.sleep_until(ports.clock.now() + _ttl(ports) / RENEWALS_PER_TTL)


def _ttl(ports: SchedulerPorts) -> timedelta:
    return timedelta(seconds=ports.settings.lease_ttl_s)
