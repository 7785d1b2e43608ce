"""How long work may wait: tiers, budgets, and whose word counts."""

from datetime import timedelta

import pytest
from sailplane_core.quality_of_service import BUDGET_OF_TIER, problems, queueing_budget
from sailplane_protos.core.execution_pb2 import QualityOfService

HIGH, MEDIUM, LOW = (QualityOfService(tier=tier) for tier in (1, 2, 3))
FIVE = QualityOfService(spec={"queueing_budget": {"seconds": 5}})
NOTHING, UNDEFINED = QualityOfService(), QualityOfService(tier=QualityOfService.UNDEFINED)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([NOTHING, UNDEFINED], None),
        ([FIVE, HIGH], timedelta(seconds=5)),
        ([NOTHING, LOW, HIGH], BUDGET_OF_TIER[QualityOfService.LOW]),
        ([UNDEFINED, MEDIUM], BUDGET_OF_TIER[QualityOfService.MEDIUM]),
        ([QualityOfService(spec={})], timedelta()),
    ],
)
def test_the_first_that_says_anything_counts(said: list[QualityOfService], expected: timedelta | None) -> None:
    assert queueing_budget(said) == expected


def test_the_higher_the_tier_the_shorter_the_wait() -> None:
    assert sorted(BUDGET_OF_TIER, key=lambda tier: BUDGET_OF_TIER[tier]) == [1, 2, 3]


def test_what_is_wrong_is_said() -> None:
    assert not problems(FIVE)
    assert not problems(LOW)
    assert "tier" in problems(QualityOfService(tier=9))[0]  # type: ignore[arg-type]
    assert "queueing_budget" in problems(QualityOfService(spec={"queueing_budget": {"seconds": -1}}))[0]
