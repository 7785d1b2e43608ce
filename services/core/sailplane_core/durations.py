"""Durations as the wire has them."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

LONGEST = timedelta(days=36525)
"""A century: what is longer may as well be that long, and the end of it is still a date."""


def timedelta_of(duration: Duration) -> timedelta:
    """The duration to the microsecond, cut to `LONGEST` either way: a message may hold any number of seconds."""
    longest_s = LONGEST // timedelta(seconds=1)
    seconds = min(max(duration.seconds, -longest_s), longest_s)
    return timedelta(seconds=seconds, microseconds=duration.nanos // 1000)
