"""What became of slots, told to operators."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sailplane_core.errors import InvalidRequest
from sailplane_core.firing import Clockwork, FireState
from sailplane_core.ids import ExecutionId, slot_execution_name
from sailplane_core.schedule import is_slot, next_fire
from sailplane_protos.scheduler import service_pb2
from sailplane_runtime.store.times import time_of, time_us, timestamp_of
from sqlalchemy import Connection, RowMapping, bindparam, select

from . import schedules
from .ports import SchedulerPorts
from .tables import fires

PAGE_DEFAULT = 100
PAGE_MAX = 1000

_COLUMNS = fires.c
_OF_PLAN = [_COLUMNS[name] == bindparam(f"of_{name}") for name in ("project", "domain", "name")]
_LATEST_FIRST = select(fires).where(*_OF_PLAN).order_by(_COLUMNS.slot_us.desc())
_GET = select(fires).where(*_OF_PLAN, _COLUMNS.slot_us == bindparam("of_slot_us"))
_HAS_EXECUTION = (FireState.DUE, FireState.FIRED)


async def list_page(ports: SchedulerPorts, request: service_pb2.ListFiresRequest) -> service_pb2.ListFiresResponse:
    """A page of the slots of a launch plan, the latest first. Raises `InvalidRequest`."""
    schedules.check_id(request.launch_plan_id)
    query = _LATEST_FIRST
    if request.token:
        query = query.where(_COLUMNS.slot_us < schedules.token_position(request.token, int)[0])
    limit = min(request.limit or PAGE_DEFAULT, PAGE_MAX)
    identity = _identity(request.launch_plan_id)

    def read(connection: Connection) -> Sequence[RowMapping]:
        return connection.execute(query.limit(limit + 1), identity).mappings().all()

    rows = await ports.store.read(read)
    token = schedules.token_at(rows[limit - 1]["slot_us"]) if len(rows) > limit else ""
    return service_pb2.ListFiresResponse(fires=[_message(row) for row in rows[:limit]], token=token)


async def explain(ports: SchedulerPorts, request: service_pb2.ExplainSlotRequest) -> service_pb2.ExplainSlotResponse:
    """Why a schedule did or did not fire at a time. Raises `NotFound` and `InvalidRequest`."""
    row = await schedules.load(ports, request.launch_plan_id)
    if not request.HasField("time"):
        raise InvalidRequest.missing("time")
    time = schedules.time_in(request.time, "time")
    asked = _identity(request.launch_plan_id) | {"of_slot_us": time_us(time)}
    fire = await ports.store.read(lambda connection: connection.execute(_GET, asked).mappings().one_or_none())
    clockwork = schedules.clockwork_of(row)
    answer = service_pb2.ExplainSlotResponse()
    if fire is not None:
        answer.fire.CopyFrom(_message(fire))
        answer.verdict, answer.explanation = service_pb2.WAS_DUE, _story(fire)
    elif clockwork is None:
        answer.verdict = service_pb2.NOT_A_SLOT
        answer.explanation = "nothing can be made of this schedule here, so it is never due"
    else:
        answer.verdict, answer.explanation = _verdict(row, clockwork, time, ports.clock.now())
    if clockwork is not None:
        coming = time if is_slot(clockwork.schedule, time) else next_fire(clockwork.schedule, time)
        if coming is not None:
            answer.next_slot.CopyFrom(timestamp_of(time_us(coming)))
    return answer


def _verdict(
    row: RowMapping, clockwork: Clockwork, time: datetime, now: datetime
) -> tuple["service_pb2.Verdict.ValueType", str]:
    """About a time of which nothing is written down."""
    schedule = clockwork.schedule
    if not is_slot(schedule, time):
        if is_slot(schedule.without_bounds(), time):
            return service_pb2.OUT_OF_BOUNDS, "it is before start_at of the schedule, or not before its end_at"
        return service_pb2.NOT_A_SLOT, "the schedule is not due at this time"
    if time + clockwork.jitter > now:
        if not row["active"]:
            return service_pb2.WILL_NOT_FIRE, "the launch plan is not active"
        if clockwork.pause is not None:
            return service_pb2.WILL_NOT_FIRE, f"the schedule is paused: {clockwork.pause.reason}"
        return service_pb2.WILL_BE_DUE, f"it will be due at {(time + clockwork.jitter).isoformat()}"
    if time <= time_of(row["activated_at_us"]) or not row["active"]:
        return service_pb2.WAS_INACTIVE, f"version {row['version']} of the launch plan was not active at that time"
    if time > clockwork.decided_until:
        return service_pb2.WILL_BE_DUE, "it is due, and about to be looked at"
    return service_pb2.FORGOTTEN, "what became of it is not known any more"


_STORIES = {
    FireState.DUE: "its execution {name} is about to be started",
    FireState.FIRED: "it has the execution {name}",
    FireState.MISSED: "it was left out",
    FireState.OVERLAPPED: "it was left out",
    FireState.PAUSED: "it was left out, the schedule was paused",
    FireState.FAILED: "its execution was refused",
}


def _story(fire: RowMapping) -> str:
    story = _STORIES[FireState(fire["state"])].format(name=_execution(fire).name)
    return f"{story}: {fire['reason']}" if fire["reason"] else story


def _execution(row: RowMapping) -> ExecutionId:
    project, domain, name = row["project"], row["domain"], row["name"]
    return ExecutionId(project, domain, slot_execution_name(project, domain, name, time_of(row["slot_us"])))


def _message(row: RowMapping) -> service_pb2.Fire:
    message = service_pb2.Fire(
        launch_plan_id=schedules.id_of(schedules.plan_of(row)),
        slot=timestamp_of(row["slot_us"]),
        state=FireState(row["state"]).value,
        reason=row["reason"],
        noted_at=timestamp_of(row["noted_at_us"]),
        updated_at=timestamp_of(row["updated_at_us"]),
        tries=row["tries"],
    )
    if row["state"] in _HAS_EXECUTION:
        message.execution_id.CopyFrom(_execution(row).to_message())
    return message


def _identity(id: Any) -> dict[str, str]:
    return {name: value for name, value in schedules.identity(id).items() if name != "of_version"}
