"""Which texts are cron expressions: what robfig/cron's standard parser takes."""

import re
from datetime import timedelta

import pytest
from sailplane_core.cron import EVERY_MAX, Cron, Every, every, parse_cron


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "*/5 0-23/2 1,15 jan-mar MON-FRI",
        "0 9 ? * 1",
        "5/10 * * * *",
        "*/60 */24 */31 */12 */7",
        "0 0 29 2 *",
        "0 0 30 2 1",
        "@every 876600h",
        "CRON_TZ=Europe/Berlin 0 9 * * *",
        "TZ=UTC 0 9 * * *",
        "@daily",
        "@every 1h30m",
        "  0 9 * * *  ",
    ],
)
def test_these_are(text: str) -> None:
    parse_cron(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected exactly 5 fields, found 0"),
        ("* * * *", "expected exactly 5 fields, found 4"),
        ("0 0 * * * *", "expected exactly 5 fields, found 6"),
        ("60 * * * *", "minute: '60' is not within 0-59"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of month"),
        ("* * * 13 *", "month"),
        ("* * * * 7", "day of week"),
        ("* * * * mun", "'mun' is not a number"),
        ("5-1 * * * *", "begins after its end"),
        ("*/0 * * * *", "step"),
        ("*/x * * * *", "'x' is not a number"),
        ("*-5 * * * *", "is no range"),
        ("1-2-3 * * * *", "is not a number"),
        ("1,,2 * * * *", "is not a number"),
        ("-1 * * * *", "is not a number"),
        ("+1 * * * *", "is not a number"),
        ("٣ * * * *", "is not a number"),
        ("9999999999999999999999 * * * *", "is not a number"),
        ("* * L * *", "is not a number"),
        ("0 0 30 2 *", "day of month: none of the months has a day 30"),
        ("0 0 31 4,6,9,11 *", "day of month: none of the months has a day 31"),
        ("*/61 * * * *", "minute: the step of '*/61' is longer than the field"),
        ("* 0-23/999999999 * * *", "hour: the step of '0-23/999999999' is longer than the field"),
        ("61/5 * * * *", "minute: '61/5' is not within 0-59"),
        ("0," * 600 + "0 * * * *", "longer than 1000 characters"),
        ("@every 900000h", "at most 36525 days"),
        ("CRON_TZ=Europe/Atlantis 0 9 * * *", "there is no such time zone"),
        ("CRON_TZ=Europe 0 9 * * *", "there is no such time zone"),
        ("CRON_TZ=../../etc/passwd 0 9 * * *", "bad location"),
        ("CRON_TZ= 0 9 * * *", "bad location"),
        ("@reboot", "unrecognized descriptor"),
        ("@every soon", "unrecognized descriptor"),
        ("@every 1h; rm", "unrecognized descriptor"),
        ("TZ=;rm 0 9 * * *", "bad location"),
    ],
)
def test_these_are_not(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_cron(text)


def test_what_the_fields_mean() -> None:
    cron = parse_cron("CRON_TZ=Asia/Tokyo 5/20 0-4/2,22 * jan-MAR 1,3-5")
    assert cron == Cron(
        minutes=frozenset({5, 25, 45}),
        hours=frozenset({0, 2, 4, 22}),
        days=None,
        months=frozenset({1, 2, 3}),
        weekdays=frozenset({1, 3, 4, 5}),
        time_zone="Asia/Tokyo",
    )
    assert not cron.is_either_day


@pytest.mark.parametrize(
    ("text", "is_either_day"),
    [
        ("0 0 1 * 1", True),
        ("0 0 1 * 0-6", True),
        ("0 0 */2 * 1", True),
        ("0 0 * * 1", False),
        ("0 0 */1 * 1", False),
        ("0 0 1,* * 1", False),
        ("0 0 1 * ?", False),
    ],
)
def test_one_kind_of_day_is_enough_where_both_are_named(text: str, is_either_day: bool) -> None:
    cron = parse_cron(text)
    assert isinstance(cron, Cron)
    assert cron.is_either_day is is_either_day


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("@every 1h30m", 5400), ("@every 1.5h", 5400), ("@every 90s", 90), ("@every 1500ms", 1), ("@every 5ms", 1)],
)
def test_intervals_are_whole_seconds(text: str, seconds: int) -> None:
    assert parse_cron(text) == Every(timedelta(seconds=seconds))


@pytest.mark.parametrize("interval", [timedelta(), timedelta(milliseconds=999), EVERY_MAX + timedelta(seconds=1)])
def test_intervals_that_nobody_would_see(interval: timedelta) -> None:
    with pytest.raises(ValueError, match="an interval must be from 1 second to 36525 days"):
        every(interval)
