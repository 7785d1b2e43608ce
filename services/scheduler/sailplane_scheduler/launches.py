"""Slots that are due get their executions: admin is asked until it says yes, or no for good."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sailplane_core.errors import (
    AlreadyExists,
    InvalidRequest,
    LimitReached,
    NotFound,
    Refused,
    SailplaneError,
    Unavailable,
    Unimplemented,
)
from sailplane_core.firing import FireState, Plan, concurrency_policy
from sailplane_core.ids import ExecutionId, slot_execution_name
from sailplane_protos.admin import execution_pb2, schedule_pb2
from sailplane_protos.core import literals_pb2
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.times import time_of, time_us
from sqlalchemy import RowMapping, bindparam, func, select, update

from .ports import SchedulerPorts
from .schedules import id_of, plan_of
from .tables import fires, schedules

FOR_GOOD = (InvalidRequest, NotFound, Refused, Unimplemented)
"""Answers after which asking again is no use."""

_FIRES, _SCHEDULES = fires.c, schedules.c
_PLAN = ("project", "domain", "name", "version")
_TO_START = (
    select(fires, _SCHEDULES.schedule)
    .join(
        schedules,
        (_SCHEDULES.project == _FIRES.project)
        & (_SCHEDULES.domain == _FIRES.domain)
        & (_SCHEDULES.name == _FIRES.name)
        & (_SCHEDULES.version == _FIRES.version),
    )
    .where(_FIRES.state == FireState.DUE, _FIRES.next_try_us <= bindparam("now_us"))
    .order_by(_FIRES.next_try_us, _FIRES.slot_us)
    .limit(bindparam("count_max"))
)
_NEXT_TRY = select(func.min(_FIRES.next_try_us)).where(
    _FIRES.state == FireState.DUE, _FIRES.next_try_us > bindparam("now_us")
)
_SETTLE = (
    update(fires)
    .where(*(_FIRES[name] == bindparam(f"of_{name}") for name in ("project", "domain", "name", "slot_us")))
    .where(_FIRES.state == FireState.DUE)
    .values(
        state=bindparam("new_state"),
        reason=bindparam("why"),
        updated_at_us=bindparam("now_us"),
        tries=_FIRES.tries + 1,
        next_try_us=bindparam("try_us"),
    )
)
_FIRED = (
    update(schedules)
    .where(*(_SCHEDULES[name] == bindparam(f"of_{name}") for name in _PLAN))
    .where((_SCHEDULES.last_fired_at_us.is_(None)) | (_SCHEDULES.last_fired_at_us < bindparam("slot_us")))
    .values(last_fired_at_us=bindparam("slot_us"))
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking came to. `retry_at` is set as long as the slot is DUE."""

    state: FireState
    reason: str = ""
    retry_at: datetime | None = None


class Launcher:
    """Starts what is due, several at one time, each of them until it is settled."""

    def __init__(self, ports: SchedulerPorts) -> None:
        self._ports = ports
        self._under_way: dict[tuple[str, str, str, int], asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Something has become due."""
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                self._changed.clear()
                try:
                    await self._begin()
                    await self._wait()
                except Unavailable as error:
                    log.warning("slots_not_read", error=str(error))
                    await self._ports.clock.sleep_until(self._ports.clock.now() + self._delay(0))
        finally:
            tasks = list(self._under_way.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self) -> None:
        room = self._ports.settings.launches_at_once - len(self._under_way)
        if room <= 0:
            return
        # Those under way are still DUE, and come first.
        asked = {"now_us": time_us(self._ports.clock.now()), "count_max": room + len(self._under_way)}
        rows = await self._ports.store.read(lambda connection: connection.execute(_TO_START, asked).mappings().all())
        for row in rows:
            key = (row["project"], row["domain"], row["name"], row["slot_us"])
            if key not in self._under_way and len(self._under_way) < self._ports.settings.launches_at_once:
                self._under_way[key] = asyncio.create_task(self._start(key, row))

    async def _wait(self) -> None:
        """Until something has become due, one has ended, or one may be tried again."""
        now = {"now_us": time_us(self._ports.clock.now())}
        next_us: int | None = await self._ports.store.read(
            lambda connection: connection.execute(_NEXT_TRY, now).scalar()
        )
        waiting: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._changed.wait())}
        if next_us is not None:
            waiting.add(asyncio.ensure_future(self._ports.clock.sleep_until(time_of(next_us))))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _start(self, key: tuple[str, str, str, int], row: RowMapping) -> None:
        try:
            outcome = await self._ask(row)
            await self._settle(row, outcome)
        except SailplaneError as error:  # the store is away: it is still DUE, and asked for again
            log.warning("slot_not_settled", launch_plan=row["name"], error=str(error))
            await self._ports.clock.sleep_until(self._ports.clock.now() + self._delay(row["tries"]))
        finally:
            self._under_way.pop(key, None)
            self._changed.set()

    async def _ask(self, row: RowMapping) -> Outcome:
        slot = time_of(row["slot_us"])
        request = request_of(plan_of(row), schedule_pb2.Schedule.FromString(row["schedule"]), slot)
        try:
            await self._ports.admin.create_execution(request)
        except AlreadyExists as error:
            return await self._exists_or_overlaps(request, str(error))
        except FOR_GOOD as error:
            log.warning("slot_refused", launch_plan=row["name"], slot=slot.isoformat(), error=str(error))
            return Outcome(FireState.FAILED, str(error))
        except SailplaneError as error:
            return self._later(row, slot, error)
        return Outcome(FireState.FIRED)

    async def _exists_or_overlaps(self, request: execution_pb2.ExecutionCreateRequest, said: str) -> Outcome:
        """The name is taken, by this slot's own execution, or a limit leaves it out."""
        if await self._ports.admin.phase(ExecutionId(request.project, request.domain, request.name)) is not None:
            return Outcome(FireState.FIRED)
        return Outcome(FireState.OVERLAPPED, said)

    def _later(self, row: RowMapping, slot: datetime, error: SailplaneError) -> Outcome:
        now = self._ports.clock.now()
        if now - time_of(row["noted_at_us"]) > timedelta(seconds=self._ports.settings.launch_give_up_s):
            return Outcome(FireState.FAILED, f"given up after {row['tries'] + 1} tries: {error}")
        reason = f"is tried again: {error}"
        if not isinstance(error, LimitReached):
            log.warning("slot_not_started", launch_plan=row["name"], slot=slot.isoformat(), error=str(error))
        return Outcome(FireState.DUE, reason, now + self._delay(row["tries"]))

    def _delay(self, tries: int) -> timedelta:
        settings = self._ports.settings
        return timedelta(seconds=min(settings.launch_retry_s_max, settings.launch_retry_s * 2.0 ** min(tries, 32)))

    async def _settle(self, row: RowMapping, outcome: Outcome) -> None:
        now_us = time_us(self._ports.clock.now())
        plan = {f"of_{name}": row[name] for name in _PLAN}
        settled = {name: plan[name] for name in ("of_project", "of_domain", "of_name")} | {
            "of_slot_us": row["slot_us"],
            "new_state": outcome.state,
            "why": outcome.reason,
            "now_us": now_us,
            "try_us": now_us if outcome.retry_at is None else time_us(outcome.retry_at),
        }

        def change(transaction: Transaction) -> None:
            transaction.connection.execute(_SETTLE, settled)
            if outcome.state is FireState.FIRED:
                transaction.connection.execute(_FIRED, plan | {"slot_us": row["slot_us"]})

        await self._ports.store.write(change)


def request_of(
    plan: Plan, schedule: schedule_pb2.Schedule, slot: datetime, name: str = ""
) -> execution_pb2.ExecutionCreateRequest:
    """The execution of a slot; with a name of its own, one that is started besides."""
    name = name or slot_execution_name(plan.project, plan.domain, plan.name, slot)
    request = execution_pb2.ExecutionCreateRequest(project=plan.project, domain=plan.domain, name=name)
    request.spec.launch_plan.CopyFrom(id_of(plan))
    request.spec.metadata.mode = execution_pb2.ExecutionMetadata.SCHEDULED
    request.spec.metadata.scheduled_at.FromDatetime(slot)
    if policy := concurrency_policy(schedule.overlap_policy):
        request.spec.concurrency_policy.CopyFrom(policy)
    if schedule.kickoff_time_input_arg:
        literal = literals_pb2.Literal()
        literal.scalar.primitive.datetime.FromDatetime(slot)
        request.inputs.literals[schedule.kickoff_time_input_arg].CopyFrom(literal)
    return request
