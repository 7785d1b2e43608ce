"""Launch plans that limit how many of their executions run at once, as flytekit registers and starts them."""

import time
from pathlib import Path

import pytest
from compat.runs import VERSION, Runs, phase
from flytekit.exceptions.user import FlyteEntityAlreadyExistsException
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.remote.executions import FlyteWorkflowExecution

LONG_S = 60.0


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """Where the tasks say what they do."""
    return tmp_path / "diary"


def start(runs: Runs, plan: str, diary: Path, seconds: float) -> FlyteWorkflowExecution:
    found = runs.remote.fetch_launch_plan(name=f"limits.{plan}", version=VERSION)
    return runs.remote.execute(found, inputs={"diary": str(diary), "seconds": seconds})


def begun(diary: Path, times: int = 1) -> None:
    """Wait until a task has begun."""
    deadline = time.monotonic() + LONG_S
    while not diary.exists() or diary.read_text().count("begun\n") < times:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_those_that_queue_run_one_after_the_other(runs: Runs, diary: Path) -> None:
    started = [start(runs, "queueing", diary, 0.1) for _ in range(4)]
    assert [phase(runs.end(one)) for one in started] == ["SUCCEEDED"] * 4
    assert diary.read_text() == "begun\ndone\n" * 4


def test_what_waits_can_be_terminated(runs: Runs, diary: Path) -> None:
    first = start(runs, "queueing", diary, LONG_S)
    begun(diary)
    second = start(runs, "queueing", diary, 0.0)
    assert runs.remote.sync(second).closure.phase == WorkflowExecutionPhase.QUEUED
    runs.remote.terminate(second, cause="enough")
    assert phase(runs.end(second)) == "ABORTED"
    runs.remote.terminate(first, cause="enough")
    assert phase(runs.end(first)) == "ABORTED"
    assert diary.read_text() == "begun\n"


@pytest.mark.parametrize(("plan", "at_once"), [("cancelling", 1), ("replacing", 2)])
def test_the_new_one_takes_the_place_of_the_old(runs: Runs, diary: Path, plan: str, at_once: int) -> None:
    before = [start(runs, plan, diary, LONG_S) for _ in range(at_once)]
    begun(diary, at_once)
    after = start(runs, plan, diary, 0.0)
    assert phase(runs.end(after)) == "SUCCEEDED"
    assert [phase(runs.end(one)) for one in before] == ["ABORTED"] * at_once
    assert diary.read_text() == "begun\n" * at_once + "begun\ndone\n"


def test_one_too_many_is_skipped(runs: Runs, diary: Path) -> None:
    first = start(runs, "skipping", diary, LONG_S)
    begun(diary)
    with pytest.raises(FlyteEntityAlreadyExistsException, match=r"concurrency limit \(1\) reached"):
        runs.remote.client.create_execution(
            "flytesnacks", "development", None, first.spec, runs.remote.client.get_execution_data(first.id).full_inputs
        )
    parent = runs.run("limits.parent_of_skipped", {"diary": str(diary)})
    assert phase(parent) == "FAILED"
    assert "concurrency limit (1) reached" in parent.closure.error.message
    runs.remote.terminate(first, cause="enough")
    assert phase(runs.end(first)) == "ABORTED"


def test_children_wait_for_one_another(runs: Runs, diary: Path) -> None:
    assert phase(runs.run("limits.parent", {"diary": str(diary)})) == "SUCCEEDED"
    assert diary.read_text() == "begun\ndone\n" * 2
