"""What people do with a schedule by hand: start an execution now, pause it, and let it go on."""

import secrets

from sailplane_core.errors import AlreadyExists, InvalidRequest
from sailplane_core.ids import ExecutionId, triggered_execution_name
from sailplane_protos.admin import execution_pb2, launch_plan_pb2, schedule_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.scheduler import service_pb2

from . import schedules
from .launches import request_of
from .ports import SchedulerPorts

REASON_CHARS_MAX = 1000
REQUEST_ID_CHARS_MAX = 255


async def trigger(
    ports: SchedulerPorts, request: service_pb2.TriggerScheduleRequest
) -> service_pb2.TriggerScheduleResponse:
    """Start an execution now, as if the schedule were due.

    Raises `NotFound`, `InvalidRequest`, and `AlreadyExists` when a policy leaves it out.
    """
    if len(request.request_id) > REQUEST_ID_CHARS_MAX:
        raise InvalidRequest.invalid("request_id", f"at most {REQUEST_ID_CHARS_MAX} characters")
    row = await schedules.load(ports, request.launch_plan_id)
    plan = schedules.plan_of(row)
    chosen = request.request_id or secrets.token_hex(16)
    name = triggered_execution_name(plan.project, plan.domain, plan.name, chosen)
    now = ports.clock.now().replace(microsecond=0)
    asked = request_of(plan, schedule_pb2.Schedule.FromString(row["schedule"]), now, name)
    asked.spec.metadata.mode = execution_pb2.ExecutionMetadata.MANUAL
    id = ExecutionId(plan.project, plan.domain, name)
    try:
        await ports.admin.create_execution(asked)
    except AlreadyExists:
        if await ports.admin.phase(id) is None:
            raise
    return service_pb2.TriggerScheduleResponse(execution_id=id.to_message())


async def pause(ports: SchedulerPorts, request: service_pb2.PauseScheduleRequest) -> None:
    """Have admin pause the active version's schedule. Raises `NotFound`, `InvalidRequest` and `Refused`."""
    if not request.reason.strip():
        raise InvalidRequest.missing("reason")
    if len(request.reason) > REASON_CHARS_MAX:
        raise InvalidRequest.invalid("reason", f"at most {REASON_CHARS_MAX} characters")
    update = launch_plan_pb2.LaunchPlanUpdateRequest(id=await _active(ports, request.launch_plan_id))
    update.pause_schedule.reason = request.reason
    await ports.admin.update_launch_plan(update)


async def resume(ports: SchedulerPorts, request: service_pb2.ResumeScheduleRequest) -> None:
    """Have admin let it go on. Raises the same."""
    update = launch_plan_pb2.LaunchPlanUpdateRequest(id=await _active(ports, request.launch_plan_id))
    update.resume_schedule.SetInParent()
    await ports.admin.update_launch_plan(update)


async def _active(ports: SchedulerPorts, id: identifier_pb2.Identifier) -> identifier_pb2.Identifier:
    schedules.check_id(id)
    return (await ports.admin.active_launch_plan(id.project, id.domain, id.name)).id
