"""When a schedule fires. The slots of a schedule are the instants at which it is due, whole seconds, in UTC.

cron         the minutes that match by the wall clock of its time zone. A time that the clock skips, because it is
             set forward, is the moment at which it is set; several of them are one slot. A time that the clock
             shows twice, because it is set back, is the first of the two.
fixed rate   the time of activation and then again and again after the interval, the activation itself left out
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sailplane_protos.admin import schedule_pb2

from .cron import Cron, Every, every, parse_cron
from .time_zones import first_instant, time_zone

_UNITS = {
    schedule_pb2.MINUTE: timedelta(minutes=1),
    schedule_pb2.HOUR: timedelta(hours=1),
    schedule_pb2.DAY: timedelta(days=1),
}
_RATE_MAX = 10**8
"""More of any unit is longer than every interval may be, and fewer than a timedelta can hold."""
END_OF_TIME = datetime(9999, 12, 30, tzinfo=UTC)
"""Later than every slot, and a wall clock can show it in every zone."""
_YEARS_AHEAD_MAX = 50
"""29 February on a certain weekday comes after 40 years at most."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a schedule's slots follow from. `anchor` is the activation, from which a fixed rate counts.

    There are no slots before `start_at` and none from `end_at` on.
    """

    rule: Cron | Every
    zone: ZoneInfo
    anchor: datetime
    start_at: datetime | None = None
    end_at: datetime | None = None

    def without_bounds(self) -> "Schedule":
        """The same, from the beginning to the end of time."""
        return replace(self, start_at=None, end_at=None)


def expression_of(schedule: schedule_pb2.Schedule) -> str:
    """The cron text of a schedule, from the present field or the deprecated one; "" for another kind of schedule."""
    kind = schedule.WhichOneof("ScheduleExpression")
    if kind == "cron_schedule":
        return schedule.cron_schedule.schedule
    return schedule.cron_expression if kind == "cron_expression" else ""  # pyright: ignore[reportDeprecated]


def rule_of(schedule: schedule_pb2.Schedule) -> Cron | Every:
    """What a message says of when. Raises ValueError for what nothing can be made of."""
    if schedule.WhichOneof("ScheduleExpression") != "rate":
        return parse_cron(expression_of(schedule))
    if schedule.rate.unit not in _UNITS:
        raise ValueError(f"there is no unit {schedule.rate.unit}")
    return every(min(schedule.rate.value, _RATE_MAX) * _UNITS[schedule.rate.unit])


def schedule_of(schedule: schedule_pb2.Schedule, activated_at: datetime) -> Schedule:
    """The schedule of a message, of a launch plan that was activated then. Raises ValueError."""
    rule = rule_of(schedule)
    zone = (rule.time_zone if isinstance(rule, Cron) else "") or schedule.time_zone or "UTC"
    return Schedule(
        rule,
        time_zone(zone),
        activated_at.replace(microsecond=0),
        schedule.start_at.ToDatetime(UTC) if schedule.HasField("start_at") else None,
        schedule.end_at.ToDatetime(UTC) if schedule.HasField("end_at") else None,
    )


def fire_times(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """The slots later than `after` and not later than `until`, ascending. Lazy: as many are computed as are taken."""
    if schedule.start_at is not None:
        after = max(after, schedule.start_at - timedelta(microseconds=1))
    if schedule.end_at is not None:
        until = min(until, schedule.end_at - timedelta(microseconds=1))
    if after >= until:
        return iter(())
    if isinstance(schedule.rule, Every):
        return _repeated(schedule.anchor, schedule.rule.interval, after, until)
    return _matching(schedule.rule, schedule.zone, after, until)


def next_fire(schedule: Schedule, after: datetime) -> datetime | None:
    """The first slot later than `after`; None when there will be none any more."""
    return next(fire_times(schedule, after, END_OF_TIME), None)


def is_slot(schedule: Schedule, instant: datetime) -> bool:
    """Whether the schedule fires at exactly this moment."""
    return next(fire_times(schedule, instant - timedelta(microseconds=1), instant), None) is not None


def _repeated(anchor: datetime, interval: timedelta, after: datetime, until: datetime) -> Iterator[datetime]:
    count = max(1, (after - anchor) // interval + 1)
    while (slot := anchor + count * interval) <= until:
        yield slot
        count += 1


def _matching(rule: Cron, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    # Instants grow with the wall times that they are the first of. So it is enough to begin at the wall time of
    # `after`: whatever the clock showed before it is not later.
    last = after
    for wall in _wall_times(rule, after.astimezone(zone).replace(tzinfo=None)):
        slot = first_instant(wall, zone)
        if slot > until:
            return
        if slot > last:
            last = slot
            yield slot


def _wall_times(rule: Cron, start: datetime) -> Iterator[datetime]:
    """The naive times from the minute of `start` on that match."""
    from croniter import CroniterBadDateError, croniter  # not needed before a schedule is due, and slow to import

    before = start.replace(second=0, microsecond=0) - timedelta(seconds=1)
    found: Any = croniter(_canonical(rule), before, ret_type=datetime, max_years_between_matches=_YEARS_AHEAD_MAX)
    while True:
        try:
            yield found.get_next()
        except (CroniterBadDateError, OverflowError, ValueError):  # the calendar ends in the year 9999
            return


def _canonical(rule: Cron) -> str:
    """The rule with every value written out, so that croniter has nothing to read that robfig/cron reads otherwise."""
    days, weekdays = rule.days, rule.weekdays
    if rule.is_either_day and (len(days or ()) == 31 or len(weekdays or ()) == 7):
        days = weekdays = None
    parts = (rule.minutes, rule.hours, days, rule.months, weekdays)
    return " ".join("*" if part is None else ",".join(map(str, sorted(part))) for part in parts)
