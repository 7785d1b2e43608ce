"""Times in columns: microseconds since 1970, in UTC. Exact, ordered, and the same on every database."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import BigInteger, Column

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def time_column(name: str, **options: Any) -> Column[int]:
    """A column of times."""
    return Column(name, BigInteger, **options)


def time_us(time: datetime | Timestamp) -> int:
    """The column value of a time. A naive datetime is refused with TypeError."""
    if isinstance(time, Timestamp):
        return time.ToMicroseconds()
    return duration_us(time - _EPOCH)


def time_of(time_us: int) -> datetime:
    """The time of a column value."""
    return _EPOCH + time_us * _MICROSECOND


def timestamp_of(time_us: int) -> Timestamp:
    """The message of a column value."""
    timestamp = Timestamp()
    timestamp.FromMicroseconds(time_us)
    return timestamp


def duration_us(duration: timedelta) -> int:
    """The column value of a duration, in microseconds."""
    return duration // _MICROSECOND


def duration_of(duration_us: int) -> timedelta:
    """The duration of a column value."""
    return duration_us * _MICROSECOND
