"""Backfills at work: executions are started as long as fewer run than may, and looked at until they have ended."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from sailplane_core.errors import AlreadyExists, SailplaneError
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.admin import execution_pb2, schedule_pb2
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.times import time_of, time_us
from sqlalchemy import Connection, RowMapping, bindparam, select, update

from . import schedules
from .backfills import SlotState, State, enter, execution_of, require, slots_in
from .launches import FOR_GOOD, request_of
from .leases import Lease
from .ports import SchedulerPorts
from .tables import backfill_slots, backfills

BACKFILLS_MAX = 1000
"""Looked at together, the oldest first. The others wait until some of them have ended."""

_SLOTS = backfill_slots.c
_AT_WORK = (
    select(backfills).where(backfills.c.state == State.RUNNING).order_by(backfills.c.created_at_us).limit(BACKFILLS_MAX)
)
_WATCHED = (
    select(backfills)
    .where(backfills.c.state.in_((State.PAUSED, State.CANCELLED)))
    .where(backfills.c.id.in_(select(_SLOTS.backfill_id).where(_SLOTS.state == SlotState.RUNNING)))
    .limit(BACKFILLS_MAX)
)
_SETTLE = (
    update(backfill_slots)
    .where(_SLOTS.backfill_id == bindparam("of_id"), _SLOTS.slot_us == bindparam("of_slot_us"))
    .values(state=bindparam("new_state"), phase=bindparam("new_phase"), reason=bindparam("why"))
)

log = structlog.get_logger(__name__)


class Backfilling:
    """The loop of the scheduler that leads."""

    def __init__(self, ports: SchedulerPorts, changed: asyncio.Event) -> None:
        self._ports = ports
        self._changed = changed

    async def run(self, lease: Lease) -> None:
        """For ever. Raises `LeaseLost`."""
        while True:
            self._changed.clear()
            try:
                rows = await self._ports.store.read(_at_work)
                for row in rows:
                    await self._advance(lease, row)
            except SailplaneError as error:
                log.warning("backfills_not_advanced", error=str(error))
                rows = []
            await self._wait(is_idle=not rows)

    async def _wait(self, *, is_idle: bool) -> None:
        settings = self._ports.settings
        pause_s = settings.look_every_s if is_idle else settings.backfill_look_every_s
        sleeping = asyncio.ensure_future(
            self._ports.clock.sleep_until(self._ports.clock.now() + timedelta(seconds=pause_s))
        )
        changing = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((sleeping, changing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changing.cancel()

    async def _advance(self, lease: Lease, backfill: RowMapping) -> None:
        running = await self._slots(backfill, SlotState.RUNNING)
        await asyncio.gather(*(self._look(lease, backfill, slot_us) for slot_us in running))
        if backfill["state"] != State.RUNNING:
            return
        running = await self._slots(backfill, SlotState.RUNNING)
        failed = await self._slots(backfill, SlotState.FAILED, count_max=1)
        room = backfill["parallelism"] - len(running)
        waiting = await self._slots(backfill, SlotState.WAITING, count_max=max(1, room))
        if failed and not backfill["continue_on_failure"]:
            waiting = []
        if not running and not waiting:
            await self._end(lease, backfill, State.FAILED if failed else State.SUCCEEDED)
        elif waiting and room > 0:
            begun = await asyncio.gather(*(self._begin(lease, backfill, slot_us) for slot_us in waiting[:room]))
            if not all(begun):
                self._changed.set()  # there is room left

    async def _slots(self, backfill: RowMapping, state: SlotState, count_max: int | None = None) -> Sequence[int]:
        newest_first = backfill["newest_first"]
        return await self._ports.store.read(
            lambda connection: slots_in(
                connection, backfill["id"], state, newest_first=newest_first, count_max=count_max
            )
        )

    async def _look(self, lease: Lease, backfill: RowMapping, slot_us: int) -> None:
        phase = await self._ports.admin.phase(execution_of(backfill, slot_us))
        if phase is None:  # admin was not asked, or did not get to it
            await self._launch(lease, backfill, slot_us)
        elif phase in EXECUTION_TERMINAL:
            state = SlotState.SUCCEEDED if phase is ExecutionPhase.SUCCEEDED else SlotState.FAILED
            await self._settle(lease, backfill, slot_us, state, phase)

    async def _begin(self, lease: Lease, backfill: RowMapping, slot_us: int) -> bool:
        """A slot's turn has come; whether it takes a place.

        That it runs is written down before admin is asked, so that what is there afterwards is known to be its own.
        """
        if await self._ports.admin.phase(execution_of(backfill, slot_us)) is not None:
            await self._settle(lease, backfill, slot_us, SlotState.ALREADY_THERE)
            return False
        await self._settle(lease, backfill, slot_us, SlotState.RUNNING)
        await self._launch(lease, backfill, slot_us)
        return True

    async def _launch(self, lease: Lease, backfill: RowMapping, slot_us: int) -> None:
        if backfill["state"] == State.CANCELLED:
            await self._settle(lease, backfill, slot_us, SlotState.WAITING)
            return
        try:
            await self._ports.admin.create_execution(await self._request(backfill, slot_us))
        except AlreadyExists as error:
            if await self._ports.admin.phase(execution_of(backfill, slot_us)) is None:
                reason = f"is tried again: {error}"  # a limit of the launch plan leaves it out for now
                await self._settle(lease, backfill, slot_us, SlotState.RUNNING, reason=reason)
        except FOR_GOOD as error:
            await self._settle(lease, backfill, slot_us, SlotState.FAILED, reason=str(error))
        except SailplaneError as error:
            await self._settle(lease, backfill, slot_us, SlotState.RUNNING, reason=f"is tried again: {error}")

    async def _request(self, backfill: RowMapping, slot_us: int) -> execution_pb2.ExecutionCreateRequest:
        plan = schedules.plan_of(backfill)
        row = await schedules.load(self._ports, schedules.id_of(plan))
        schedule = schedule_pb2.Schedule.FromString(row["schedule"])
        schedule.ClearField("overlap_policy")
        request = request_of(plan, schedule, time_of(slot_us))
        request.spec.metadata.mode = execution_pb2.ExecutionMetadata.MANUAL
        return request

    async def _settle(
        self,
        lease: Lease,
        backfill: RowMapping,
        slot_us: int,
        state: SlotState,
        phase: ExecutionPhase = ExecutionPhase.UNDEFINED,
        reason: str = "",
    ) -> None:
        values = {"of_id": backfill["id"], "of_slot_us": slot_us, "new_state": state, "new_phase": phase, "why": reason}

        def change(transaction: Transaction) -> None:
            lease.check(transaction)
            transaction.connection.execute(_SETTLE, values)

        await self._ports.store.write(change)

    async def _end(self, lease: Lease, backfill: RowMapping, state: State) -> None:
        now_us = time_us(self._ports.clock.now())

        def change(transaction: Transaction) -> None:
            lease.check(transaction)
            if require(transaction.connection, backfill["id"])["state"] == State.RUNNING:
                enter(transaction, backfill["id"], state, now_us)

        await self._ports.store.write(change)


def _at_work(connection: Connection) -> Sequence[RowMapping]:
    return [*connection.execute(_AT_WORK).mappings(), *connection.execute(_WATCHED).mappings()]
