"""Gates: approvals, inputs from outside, and sleep."""

import time

import pytest
from compat.runs import Runs, node_phase, phase
from flytekit.exceptions.base import FlyteException
from flytekit.remote.executions import FlyteWorkflowExecution


def wait_for_signals(runs: Runs, started: FlyteWorkflowExecution, *signals: str) -> None:
    """Until the execution waits for them."""
    deadline = time.monotonic() + 30
    while {one.id.signal_id for one in runs.remote.list_signals(started.id.name)} != set(signals):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_approved_goes_on(runs: Runs) -> None:
    started = runs.start("gates.approved", {"text": "news"})
    wait_for_signals(runs, started, "editor")
    assert phase(runs.remote.sync(started, sync_nodes=True)) == "RUNNING"
    runs.remote.approve("editor", started.id.name)
    done = runs.end(started)
    assert done.outputs["o0"] == "published draft of news"
    assert node_phase(done.node_executions["n1"]) == "SUCCEEDED"


def test_what_is_rejected_fails(runs: Runs) -> None:
    started = runs.start("gates.approved", {"text": "news"})
    wait_for_signals(runs, started, "editor")
    runs.remote.reject("editor", started.id.name)
    done = runs.end(started)
    assert phase(done) == "FAILED"
    assert done.closure.error.code == "ReceivedRejectSignal"
    assert node_phase(done.node_executions["n1"]) == "FAILED"
    assert "n2" not in done.node_executions


def test_inputs_from_outside_have_their_types(runs: Runs) -> None:
    started = runs.start("gates.asked")
    wait_for_signals(runs, started, "number", "words")
    with pytest.raises(FlyteException):
        runs.remote.set_input("number", started.id.name, "seven", python_type=str)
    runs.remote.set_input("number", started.id.name, 7)
    runs.remote.set_signal("words", started.id.name, ["a", "b"], python_type=list[str])
    assert runs.end(started).outputs["o0"] == "7:a,b"


def test_what_nobody_asked_for_cannot_be_given(runs: Runs) -> None:
    started = runs.start("gates.asked")
    wait_for_signals(runs, started, "number", "words")
    with pytest.raises(FlyteException):
        runs.remote.set_input("colour", started.id.name, 7)
    runs.remote.terminate(started, cause="enough of it")
    done = runs.end(started)
    assert phase(done) == "ABORTED"
    assert node_phase(done.node_executions["n0"]) == "ABORTED"


@pytest.mark.parametrize(("answer", "expected"), [(True, "published x"), (False, "draft of x")])
def test_an_input_from_outside_decides(runs: Runs, answer: bool, expected: str) -> None:
    started = runs.start("gates.decided", {"text": "x"})
    wait_for_signals(runs, started, "answer")
    runs.remote.set_input("answer", started.id.name, answer)
    assert runs.end(started).outputs["o0"] == expected


def test_sleep_holds_up_what_comes_after(runs: Runs) -> None:
    done = runs.run("gates.slept")
    assert phase(done) == "SUCCEEDED"
    first, pause, last = (done.node_executions[id].closure for id in ("n0", "n1", "n2"))
    assert pause.duration.total_seconds() >= 1
    assert (last.started_at - first.started_at).total_seconds() >= 1


def test_a_gate_that_nobody_answers_times_out(runs: Runs) -> None:
    done = runs.run("gates.unanswered")
    assert phase(done) == "FAILED"
    assert "Timeout" in done.closure.error.code
