"""Which texts are cron expressions: what robfig/cron's standard parser takes."""

import re

import pytest
from sailplane_core.cron import check_cron


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "*/5 0-23/2 1,15 jan-mar MON-FRI",
        "0 9 ? * 1",
        "5/10 * * * *",
        "*/90 * * * *",
        "CRON_TZ=Europe/Berlin 0 9 * * *",
        "TZ=UTC 0 9 * * *",
        "0 0 31 2 *",
        "@daily",
        "@every 1h30m",
        "  0 9 * * *  ",
    ],
)
def test_these_are(text: str) -> None:
    check_cron(text)


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
        ("@reboot", "unrecognized descriptor"),
        ("@every soon", "unrecognized descriptor"),
        ("@every 1h; rm", "unrecognized descriptor"),
        ("TZ=;rm 0 9 * * *", "bad location"),
    ],
)
def test_these_are_not(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_cron(text)
