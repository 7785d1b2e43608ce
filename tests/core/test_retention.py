"""Which retention policy holds, and what policies there may be."""

from datetime import UTC, datetime, timedelta

import pytest
from sailplane_core import retention
from sailplane_core.errors import InvalidRequest
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.governance import retention_pb2 as pb

FAILED, SUCCEEDED = ExecutionPhase.FAILED, ExecutionPhase.SUCCEEDED


def policy(domain: str = "", phase: int = 0, age_s_max: int = 1, executions_max: int = 0) -> pb.RetentionPolicy:
    return pb.RetentionPolicy(
        project="p",
        domain=domain,
        phase=ExecutionPhase(phase).value,
        age_s_max=age_s_max,
        executions_max=executions_max,
    )


def test_the_one_that_names_more_holds_and_the_domain_more_than_the_phase() -> None:
    each, of_phase, of_domain, of_both = policy(), policy("", FAILED), policy("d"), policy("d", FAILED)
    assert retention.holding([each, of_phase, of_domain, of_both], "d", FAILED) is of_both
    assert retention.holding([each, of_phase, of_domain], "d", FAILED) is of_domain
    assert retention.holding([each, of_phase, of_domain], "other", FAILED) is of_phase
    assert retention.holding([each, of_phase, of_domain], "other", SUCCEEDED) is each
    assert retention.holding([of_both], "other", FAILED) is None


def test_one_without_limits_keeps_all_whatever_a_more_general_one_says() -> None:
    assert retention.holding([policy(), policy("d", age_s_max=0)], "d", FAILED) is None
    assert retention.holding([policy("d", age_s_max=0, executions_max=1)], "d", FAILED) is not None


@pytest.mark.parametrize("phase", list(ExecutionPhase))
def test_policies_are_of_terminal_phases(phase: ExecutionPhase) -> None:
    if phase in EXECUTION_TERMINAL or phase is ExecutionPhase.UNDEFINED:
        retention.check_policy(policy(phase=phase))
    else:
        with pytest.raises(InvalidRequest, match="phase"):
            retention.check_policy(policy(phase=phase))


def test_the_largest_limits_can_be_reckoned_with() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    largest = policy(age_s_max=retention.AGE_S_MAX, executions_max=retention.EXECUTIONS_MAX)
    retention.check_policy(largest)
    assert retention.too_old_before(largest, now) == now - timedelta(seconds=retention.AGE_S_MAX)
    assert retention.too_old_before(policy(age_s_max=0), now) is None
    for beyond in (policy(age_s_max=retention.AGE_S_MAX + 1), policy(executions_max=retention.EXECUTIONS_MAX + 1)):
        with pytest.raises(InvalidRequest, match="_max"):
            retention.check_policy(beyond)
