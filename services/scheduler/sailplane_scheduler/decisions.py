"""What becomes of slots that are due: decided, and written down, before anything is started."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sailplane_core.firing import Decision, FireState, Limits, decide
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.times import time_of, time_us
from sqlalchemy import RowMapping, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from . import backfills
from .leases import Lease
from .ports import SchedulerPorts, SchedulerSettings
from .schedules import clockwork_of
from .tables import fires, schedules

SCHEDULES_AT_ONCE = 100
"""Decided with one commit."""
SLOTS_AT_ONCE = 100
"""Of one schedule, with one commit. Computing a slot takes about 0.1 ms, in which nothing else happens."""
FORGOTTEN_AT_ONCE = 1000

_COLUMNS = schedules.c
_DUE = (
    select(schedules)
    .where(_COLUMNS.due_us <= bindparam("now_us"))
    .order_by(_COLUMNS.due_us)
    .limit(SCHEDULES_AT_ONCE)
    .with_for_update()
)
_NEXT = select(func.min(_COLUMNS.due_us))
_DECIDED = (
    update(schedules)
    .where(*(_COLUMNS[name] == bindparam(f"of_{name}") for name in ("project", "domain", "name", "version")))
    .values(decided_until_us=bindparam("decided_us"), due_us=bindparam("next_us"))
)
_FORGET = delete(fires).where(
    tuple_(*fires.primary_key.columns).in_(
        select(*fires.primary_key.columns)
        .where(fires.c.updated_at_us < bindparam("before_us"), fires.c.state != FireState.DUE)
        .limit(FORGOTTEN_AT_ONCE)
    )
)

log = structlog.get_logger(__name__)


async def decide_due(ports: SchedulerPorts, lease: Lease) -> bool:
    """Decide what is due now, or a part of it; whether there may be more. Raises `LeaseLost`."""
    now = ports.clock.now()
    limits = limits_of(ports.settings)

    def change(transaction: Transaction) -> int:
        lease.check(transaction)
        rows = transaction.connection.execute(_DUE, {"now_us": time_us(now)}).mappings().all()
        for row in rows:
            _write(transaction, row, now, limits)
        return len(rows)

    return await ports.store.write(change) > 0


def limits_of(settings: SchedulerSettings) -> Limits:
    """What the settings allow."""
    return Limits(timedelta(seconds=settings.missed_after_s), SLOTS_AT_ONCE, settings.catch_up_slots_max)


def _write(transaction: Transaction, row: RowMapping, now: datetime, limits: Limits) -> None:
    clockwork = clockwork_of(row)
    decision = Decision((), time_of(row["decided_until_us"]), None)
    if clockwork is not None:
        decision = decide(clockwork, now, limits)
    identity = {name: row[name] for name in ("project", "domain", "name", "version")}
    if decision.forgotten is not None:
        log.warning("slots_passed_over", **identity, until=decision.forgotten.isoformat())
    if decision.noted:
        _insert_fires(transaction, identity, decision, time_us(now))
    values: dict[str, Any] = {f"of_{name}": value for name, value in identity.items()}
    values["decided_us"] = time_us(decision.decided_until)
    values["next_us"] = None if decision.due_at is None else time_us(decision.due_at)
    transaction.connection.execute(_DECIDED, values)


def _insert_fires(transaction: Transaction, identity: dict[str, str], decision: Decision, now_us: int) -> None:
    """A slot that another version has decided already stays as it is."""
    rows: Sequence[dict[str, Any]] = [
        identity
        | {
            "slot_us": time_us(noted.slot),
            "state": noted.state,
            "reason": noted.reason,
            "noted_at_us": now_us,
            "updated_at_us": now_us,
            "tries": 0,
            "next_try_us": now_us,
        }
        for noted in decision.noted
    ]
    connection = transaction.connection
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(fires).on_conflict_do_nothing(), rows)


async def next_due(ports: SchedulerPorts) -> datetime | None:
    """When the next schedule is due; None if none is."""
    due_us: int | None = await ports.store.read(lambda connection: connection.execute(_NEXT).scalar())
    return None if due_us is None else time_of(due_us)


async def forget(ports: SchedulerPorts) -> None:
    """Delete what became of slots long ago, and backfills that have ended as long ago."""
    before = ports.clock.now() - timedelta(seconds=ports.settings.fires_kept_s)
    while await ports.store.write(
        lambda transaction: transaction.connection.execute(_FORGET, {"before_us": time_us(before)}).rowcount
    ):
        pass
    await ports.store.write(lambda transaction: backfills.forget(transaction, time_us(before)))
