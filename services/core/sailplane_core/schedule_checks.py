"""What is wrong with the schedule of a launch plan that is to be registered."""

from datetime import UTC, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_protos.admin import schedule_pb2
from sailplane_protos.scheduler import policies_pb2

from .cron import Cron
from .durations import timedelta_of
from .schedule import expression_of, fire_times, rule_of, schedule_of
from .time_zones import check_time_zone

JITTER_MAX = timedelta(days=1)


def problems(schedule: schedule_pb2.Schedule) -> list[str]:
    """Everything that is wrong, each with the field it is about."""
    found = _rule_problems(schedule)
    rule = None if found else rule_of(schedule)
    if schedule.time_zone:
        found += _zone_problems(schedule, rule if isinstance(rule, Cron) else None)
    found += _catch_up_problems(schedule.catch_up)
    if schedule.overlap_policy not in policies_pb2.OverlapPolicy.values():
        found.append(f"invalid value for schedule.overlap_policy: {schedule.overlap_policy} is none")
    if schedule.HasField("jitter") and not timedelta() <= timedelta_of(schedule.jitter) <= JITTER_MAX:
        found.append("invalid value for schedule.jitter: must be from 0 to 1 day")
    found += _bound_problems(schedule)
    return found or _emptiness(schedule)


def _rule_problems(schedule: schedule_pb2.Schedule) -> list[str]:
    kind = schedule.WhichOneof("ScheduleExpression")
    if kind is None:
        return ["missing schedule expression: one of cron_schedule and rate is needed"]
    if kind == "rate" and schedule.rate.value < 1:
        return ["invalid value for schedule.rate.value: must be at least 1"]
    if kind == "rate" and schedule.rate.unit not in schedule_pb2.FixedRateUnit.values():
        return [f"invalid value for schedule.rate.unit: {schedule.rate.unit} is none"]
    try:
        rule_of(schedule)
    except ValueError as error:
        if kind == "rate":
            return [f"invalid value for schedule.rate: {error}"]
        text = expression_of(schedule)[:100]
        return [f"invalid value for schedule: {text!r} is not a cron expression ({error})"]
    return []


def _zone_problems(schedule: schedule_pb2.Schedule, rule: Cron | None) -> list[str]:
    if rule is None and schedule.WhichOneof("ScheduleExpression") == "rate":
        return ["invalid value for schedule.time_zone: a fixed rate has none"]
    if rule is not None and rule.time_zone:
        return ["invalid value for schedule.time_zone: the cron expression names one, too"]
    try:
        check_time_zone(schedule.time_zone)
    except ValueError as error:
        return [f"invalid value for schedule.time_zone: {error}"]
    return []


def _catch_up_problems(catch_up: policies_pb2.CatchUp) -> list[str]:
    if catch_up.policy not in policies_pb2.CatchUpPolicy.values():
        return [f"invalid value for schedule.catch_up.policy: {catch_up.policy} is none"]
    if catch_up.policy == policies_pb2.CATCH_UP_WINDOW:
        if timedelta_of(catch_up.window) <= timedelta():
            return ["invalid value for schedule.catch_up.window: must be longer than 0"]
    elif catch_up.HasField("window"):
        return ["invalid value for schedule.catch_up.window: only CATCH_UP_WINDOW has one"]
    return []


def _bound_problems(schedule: schedule_pb2.Schedule) -> list[str]:
    found: list[str] = []
    for name in ("start_at", "end_at"):
        moment: Timestamp = getattr(schedule, name)
        try:
            moment.ToDatetime(UTC)
        except (ValueError, OverflowError):
            found.append(f"invalid value for schedule.{name}: it is no time")
    return found


def _emptiness(schedule: schedule_pb2.Schedule) -> list[str]:
    """Bounds between which a cron expression has no time. Those of a fixed rate depend on the activation."""
    if not (schedule.HasField("start_at") and schedule.HasField("end_at")):
        return []
    start, end = schedule.start_at.ToDatetime(UTC), schedule.end_at.ToDatetime(UTC)
    if start >= end:
        return ["invalid value for schedule.end_at: must be after start_at"]
    if schedule.WhichOneof("ScheduleExpression") == "rate":
        return []
    found = schedule_of(schedule, start)
    if next(fire_times(found, start - timedelta(microseconds=1), end), None) is None:
        return ["invalid value for schedule: it is never due between start_at and end_at"]
    return []
