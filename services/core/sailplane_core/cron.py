"""What a cron expression may look like: five fields, or a word, as robfig/cron's standard parser has it.

    minute 0-59   hour 0-23   day of month 1-31   month 1-12 or names   day of week 0-6 or names

Each field is a list of `*` (or `?`), a number, or a range, all of them with an optional `/step`. In front of the fields
a time zone may stand (`CRON_TZ=Europe/Berlin`). Instead of the fields: `@hourly`, `@every 1h30m` and their like.
"""

import re
from dataclasses import dataclass, field

WORDS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})

_EVERY = re.compile(r"@every ((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+")
_ZONE = re.compile(r"(CRON_TZ|TZ)=[A-Za-z][A-Za-z0-9_+\-/]*$")
_NUMBER_DIGITS_MAX = 9


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


def check_cron(text: str) -> None:
    """Raises ValueError, with what is wrong, unless `text` is a cron expression."""
    if text.startswith("@"):
        if text not in WORDS and not _EVERY.fullmatch(text):
            raise ValueError(f"unrecognized descriptor: {text[:40]}")
        return
    parts = text.split()
    if parts and "TZ=" in parts[0]:
        zone = parts.pop(0)
        if not _ZONE.match(zone):
            raise ValueError(f"provided bad location {zone[:40]}")
    if len(parts) != len(_FIELDS):
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: {text[:100]!r}")
    for part, kind in zip(parts, _FIELDS, strict=True):
        for expression in part.split(","):
            _check_range(expression, kind)


def _check_range(expression: str, kind: _Field) -> None:
    span, slash, step = expression.partition("/")
    low, dash, high = span.partition("-")
    if low in ("*", "?"):
        if dash:
            raise ValueError(f"{kind.name}: {expression[:40]!r} is no range")
    else:
        start = _number(low, kind)
        end = _number(high, kind) if dash else start
        if start < kind.lowest or end > kind.highest:
            raise ValueError(f"{kind.name}: {expression[:40]!r} is not within {kind.lowest}-{kind.highest}")
        if start > end:
            raise ValueError(f"{kind.name}: {expression[:40]!r} begins after its end")
    if slash and _digits(step, kind) < 1:
        raise ValueError(f"{kind.name}: the step of {expression[:40]!r} must be positive")


def _number(text: str, kind: _Field) -> int:
    name = text.lower()
    return kind.lowest + kind.names.index(name) if name in kind.names else _digits(text, kind)


def _digits(text: str, kind: _Field) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _NUMBER_DIGITS_MAX:
        raise ValueError(f"{kind.name}: {text[:40]!r} is not a number")
    return int(text)
