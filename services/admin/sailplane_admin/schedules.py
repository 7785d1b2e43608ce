"""What the scheduler is told of launch plans."""

import hashlib

from sailplane_core.ids import EntityId
from sailplane_core.ports import Message
from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.scheduler import queue_pb2

TOPIC = "schedules"

NONE = "NONE"
"""The type of a launch plan without a schedule."""
_TYPES = {None: NONE, "rate": "RATE", "cron_expression": "CRON", "cron_schedule": "CRON"}


def type_of(plan: launch_plan_pb2.LaunchPlan) -> str:
    """`NONE`, `CRON` or `RATE`."""
    return _TYPES[plan.spec.entity_metadata.schedule.WhichOneof("ScheduleExpression")]


def change_of(plan: launch_plan_pb2.LaunchPlan) -> Message:
    """The message that this plan, which has a schedule, is in its state since it was updated last."""
    id = EntityId.of(plan.id)
    change = queue_pb2.ScheduleChange(
        launch_plan_id=plan.id,
        schedule=plan.spec.entity_metadata.schedule,
        active=plan.closure.state == launch_plan_pb2.ACTIVE,
        changed_at=plan.closure.updated_at,
    )
    payload = change.SerializeToString(deterministic=True)
    return Message(
        topic=TOPIC,
        # One key for all versions of a name keeps their changes in order. Names can be long, a key cannot.
        key=hashlib.sha256(f"{id.project}/{id.domain}/{id.name}".encode()).hexdigest(),
        id=f"schedule:{hashlib.sha256(payload).hexdigest()}",
        payload=payload,
    )
