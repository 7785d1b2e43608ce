"""Budgets and pauses."""

from datetime import timedelta

import pytest
from sailplane_core.machine.retries import RetryPolicy


@pytest.mark.parametrize(
    ("retries", "backoff_s", "longest_s", "together_s"),
    [(0, 1.0, 2.0, 0), (3, 1.0, 60.0, 7), (100, 1.0, 2.0, 199), (2**31, 0.0, 60.0, 0), (2**31, 1.0, 1.0, 2**31)],
)
def test_all_pauses_together(retries: int, backoff_s: float, longest_s: float, together_s: int) -> None:
    policy = RetryPolicy(retries, 0, backoff_s, longest_s)
    assert policy.pauses_max == timedelta(seconds=together_s)
