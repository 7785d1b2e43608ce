"""The schedules this scheduler knows: learned from admin's queue, told to operators."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, cast

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import schedule_pb2
from sailplane_protos.scheduler import queue_pb2, service_pb2
from sqlalchemy import Connection, RowMapping, select, text, tuple_

from .ports import SchedulerPorts
from .tables import schedules

PAGE_DEFAULT = 100
PAGE_MAX = 1000

_COLUMNS = schedules.c
_IDENTITY = (_COLUMNS.project, _COLUMNS.domain, _COLUMNS.name, _COLUMNS.version)
_STORE = text(
    "INSERT INTO schedules (project, domain, name, version, schedule, active, changed_at_us)"
    " VALUES (:project, :domain, :name, :version, :schedule, :active, :changed_at_us)"
    " ON CONFLICT (project, domain, name, version) DO UPDATE"
    " SET schedule = excluded.schedule, active = excluded.active, changed_at_us = excluded.changed_at_us"
    " WHERE schedules.changed_at_us <= excluded.changed_at_us"
)


async def learn(ports: SchedulerPorts, changes: Sequence[queue_pb2.ScheduleChange]) -> None:
    """Store changes, in order, with one commit. One that is older than what is known is ignored."""
    rows = [
        {
            "project": change.launch_plan_id.project,
            "domain": change.launch_plan_id.domain,
            "name": change.launch_plan_id.name,
            "version": change.launch_plan_id.version,
            "schedule": change.schedule.SerializeToString(),
            "active": change.active,
            "changed_at_us": change.changed_at.ToMicroseconds(),
        }
        for change in changes
    ]
    await ports.store.write(lambda transaction: transaction.connection.execute(_STORE, rows))


async def get(ports: SchedulerPorts, request: service_pb2.GetScheduleRequest) -> service_pb2.Schedule:
    """One launch plan's schedule. Raises `NotFound`, and `InvalidRequest` when the id is incomplete."""
    for field in ("project", "domain", "name", "version"):
        if not getattr(request.launch_plan_id, field):
            raise InvalidRequest.missing(f"launch_plan_id.{field}")
    id = EntityId.of(request.launch_plan_id)
    query = select(schedules).where(tuple_(*_IDENTITY) == (id.project, id.domain, id.name, id.version))
    row = await ports.store.read(lambda connection: connection.execute(query).mappings().one_or_none())
    if row is None:
        raise NotFound("schedule", str(id))
    return _message(row)


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
        query = query.where(tuple_(*_IDENTITY) > _position(request.token))
    limit = min(request.limit or PAGE_DEFAULT, PAGE_MAX)

    def read(connection: Connection) -> Sequence[RowMapping]:
        return connection.execute(query.limit(limit + 1)).mappings().all()

    rows = await ports.store.read(read)
    token = _token(rows[limit - 1]) if len(rows) > limit else ""
    return service_pb2.ListSchedulesResponse(schedules=[_message(row) for row in rows[:limit]], token=token)


def _message(row: RowMapping) -> service_pb2.Schedule:
    """Without the coming fires: they are the clock's to say, and this process has none."""
    id = EntityId(ResourceType.LAUNCH_PLAN, row["project"], row["domain"], row["name"], row["version"])
    fired_at_us: int | None = row["last_fired_at_us"]
    return service_pb2.Schedule(
        launch_plan_id=id.to_message(),
        schedule=schedule_pb2.Schedule.FromString(row["schedule"]),
        active=row["active"],
        updated_at=_timestamp(row["changed_at_us"]),
        last_fired_at=None if fired_at_us is None else _timestamp(fired_at_us),
    )


def _timestamp(time_us: int) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMicroseconds(time_us)
    return timestamp


def _token(row: RowMapping) -> str:
    position = [row["project"], row["domain"], row["name"], row["version"]]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _position(token: str) -> tuple[str, ...]:
    try:
        position: Any = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest.invalid("token") from error
    if not isinstance(position, list) or [type(part) for part in cast("list[Any]", position)] != [str] * 4:
        raise InvalidRequest.invalid("token")
    return tuple(cast("list[str]", position))
