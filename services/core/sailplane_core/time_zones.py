"""Time zones by their IANA names, and where in time a wall clock shows something."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*")
_SECOND = timedelta(seconds=1)


def check_time_zone(name: str) -> None:
    """Raises ValueError unless there is such a zone."""
    time_zone(name)


@lru_cache(maxsize=1024)
def time_zone(name: str) -> ZoneInfo:
    """The zone of a name. Raises ValueError if there is none."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"provided bad location {name[:40]}")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:  # OSError: the name of a folder of zones
        raise ValueError(f"provided bad location {name[:40]}: there is no such time zone") from error


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When, in UTC, a wall clock in `zone` first shows `wall`, which is naive.

    If it never does, because clocks are set forward over it: the moment at which they are.
    """
    before = wall.replace(tzinfo=zone)
    instant = before.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    early = before.replace(fold=1).astimezone(UTC)
    return _transition(early, instant, zone)


def _transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second with the offset of `after`; `before` has another one."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
