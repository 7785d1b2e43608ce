"""Backfills: what a schedule would have started in a stretch of time that has passed. Kept as rows, told to people."""

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import islice

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_core.errors import InvalidRequest, NotFound, Refused
from sailplane_core.ids import ExecutionId, slot_execution_name
from sailplane_core.phases import ExecutionPhase
from sailplane_core.schedule import fire_times
from sailplane_protos.scheduler import backfill_pb2
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.times import time_of, time_us, timestamp_of
from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, tuple_, update

from . import schedules
from .ports import SchedulerPorts
from .tables import backfill_slots, backfills

PARALLELISM_MAX = 100
REQUEST_ID_CHARS_MAX = 255
PAGE_DEFAULT = 100
PAGE_MAX = 1000


class State(IntEnum):
    """Of a backfill; the numbers are the schema's."""

    RUNNING = backfill_pb2.BACKFILL_RUNNING
    PAUSED = backfill_pb2.BACKFILL_PAUSED
    SUCCEEDED = backfill_pb2.BACKFILL_SUCCEEDED
    FAILED = backfill_pb2.BACKFILL_FAILED
    CANCELLED = backfill_pb2.BACKFILL_CANCELLED


class SlotState(IntEnum):
    """Of one of its slots; the numbers are the schema's."""

    WAITING = backfill_pb2.SLOT_WAITING
    RUNNING = backfill_pb2.SLOT_RUNNING
    SUCCEEDED = backfill_pb2.SLOT_SUCCEEDED
    FAILED = backfill_pb2.SLOT_FAILED
    ALREADY_THERE = backfill_pb2.SLOT_ALREADY_THERE


GOES_ON = (State.RUNNING, State.PAUSED)

_COLUMNS, _SLOTS = backfills.c, backfill_slots.c
_GET = select(backfills).where(_COLUMNS.id == bindparam("of_id"))
_COUNTS = (
    select(_SLOTS.backfill_id, _SLOTS.state, func.count().label("slots"))
    .where(_SLOTS.backfill_id.in_(bindparam("ids", expanding=True)))
    .group_by(_SLOTS.backfill_id, _SLOTS.state)
)
_SET_STATE = update(backfills).where(_COLUMNS.id == bindparam("of_id"))


async def create(ports: SchedulerPorts, request: backfill_pb2.CreateBackfillRequest) -> backfill_pb2.Backfill:
    """Begin one, or find the one that the same request has begun. Raises `NotFound` and `InvalidRequest`."""
    start, end = _range(request)
    row = await schedules.load(ports, request.launch_plan_id)
    # Ten thousand slots take about a second to compute.
    slots = await asyncio.to_thread(_slots, row, start, end, ports.settings.backfill_slots_max)
    now_us = time_us(ports.clock.now())
    plan = schedules.plan_of(row)
    values = {
        "id": _id(request),
        "project": plan.project,
        "domain": plan.domain,
        "name": plan.name,
        "version": plan.version,
        "start_at_us": time_us(start),
        "end_at_us": time_us(end),
        "newest_first": request.newest_first,
        "parallelism": request.parallelism or 1,
        "continue_on_failure": request.continue_on_failure,
        "state": State.RUNNING,
        "created_at_us": now_us,
        "updated_at_us": now_us,
    }

    def change(transaction: Transaction) -> backfill_pb2.Backfill:
        connection = transaction.connection
        if connection.execute(_GET, {"of_id": values["id"]}).one_or_none() is None:
            connection.execute(insert(backfills), values)
            waiting = {"backfill_id": values["id"], "state": SlotState.WAITING, "phase": 0, "reason": ""}
            connection.execute(insert(backfill_slots), [waiting | {"slot_us": time_us(slot)} for slot in slots])
        return _read(connection, values["id"])

    return await ports.store.write(change)


def _range(request: backfill_pb2.CreateBackfillRequest) -> tuple[datetime, datetime]:
    schedules.check_id(request.launch_plan_id)
    if request.parallelism > PARALLELISM_MAX:
        raise InvalidRequest.invalid("parallelism", f"at most {PARALLELISM_MAX}")
    if len(request.request_id) > REQUEST_ID_CHARS_MAX:
        raise InvalidRequest.invalid("request_id", f"at most {REQUEST_ID_CHARS_MAX} characters")
    start, end = (_time(request, name) for name in ("start_at", "end_at"))
    if start >= end:
        raise InvalidRequest.invalid("end_at", "must be after start_at")
    return start, end


def _time(request: backfill_pb2.CreateBackfillRequest, name: str) -> datetime:
    if not request.HasField(name):  # pyright: ignore[reportArgumentType]
        raise InvalidRequest.missing(name)
    message: Timestamp = getattr(request, name)
    return schedules.time_in(message, name)


def _slots(row: RowMapping, start: datetime, end: datetime, slots_max: int) -> Sequence[datetime]:
    clockwork = schedules.clockwork_of(row)
    if clockwork is None:
        raise InvalidRequest.invalid("launch_plan_id", "nothing can be made of its schedule here")
    instant = timedelta(microseconds=1)
    found = fire_times(clockwork.schedule.without_bounds(), start - instant, end - instant)
    slots = list(islice(found, slots_max + 1))
    if not slots:
        raise InvalidRequest.invalid("start_at", "there is no slot from start_at to end_at")
    if len(slots) > slots_max:
        raise InvalidRequest.invalid("end_at", f"there are more than {slots_max} slots from start_at to end_at")
    return slots


def _id(request: backfill_pb2.CreateBackfillRequest) -> str:
    if not request.request_id:
        return f"b{secrets.token_hex(10)}"
    id = request.launch_plan_id
    text = "\0".join((id.project, id.domain, id.name, request.request_id))
    return f"b{hashlib.sha256(text.encode()).hexdigest()[:20]}"


async def get(ports: SchedulerPorts, id: str) -> backfill_pb2.Backfill:
    """One, with how far it has come. Raises `NotFound`."""
    return await ports.store.read(lambda connection: _read(connection, id))


async def list_page(
    ports: SchedulerPorts, request: backfill_pb2.ListBackfillsRequest
) -> backfill_pb2.ListBackfillsResponse:
    """A page, the latest first. Raises `InvalidRequest` for a token that is not ours."""
    query = select(backfills).order_by(_COLUMNS.created_at_us.desc(), _COLUMNS.id.desc())
    for name in ("project", "domain", "name"):
        if value := getattr(request, name):
            query = query.where(_COLUMNS[name] == value)
    if request.token:
        position = schedules.token_position(request.token, int, str)
        query = query.where(tuple_(_COLUMNS.created_at_us, _COLUMNS.id) < position)
    limit = min(request.limit or PAGE_DEFAULT, PAGE_MAX)

    def read(connection: Connection) -> backfill_pb2.ListBackfillsResponse:
        rows = connection.execute(query.limit(limit + 1)).mappings().all()
        shown = rows[:limit]
        counts = _counts(connection, [row["id"] for row in shown])
        is_more = len(rows) > limit
        token = schedules.token_at(shown[-1]["created_at_us"], shown[-1]["id"]) if is_more else ""
        found = [_message(row, counts.get(row["id"], {})) for row in shown]
        return backfill_pb2.ListBackfillsResponse(backfills=found, token=token)

    return await ports.store.read(read)


async def list_slots(
    ports: SchedulerPorts, request: backfill_pb2.ListBackfillSlotsRequest
) -> backfill_pb2.ListBackfillSlotsResponse:
    """A page of a backfill's slots, the earliest first. Raises `NotFound` and `InvalidRequest`."""
    query = select(backfill_slots).where(_SLOTS.backfill_id == request.id).order_by(_SLOTS.slot_us)
    if request.token:
        query = query.where(_SLOTS.slot_us > schedules.token_position(request.token, int)[0])
    limit = min(request.limit or PAGE_DEFAULT, PAGE_MAX)

    def read(connection: Connection) -> backfill_pb2.ListBackfillSlotsResponse:
        backfill = require(connection, request.id)
        rows = connection.execute(query.limit(limit + 1)).mappings().all()
        token = schedules.token_at(rows[limit - 1]["slot_us"]) if len(rows) > limit else ""
        found = [_slot_message(backfill, row) for row in rows[:limit]]
        return backfill_pb2.ListBackfillSlotsResponse(slots=found, token=token)

    return await ports.store.read(read)


async def set_state(ports: SchedulerPorts, id: str, state: State) -> backfill_pb2.Backfill:
    """Pause, resume or cancel it. Raises `NotFound`, and `Refused` if it has ended otherwise."""
    now_us = time_us(ports.clock.now())

    def change(transaction: Transaction) -> backfill_pb2.Backfill:
        row = require(transaction.connection, id)
        if row["state"] != state:
            if row["state"] not in GOES_ON:
                raise Refused(f"backfill {id} has ended: {State(row['state']).name}")
            enter(transaction, id, state, now_us)
        return _read(transaction.connection, id)

    return await ports.store.write(change)


async def cancel(ports: SchedulerPorts, request: backfill_pb2.CancelBackfillRequest) -> backfill_pb2.Backfill:
    """End it, and if asked for what it has started. Raises `NotFound`, and `Refused` if it has ended otherwise."""
    answer = await set_state(ports, request.id, State.CANCELLED)
    if request.terminate_running:
        backfill, running = await ports.store.read(
            lambda connection: (require(connection, request.id), slots_in(connection, request.id, SlotState.RUNNING))
        )
        for slot_us in running:
            with suppress(NotFound, Refused):  # it has ended by itself
                await ports.admin.terminate_execution(
                    execution_of(backfill, slot_us), f"backfill {request.id} is cancelled"
                )
    return answer


def slots_in(
    connection: Connection, id: str, state: SlotState, *, newest_first: bool = False, count_max: int | None = None
) -> Sequence[int]:
    """The slots of a backfill that are in a state, in the order in which they are run."""
    order = _SLOTS.slot_us.desc() if newest_first else _SLOTS.slot_us
    query = select(_SLOTS.slot_us).where(_SLOTS.backfill_id == id, _SLOTS.state == state)
    return connection.execute(query.order_by(order).limit(count_max)).scalars().all()


def forget(transaction: Transaction, before_us: int) -> None:
    """Delete those that ended before."""
    ended = select(_COLUMNS.id).where(_COLUMNS.updated_at_us < before_us, _COLUMNS.state.not_in(GOES_ON))
    transaction.connection.execute(delete(backfill_slots).where(_SLOTS.backfill_id.in_(ended)))
    transaction.connection.execute(delete(backfills).where(_COLUMNS.id.in_(ended)))


def enter(transaction: Transaction, id: str, state: State, now_us: int) -> None:
    """Write its state."""
    transaction.connection.execute(_SET_STATE, {"of_id": id, "state": state, "updated_at_us": now_us})


def require(connection: Connection, id: str) -> RowMapping:
    """Its row. Raises `NotFound`, and `InvalidRequest` where no id is given."""
    if not id:
        raise InvalidRequest.missing("id")
    row = connection.execute(_GET, {"of_id": id}).mappings().one_or_none()
    if row is None:
        raise NotFound("backfill", id)
    return row


def execution_of(backfill: RowMapping, slot_us: int) -> ExecutionId:
    """The execution of a slot: the same that the schedule would start."""
    project, domain, name = backfill["project"], backfill["domain"], backfill["name"]
    return ExecutionId(project, domain, slot_execution_name(project, domain, name, time_of(slot_us)))


def _read(connection: Connection, id: str) -> backfill_pb2.Backfill:
    return _message(require(connection, id), _counts(connection, [id]).get(id, {}))


def _counts(connection: Connection, ids: Sequence[str]) -> dict[str, Counter[int]]:
    counts: dict[str, Counter[int]] = {}
    for row in connection.execute(_COUNTS, {"ids": list(ids)}):
        counts.setdefault(row.backfill_id, Counter())[row.state] = row.slots
    return counts


def _message(row: RowMapping, counts: Mapping[int, int]) -> backfill_pb2.Backfill:
    return backfill_pb2.Backfill(
        id=row["id"],
        launch_plan_id=schedules.id_of(schedules.plan_of(row)),
        start_at=timestamp_of(row["start_at_us"]),
        end_at=timestamp_of(row["end_at_us"]),
        newest_first=row["newest_first"],
        parallelism=row["parallelism"],
        continue_on_failure=row["continue_on_failure"],
        state=State(row["state"]).value,
        created_at=timestamp_of(row["created_at_us"]),
        updated_at=timestamp_of(row["updated_at_us"]),
        **{state.name.lower(): counts.get(state, 0) for state in SlotState},
    )


_HAS_EXECUTION = (SlotState.RUNNING, SlotState.SUCCEEDED, SlotState.FAILED, SlotState.ALREADY_THERE)


def _slot_message(backfill: RowMapping, row: RowMapping) -> backfill_pb2.BackfillSlot:
    message = backfill_pb2.BackfillSlot(
        slot=timestamp_of(row["slot_us"]),
        state=SlotState(row["state"]).value,
        phase=ExecutionPhase(row["phase"]).value,
        reason=row["reason"],
    )
    was_refused = row["state"] == SlotState.FAILED and not row["phase"]
    if row["state"] in _HAS_EXECUTION and not was_refused:
        message.execution_id.CopyFrom(execution_of(backfill, row["slot_us"]).to_message())
    return message
