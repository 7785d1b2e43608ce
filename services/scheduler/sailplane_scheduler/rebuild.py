"""What this scheduler should know and does not is learned from admin: after its store was lost, or a message was."""

from datetime import datetime

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_core.errors import InvalidRequest
from sailplane_core.launch_plan import schedule_change
from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.core import identifier_pb2
from sqlalchemy import select

from . import schedules
from .ports import SchedulerPorts
from .tables import schedules as rows

log = structlog.get_logger(__name__)


async def learn_missing(ports: SchedulerPorts) -> int:
    """Learn the active schedules that admin has and this store has not; how many they were.

    Such a one goes on after the slot that it fired for last or, if it has not fired, from now on.
    """
    now = ports.clock.now()
    learned = 0
    async for plan in ports.admin.scheduled_launch_plans():
        if not await _is_known(ports, plan.id):
            last = await _last_slot(ports, plan.id)
            await schedules.learn(ports, [schedule_change(plan, _changed_at(plan.closure))], decided_until=last or now)
            learned += 1
    if learned:
        log.info("schedules_learned_again", schedules=learned)
    return learned


async def _last_slot(ports: SchedulerPorts, id: identifier_pb2.Identifier) -> datetime | None:
    try:
        return await ports.admin.last_slot(id.project, id.domain, id.name)
    except InvalidRequest:  # a name with signs that filters do not take
        return None


async def _is_known(ports: SchedulerPorts, id: identifier_pb2.Identifier) -> bool:
    key = (id.project, id.domain, id.name, id.version)
    query = select(rows.c.version).where(*(column == part for column, part in zip(rows.primary_key, key, strict=True)))
    return await ports.store.read(lambda connection: connection.execute(query).first()) is not None


def _changed_at(closure: launch_plan_pb2.LaunchPlanClosure) -> Timestamp:
    if closure.HasField("schedule_pause"):
        return max(closure.updated_at, closure.schedule_pause.paused_at, key=Timestamp.ToMicroseconds)
    return closure.updated_at
