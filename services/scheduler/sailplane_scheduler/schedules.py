"""The schedules this scheduler knows: learned from admin, told to operators."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.firing import Clockwork, Pause, Plan, due_at
from sailplane_core.ids import EntityId, ResourceType
from sailplane_core.schedule import END_OF_TIME, fire_times
from sailplane_protos.admin import schedule_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.scheduler import policies_pb2, queue_pb2, service_pb2
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.times import time_of, time_us, timestamp_of
from sqlalchemy import Connection, RowMapping, bindparam, insert, select, tuple_, update

from .ports import SchedulerPorts
from .tables import schedules

PAGE_DEFAULT = 100
PAGE_MAX = 1000
NEXT_FIRES_DEFAULT = 5
NEXT_FIRES_MAX = 1000

_BEGINNING_OF_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = schedules.c
_IDENTITY = (_COLUMNS.project, _COLUMNS.domain, _COLUMNS.name, _COLUMNS.version)
_IS_IT = [column == bindparam(f"of_{column.name}") for column in _IDENTITY]
_GET = select(schedules).where(*_IS_IT)
_LATEST = (
    select(schedules)
    .where(*_IS_IT[:3])
    .order_by(_COLUMNS.active.desc(), _COLUMNS.changed_at_us.desc(), _COLUMNS.version)
    .limit(1)
)
_INSERT = insert(schedules)
_UPDATE = update(schedules).where(*_IS_IT)

log = structlog.get_logger(__name__)


async def learn(
    ports: SchedulerPorts, changes: Sequence[queue_pb2.ScheduleChange], decided_until: datetime | None = None
) -> None:
    """Store changes, in order, with one commit. One that is older than what is known is ignored.

    A schedule that is new here is due from its activation on or, where it was known before and forgotten, from
    `decided_until` on.
    """
    until_us = None if decided_until is None else time_us(decided_until)

    def change_all(transaction: Transaction) -> None:
        for change in changes:
            key = identity(change.launch_plan_id)
            known = transaction.connection.execute(_GET, key).mappings().one_or_none()
            values = _learned(known, change, until_us)
            if known is None:
                transaction.connection.execute(_INSERT, values)
            elif values:
                transaction.connection.execute(_UPDATE, key | values)

    await ports.store.write(change_all)


def _learned(known: RowMapping | None, change: queue_pb2.ScheduleChange, until_us: int | None) -> dict[str, Any]:
    """The columns that a change sets; none if it is older than what is known."""
    changed_at_us = change.changed_at.ToMicroseconds()
    if known is not None and known["changed_at_us"] > changed_at_us:
        return {}
    activated_at_us = change.activated_at.ToMicroseconds() if change.HasField("activated_at") else changed_at_us
    decided_us = _decided_until_us(known, change, activated_at_us, until_us)
    values: dict[str, Any] = {
        "schedule": change.schedule.SerializeToString(),
        "active": change.active,
        "changed_at_us": changed_at_us,
        "activated_at_us": activated_at_us,
        "paused_at_us": change.pause.paused_at.ToMicroseconds() if change.HasField("pause") else None,
        "pause_reason": change.pause.reason,
        "decided_until_us": decided_us,
    }
    id = change.launch_plan_id
    values |= {"project": id.project, "domain": id.domain, "name": id.name, "version": id.version}
    values["due_us"] = _due_us(values) if change.active else None
    return values


def _decided_until_us(
    known: RowMapping | None, change: queue_pb2.ScheduleChange, activated_at_us: int, until_us: int | None
) -> int:
    """Slots of a time in which it was inactive or paused are not made up for."""
    if known is None or not known["active"] or known["activated_at_us"] != activated_at_us:
        return max(activated_at_us, until_us or 0)
    if known["paused_at_us"] is not None and not change.HasField("pause"):
        return max(known["decided_until_us"], change.changed_at.ToMicroseconds())
    return known["decided_until_us"]


def _due_us(values: dict[str, Any]) -> int | None:
    clockwork = clockwork_of(values)
    due = None if clockwork is None else due_at(clockwork, clockwork.decided_until)
    return None if due is None else time_us(due)


def plan_of(row: RowMapping | dict[str, Any]) -> Plan:
    """Whose schedule a row is."""
    return Plan(row["project"], row["domain"], row["name"], row["version"])


def clockwork_of(row: RowMapping | dict[str, Any]) -> Clockwork | None:
    """What a row's slots follow from; None if nothing can be made of it, such as of a time zone that is not known here.

    Admin has let it pass, so it is logged.
    """
    paused_us: int | None = row["paused_at_us"]
    try:
        return Clockwork.of(
            plan_of(row),
            schedule_pb2.Schedule.FromString(row["schedule"]),
            time_of(row["activated_at_us"]),
            time_of(row["decided_until_us"]),
            None if paused_us is None else Pause(time_of(paused_us), row["pause_reason"]),
        )
    except ValueError as error:
        log.warning("schedule_not_understood", **_named(row), error=str(error))
        return None


def _named(row: RowMapping | dict[str, Any]) -> dict[str, str]:
    return {name: row[name] for name in ("project", "domain", "name", "version")}


def identity(id: identifier_pb2.Identifier) -> dict[str, str]:
    """The parameters by which a row is found."""
    return {"of_project": id.project, "of_domain": id.domain, "of_name": id.name, "of_version": id.version}


def check_id(id: identifier_pb2.Identifier) -> None:
    """Raises `InvalidRequest` for an id that names no launch plan. A version may be left out."""
    for field in ("project", "domain", "name"):
        if not getattr(id, field):
            raise InvalidRequest.missing(f"launch_plan_id.{field}")


async def load(ports: SchedulerPorts, id: identifier_pb2.Identifier) -> RowMapping:
    """The row of a version or, without one, of the version that is active or was the last to change.

    Raises `NotFound`, and `InvalidRequest` when the id is incomplete.
    """
    check_id(id)
    query = _GET if id.version else _LATEST
    parameters = {name: value for name, value in identity(id).items() if value}
    row = await ports.store.read(lambda connection: connection.execute(query, parameters).mappings().one_or_none())
    if row is None:
        version = f":{id.version}" if id.version else ""
        raise NotFound("schedule", f"{id.project}:{id.domain}:{id.name}{version}")
    return row


async def get(ports: SchedulerPorts, request: service_pb2.GetScheduleRequest) -> service_pb2.Schedule:
    """One launch plan's schedule. Raises `NotFound` and `InvalidRequest`."""
    if request.next_fires > NEXT_FIRES_MAX:
        raise InvalidRequest.invalid("next_fires", f"at most {NEXT_FIRES_MAX}")
    row = await load(ports, request.launch_plan_id)
    return _message(row, ports.clock.now(), request.next_fires or NEXT_FIRES_DEFAULT)


async def list_page(
    ports: SchedulerPorts, request: service_pb2.ListSchedulesRequest
) -> service_pb2.ListSchedulesResponse:
    """A page of schedules, ordered by launch plan. Raises `InvalidRequest` for a token that is not ours."""
    query = select(schedules).order_by(*_IDENTITY)
    if request.project:
        query = query.where(_COLUMNS.project == request.project)
    if request.domain:
        query = query.where(_COLUMNS.domain == request.domain)
    if request.active_only:
        query = query.where(_COLUMNS.active)
    if request.token:
        query = query.where(tuple_(*_IDENTITY) > token_position(request.token, str, str, str, str))
    limit = min(request.limit or PAGE_DEFAULT, PAGE_MAX)

    def read(connection: Connection) -> Sequence[RowMapping]:
        return connection.execute(query.limit(limit + 1)).mappings().all()

    rows = await ports.store.read(read)
    token = token_at(*(rows[limit - 1][column.name] for column in _IDENTITY)) if len(rows) > limit else ""
    now = ports.clock.now()
    return service_pb2.ListSchedulesResponse(schedules=[_message(row, now, 1) for row in rows[:limit]], token=token)


def _message(row: RowMapping, now: datetime, next_fires: int) -> service_pb2.Schedule:
    fired_at_us: int | None = row["last_fired_at_us"]
    message = service_pb2.Schedule(
        launch_plan_id=id_of(plan_of(row)),
        schedule=schedule_pb2.Schedule.FromString(row["schedule"]),
        active=row["active"],
        updated_at=timestamp_of(row["changed_at_us"]),
        last_fired_at=None if fired_at_us is None else timestamp_of(fired_at_us),
    )
    if row["paused_at_us"] is not None:
        pause = policies_pb2.SchedulePause(reason=row["pause_reason"], paused_at=timestamp_of(row["paused_at_us"]))
        message.pause.CopyFrom(pause)
    clockwork = clockwork_of(row) if row["active"] else None
    if clockwork is not None:
        coming = fire_times(clockwork.schedule, max(now, time_of(row["activated_at_us"])), END_OF_TIME)
        message.next_fires.extend(timestamp_of(time_us(slot)) for slot in islice(coming, next_fires))
    return message


def id_of(plan: Plan) -> identifier_pb2.Identifier:
    """The id of a launch plan."""
    return EntityId(ResourceType.LAUNCH_PLAN, plan.project, plan.domain, plan.name, plan.version).to_message()


def time_in(message: Timestamp, field: str) -> datetime:
    """The time of a request. Raises `InvalidRequest` for one that is none, or that no schedule has slots near."""
    try:
        time = message.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest.invalid(field, "it is no time") from error
    if not _BEGINNING_OF_TIME <= time < END_OF_TIME:
        raise InvalidRequest.invalid(field, "must lie after 1970 and before the end of 9999")
    return time


def token_at(*position: str | int) -> str:
    """A page's token: the sort keys of its last row."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def token_position(token: str, *types: type) -> tuple[Any, ...]:
    """The sort keys in a token, of these types. Raises `InvalidRequest` for one that is not ours."""
    try:
        position: Any = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidRequest.invalid("token") from error
    if not isinstance(position, list) or [type(part) for part in cast("list[Any]", position)] != list(types):
        raise InvalidRequest.invalid("token")
    return tuple(cast("list[Any]", position))
