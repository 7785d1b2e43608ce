"""Quality of service: how long an execution's work may wait while there is more to do than can be done at once.

Flyte's tiers stand for such budgets, and a budget may be given itself. Work is done in the order in which its budget
runs out: what is urgent comes first, and what is not urgent comes before it once it has waited long enough.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from sailplane_protos.core import execution_pb2

from .durations import timedelta_of

_Tier = execution_pb2.QualityOfService.Tier
BUDGET_OF_TIER: Mapping[int, timedelta] = {
    _Tier.HIGH: timedelta(),
    _Tier.MEDIUM: timedelta(minutes=10),
    _Tier.LOW: timedelta(hours=1),
}
DEFAULT_BUDGET = BUDGET_OF_TIER[_Tier.MEDIUM]


def problems(given: execution_pb2.QualityOfService) -> list[str]:
    """What is wrong with one: a tier that there is not, a budget that cannot be."""
    found: list[str] = []
    if given.tier not in _Tier.values():
        found.append(f"invalid value for quality_of_service.tier: {given.tier} is none")
    if timedelta_of(given.spec.queueing_budget) < timedelta():
        found.append("invalid value for quality_of_service.queueing_budget: must not be negative")
    return found


def queueing_budget(said: Iterable[execution_pb2.QualityOfService]) -> timedelta | None:
    """What the first one says that says anything; None if none does."""
    for one in said:
        if one.WhichOneof("designation") == "spec":
            return timedelta_of(one.spec.queueing_budget)
        if one.tier in BUDGET_OF_TIER:
            return BUDGET_OF_TIER[one.tier]
    return None
