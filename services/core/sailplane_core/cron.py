"""Cron expressions: five fields, or a word, as robfig/cron's standard parser takes them for Flyte.

    minute 0-59   hour 0-23   day of month 1-31   month 1-12 or names   day of week 0-6 or names

Each field is a list of `*` (or `?`), a number, or a range, all of them with an optional `/step`. A day matches by both
of its fields, or by either if both name something. In front of the fields a time zone may stand
(`CRON_TZ=Europe/Berlin`). Instead of the fields: `@hourly`, `@every 1h30m` and their like.

Two things are refused besides, because nobody can mean them: days that no month has, and steps beyond their field.
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta

from .time_zones import check_time_zone

WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Each with the fields that it stands for."""

EVERY_MAX = timedelta(days=36_525)
"""What repeats more rarely never fires for anybody who waits for it."""

_EVERY = re.compile(r"@every ((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_ZONE = re.compile(r"(?:CRON_TZ|TZ)=(.*)")
_NUMBER_DIGITS_MAX = 9
_TEXT_CHARS_MAX = 1000
_DAYS_MAX = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Cron:
    """Every minute whose parts are all among these, by the wall clock of a time zone ("" for the one by default).

    A day is `days` and `weekdays` (0 is Sunday) both, unless `is_either_day`. None stands for all.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    time_zone: str = ""

    @property
    def is_either_day(self) -> bool:
        """Whether one of the two kinds of days is enough."""
        return self.days is not None and self.weekdays is not None


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again after so long, whole seconds and at least one."""

    interval: timedelta


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = field(default=())
    """In order, the first of them meaning `lowest`."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    _Field("day of week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


def parse_cron(text: str) -> Cron | Every:
    """What an expression means. Raises ValueError, with what is wrong, for a text that is none."""
    if len(text) > _TEXT_CHARS_MAX:
        raise ValueError(f"longer than {_TEXT_CHARS_MAX} characters")
    if text.startswith("@every "):
        return Every(_interval(text))
    if text.startswith("@") and text not in WORDS:
        raise ValueError(f"unrecognized descriptor: {text[:40]}")
    parts = WORDS.get(text, text).split()
    zone = _ZONE.fullmatch(parts[0]) if parts else None
    if zone:
        parts.pop(0)
        check_time_zone(zone[1])
    if len(parts) != len(_FIELDS):
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: {text[:100]!r}")
    minutes, hours, days, months, weekdays = (_values(part, kind) for part, kind in zip(parts, _FIELDS, strict=True))
    _check_days(days, months, weekdays)
    every_month = frozenset(range(1, 13))
    return Cron(
        minutes if minutes is not None else frozenset(range(60)),
        hours if hours is not None else frozenset(range(24)),
        days,
        months if months is not None else every_month,
        weekdays,
        zone[1] if zone else "",
    )


def every(interval: timedelta) -> Every:
    """A fixed rate. Raises ValueError for one that nobody would see fire."""
    if not timedelta(seconds=1) <= interval <= EVERY_MAX:
        raise ValueError(f"an interval must be from 1 second to {EVERY_MAX.days} days")
    return Every(interval)


def _interval(text: str) -> timedelta:
    found = _EVERY.fullmatch(text)
    if found is None:
        raise ValueError(f"unrecognized descriptor: {text[:40]}")
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(found[1]))
    if seconds > EVERY_MAX.total_seconds():
        raise ValueError(f"an interval must be at most {EVERY_MAX.days} days")
    # As robfig/cron does it: parts of a second do not count, and one second is the least.
    return timedelta(seconds=max(1, int(seconds)))


def _check_days(days: frozenset[int] | None, months: frozenset[int] | None, weekdays: frozenset[int] | None) -> None:
    if days is None or weekdays is not None:
        return
    if not any(min(days) <= _DAYS_MAX[month - 1] for month in months or range(1, 13)):
        raise ValueError(f"day of month: none of the months has a day {min(days)}")


def _values(part: str, kind: _Field) -> frozenset[int] | None:
    """What a field stands for; None for all, if it begins with a star and has no step, or one of 1."""
    values: set[int] = set()
    is_star = False
    for expression in part.split(","):
        found, star = _range(expression, kind)
        values.update(found)
        is_star = is_star or star
    return None if is_star else frozenset(values)


def _range(expression: str, kind: _Field) -> tuple[range, bool]:
    """The values of one expression, and whether it is a star."""
    span, slash, step_text = expression.partition("/")
    low, dash, high = span.partition("-")
    step = _digits(step_text, kind) if slash else 1
    if step < 1:
        raise ValueError(f"{kind.name}: the step of {expression[:40]!r} must be positive")
    if step > kind.highest - kind.lowest + 1:
        raise ValueError(f"{kind.name}: the step of {expression[:40]!r} is longer than the field")
    if low in ("*", "?"):
        if dash:
            raise ValueError(f"{kind.name}: {expression[:40]!r} is no range")
        return range(kind.lowest, kind.highest + 1, step), step == 1
    start = _number(low, kind)
    end = _number(high, kind) if dash else kind.highest if slash else start
    if start < kind.lowest or end > kind.highest or start > kind.highest:
        raise ValueError(f"{kind.name}: {expression[:40]!r} is not within {kind.lowest}-{kind.highest}")
    if start > end:
        raise ValueError(f"{kind.name}: {expression[:40]!r} begins after its end")
    return range(start, end + 1, step), False


def _number(text: str, kind: _Field) -> int:
    name = text.lower()
    return kind.lowest + kind.names.index(name) if name in kind.names else _digits(text, kind)


def _digits(text: str, kind: _Field) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _NUMBER_DIGITS_MAX:
        raise ValueError(f"{kind.name}: {text[:40]!r} is not a number")
    return int(text)
