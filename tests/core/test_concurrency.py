"""What a launch plan's concurrency policy does to a new execution, and when those that wait may start."""

import pytest
from sailplane_core.concurrency import (
    CANCEL_OLDEST,
    QUEUE,
    REPLACE,
    SKIP,
    Admission,
    Running,
    admit,
    is_enforced,
    problems,
    startable,
)
from sailplane_core.errors import ConcurrencyLimitReached
from sailplane_protos.admin.launch_plan_pb2 import ConcurrencyPolicy

NOW = Admission()


def running(*row_ids: int, leaving: frozenset[int] = frozenset()) -> list[Running]:
    return [Running(row_id, row_id in leaving) for row_id in row_ids]


@pytest.mark.parametrize("behavior", [SKIP, QUEUE, CANCEL_OLDEST, REPLACE])
def test_what_fits_in_starts_and_harms_nobody(behavior: int) -> None:
    assert admit(ConcurrencyPolicy(max=2, behavior=behavior), "p", running(1), []) == NOW  # type: ignore[arg-type]


def test_skip_refuses_what_would_be_one_too_many() -> None:
    with pytest.raises(ConcurrencyLimitReached, match=r"concurrency limit \(2\) reached for launch plan a:b:c"):
        admit(ConcurrencyPolicy(max=2, behavior=SKIP), "a:b:c", running(1), [2])


@pytest.mark.parametrize(
    ("policy", "run", "wait", "expected"),
    [
        ((QUEUE, 1), running(1), [], Admission(1)),
        ((QUEUE, 2), running(1), [2], Admission(2)),
        ((CANCEL_OLDEST, 2), running(1, 2), [], Admission(2, (1,))),
        ((CANCEL_OLDEST, 2), running(1, 2, leaving=frozenset({1})), [3], Admission(2, (2,))),
        ((CANCEL_OLDEST, 2), running(1, 2, leaving=frozenset({1})), [], Admission(2)),
        ((CANCEL_OLDEST, 1), running(3), [1, 2, 4], Admission(1, (1, 2, 3, 4))),
        ((CANCEL_OLDEST, 1), [], [1], Admission(None, (1,))),
        ((REPLACE, 2), running(1, 2), [3], Admission(1, (1, 2, 3))),
        ((REPLACE, 2), running(1, 2, leaving=frozenset({1, 2})), [], Admission(2)),
        ((REPLACE, 1), running(1, leaving=frozenset({1})), [], Admission(1)),
        ((REPLACE, 1), [], [1], Admission(None, (1,))),
    ],
)
def test_what_is_too_much_waits_or_has_others_aborted(
    policy: tuple[int, int], run: list[Running], wait: list[int], expected: Admission
) -> None:
    asked = ConcurrencyPolicy(behavior=policy[0], max=policy[1])  # type: ignore[arg-type]
    assert admit(asked, "p", run, wait) == expected


@pytest.mark.parametrize(
    ("run", "waiting", "expected"),
    [(0, [], 0), (1, [1], 0), (0, [1, 1], 1), (1, [3, 3, 3], 2), (1, [1, 5], 0), (0, [5, 1, 5], 1)],
)
def test_the_oldest_starts_first_and_holds_up_those_behind_it(run: int, waiting: list[int], expected: int) -> None:
    assert startable(run, waiting) == expected


def test_a_policy_without_a_behaviour_is_none() -> None:
    assert not is_enforced(ConcurrencyPolicy(max=1))
    assert is_enforced(ConcurrencyPolicy(max=1, behavior=SKIP))


def test_what_is_wrong_with_a_policy_is_said() -> None:
    assert problems(ConcurrencyPolicy(max=1, behavior=REPLACE)) == []
    [behavior, maximum] = problems(ConcurrencyPolicy(max=0, behavior=7))  # type: ignore[arg-type]
    assert "concurrency_policy.behavior" in behavior
    assert "concurrency_policy.max" in maximum
