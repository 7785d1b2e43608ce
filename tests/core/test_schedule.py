"""When schedules fire: tables worked out by hand, and a slow oracle that walks through the minutes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sailplane_core.cron import Cron, parse_cron
from sailplane_core.schedule import Schedule, fire_times, is_slot, next_fire, schedule_of
from sailplane_core.time_zones import time_zone
from sailplane_protos.admin import schedule_pb2

MINUTE = timedelta(minutes=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # set by half an hour
    "Asia/Kolkata",  # never set, and not by whole hours from UTC
    "America/Sao_Paulo",  # set at midnight, until 2018
    "Africa/Casablanca",  # set back for Ramadan
    "Pacific/Apia",  # left out 30 December 2011
)


def schedule(text: str, zone: str = "UTC") -> Schedule:
    """A cron schedule."""
    return Schedule(parse_cron(text), time_zone(zone), datetime(2000, 1, 1, tzinfo=UTC))


def at(text: str) -> datetime:
    """An instant, from what is written in the tables."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


TABLES: list[tuple[str, str, str, list[str]]] = [
    ("*/15 9 * * *", "UTC", "2030-01-01 09:14:59",
     ["2030-01-01 09:15", "2030-01-01 09:30", "2030-01-01 09:45", "2030-01-02 09:00"]),
    ("0 0 29 2 *", "UTC", "2030-01-01", ["2032-02-29 00:00", "2036-02-29 00:00"]),
    ("0 0 29 2 *", "UTC", "2096-03-01", ["2104-02-29 00:00"]),
    ("0 12 31 * *", "UTC", "2030-01-31 12:00",
     ["2030-03-31 12:00", "2030-05-31 12:00", "2030-07-31 12:00", "2030-08-31 12:00"]),
    # 1 January 2030 is a Tuesday. The 13th, and every Friday.
    ("0 0 13 * fri", "UTC", "2030-01-01",
     ["2030-01-04 00:00", "2030-01-11 00:00", "2030-01-13 00:00", "2030-01-18 00:00"]),
    # Every day of the week is named beside the first: every day.
    ("0 0 1 * 0-6", "UTC", "2030-01-01", ["2030-01-02 00:00", "2030-01-03 00:00"]),
    ("@weekly", "UTC", "2030-01-01", ["2030-01-06 00:00", "2030-01-13 00:00"]),
    ("@monthly", "UTC", "2030-01-01", ["2030-02-01 00:00", "2030-03-01 00:00"]),
    ("@yearly", "UTC", "2030-01-01", ["2031-01-01 00:00", "2032-01-01 00:00"]),
    ("@daily", "UTC", "2030-01-01", ["2030-01-02 00:00"]),
    ("@hourly", "UTC", "2030-01-01", ["2030-01-01 01:00"]),
    ("0 9 * * *", "Asia/Kolkata", "2030-01-01", ["2030-01-01 03:30", "2030-01-02 03:30"]),
    # Berlin sets its clocks from 2:00 to 3:00 on 31 March 2030, at 1:00 UTC.
    ("30 2 * * *", "Europe/Berlin", "2030-03-29 12:00", ["2030-03-30 01:30", "2030-03-31 01:00", "2030-04-01 00:30"]),
    ("*/20 2,3 * * *", "Europe/Berlin", "2030-03-30 23:00",
     ["2030-03-31 01:00", "2030-03-31 01:20", "2030-03-31 01:40", "2030-04-01 00:00"]),
    # And back from 3:00 to 2:00 on 27 October, at 1:00 UTC: 2:30 is at 0:30 and at 1:30 UTC.
    ("30 2 * * *", "Europe/Berlin", "2030-10-26 12:00", ["2030-10-27 00:30", "2030-10-28 01:30"]),
    ("30 * * * *", "Europe/Berlin", "2030-10-26 23:00", ["2030-10-26 23:30", "2030-10-27 00:30", "2030-10-27 02:30"]),
    # New York: 10 March 2030 at 7:00 UTC forward, 3 November at 6:00 UTC back.
    ("0 2 * * *", "America/New_York", "2030-03-09 12:00", ["2030-03-10 07:00", "2030-03-11 06:00"]),
    ("15 1 * * *", "America/New_York", "2030-11-02 12:00", ["2030-11-03 05:15", "2030-11-04 06:15"]),
    # Lord Howe: 6 October 2030, 2:00 becomes 2:30, at 15:30 UTC of the day before.
    ("10 2 * * *", "Australia/Lord_Howe", "2030-10-04 20:00", ["2030-10-05 15:30", "2030-10-06 15:10"]),
    # São Paulo had no midnight on 4 November 2018: 1:00 came at 3:00 UTC.
    ("0 0 * * *", "America/Sao_Paulo", "2018-11-02 12:00",
     ["2018-11-03 03:00", "2018-11-04 03:00", "2018-11-05 02:00"]),
    # Apia had no 30 December 2011: after the 29th came the 31st, at 10:00 UTC of the 30th.
    ("0 12 * * *", "Pacific/Apia", "2011-12-29 12:00", ["2011-12-29 22:00", "2011-12-30 10:00", "2011-12-30 22:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "zone", "after", "expected"), TABLES)
def test_as_worked_out_by_hand(text: str, zone: str, after: str, expected: list[str]) -> None:
    far = at(after) + timedelta(days=366 * 20)
    assert list(islice(fire_times(schedule(text, zone), at(after), far), len(expected))) == [
        at(one) for one in expected
    ]


def walked(cron: Cron, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    """Every instant at which the wall clock of a zone comes to show, or to pass over, what is asked for. Slowly."""
    seen = (after - timedelta(hours=27)).replace(second=0, microsecond=0)
    shown = {wall(seen, zone)}
    while (seen := seen + MINUTE) <= until:
        now = wall(seen, zone)
        first = now if now in shown else max(shown) + MINUTE
        passed = [first + index * MINUTE for index in range(int((now - first) / MINUTE) + 1)]
        due = [one for one in passed if one not in shown and matches(cron, one)]
        shown.update(passed)
        if due and seen > after:
            yield seen


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def matches(cron: Cron, wall: datetime) -> bool:
    day = cron.days is None or wall.day in cron.days
    weekday = cron.weekdays is None or (wall.weekday() + 1) % 7 in cron.weekdays
    day_fits = day or weekday if cron.is_either_day else day and weekday
    return wall.minute in cron.minutes and wall.hour in cron.hours and wall.month in cron.months and day_fits


def field(lowest: int, highest: int) -> st.SearchStrategy[str]:
    """One field of an expression."""
    number = st.integers(lowest, highest)
    step = st.integers(1, highest - lowest + 1)
    span = st.tuples(number, number).map(lambda two: f"{min(two)}-{max(two)}")
    one = st.one_of(
        st.just("*"),
        number.map(str),
        span,
        step.map("*/{}".format),
        st.tuples(span, step).map(lambda two: "/".join(map(str, two))),
    )
    return st.one_of(st.just("*"), st.lists(one, min_size=1, max_size=3).map(",".join))


EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
CHANGES = [
    at("2030-03-31 01:00"),
    at("2030-10-27 01:00"),
    at("2030-03-10 07:00"),
    at("2030-11-03 06:00"),
    at("2030-04-06 15:00"),
    at("2030-10-05 15:30"),
    at("2018-02-18 02:00"),
    at("2018-11-04 03:00"),
    at("2030-01-06 02:00"),
    at("2030-02-10 02:00"),
    at("2011-12-30 10:00"),
    at("2032-02-29 00:00"),
    at("2030-12-31 23:59"),
]
"""Instants about which something may go wrong."""


@settings(max_examples=300, deadline=None)
@given(
    EXPRESSIONS, st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(-100_000, 20_000), st.integers(0, 90_000)
)
@example("*/30 * * * *", "Europe/Berlin", at("2030-10-27 01:00"), -7200, 20_000)
def test_as_a_walk_through_the_minutes_finds_it(
    text: str, zone: str, change: datetime, offset_s: int, length_s: int
) -> None:
    after = change + timedelta(seconds=offset_s)
    until = after + timedelta(seconds=length_s)
    wanted = schedule(text, zone)
    assert isinstance(wanted.rule, Cron)
    expected = list(walked(wanted.rule, wanted.zone, after, until))
    assert list(fire_times(wanted, after, until)) == expected
    for slot in expected[:3]:
        assert is_slot(wanted, slot)
        assert not is_slot(wanted, slot + timedelta(seconds=1))


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, st.sampled_from(ZONES), st.integers(-366, 366), st.data())
def test_two_stretches_of_time_have_the_slots_of_both_together(
    text: str, zone: str, day: int, data: st.DataObject
) -> None:
    after = at("2030-01-01 00:30") + timedelta(days=day)
    until = after + timedelta(days=3)
    between = after + timedelta(seconds=data.draw(st.integers(0, 3 * 86400)))
    wanted = schedule(text, zone)
    whole = list(islice(fire_times(wanted, after, until), 500))
    parts = [*fire_times(wanted, after, between), *fire_times(wanted, between, until)]
    assert parts[:500] == whole
    assert whole == sorted(set(whole))


def rate(value: int, unit: "schedule_pb2.FixedRateUnit.ValueType") -> Schedule:
    return schedule_of(
        schedule_pb2.Schedule(rate=schedule_pb2.FixedRate(value=value, unit=unit)), at("2030-01-01 09:10:11.5")
    )


def test_fixed_rates_count_from_the_activation() -> None:
    every_90_minutes = rate(90, schedule_pb2.MINUTE)
    found = list(fire_times(every_90_minutes, at("2030-01-01"), at("2030-01-01 13:40:11")))
    assert found == [at("2030-01-01 10:40:11"), at("2030-01-01 12:10:11"), at("2030-01-01 13:40:11")]
    assert next_fire(rate(2, schedule_pb2.DAY), at("2030-01-03 09:10:11")) == at("2030-01-05 09:10:11")
    assert next_fire(rate(1, schedule_pb2.HOUR), at("2029-01-01")) == at("2030-01-01 10:10:11")


def test_bounds() -> None:
    message = schedule_pb2.Schedule(
        cron_schedule=schedule_pb2.CronSchedule(schedule="0 * * * *"), time_zone="Asia/Kolkata"
    )
    message.start_at.FromDatetime(at("2030-01-01 10:30"))
    message.end_at.FromDatetime(at("2030-01-01 12:30"))
    bounded = schedule_of(message, at("2000-01-01"))
    assert list(fire_times(bounded, at("2000-01-01"), at("2040-01-01"))) == [
        at("2030-01-01 10:30"),
        at("2030-01-01 11:30"),
    ]
    assert next_fire(bounded, at("2030-01-01 11:30")) is None


def test_a_year_of_minutes_is_not_computed_before_it_is_asked_for() -> None:
    found = fire_times(schedule("* * * * *"), at("2030-01-01"), at("9999-01-01"))
    assert next(found) == at("2030-01-01 00:01")
