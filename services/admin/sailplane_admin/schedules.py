"""What the scheduler is told of launch plans."""

import hashlib

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_core.ids import EntityId
from sailplane_core.launch_plan import schedule_change
from sailplane_core.ports import Message
from sailplane_protos.admin import launch_plan_pb2

TOPIC = "schedules"

NONE = "NONE"
"""The type of a launch plan without a schedule."""
_TYPES = {None: NONE, "rate": "RATE", "cron_expression": "CRON", "cron_schedule": "CRON"}


def type_of(plan: launch_plan_pb2.LaunchPlan) -> str:
    """`NONE`, `CRON` or `RATE`."""
    return _TYPES[plan.spec.entity_metadata.schedule.WhichOneof("ScheduleExpression")]


def change_of(plan: launch_plan_pb2.LaunchPlan, changed_at: Timestamp) -> Message:
    """The message that this plan, which has a schedule, is as it is since `changed_at`."""
    id = EntityId.of(plan.id)
    payload = schedule_change(plan, changed_at).SerializeToString(deterministic=True)
    return Message(
        topic=TOPIC,
        # One key for all versions of a name keeps their changes in order. Names can be long, a key cannot.
        key=hashlib.sha256(f"{id.project}/{id.domain}/{id.name}".encode()).hexdigest(),
        id=f"schedule:{hashlib.sha256(payload).hexdigest()}",
        payload=payload,
    )
