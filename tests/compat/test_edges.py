"""Rarer things: definitions that go wrong at run time, references, checkpoints, processes that die."""

from pathlib import Path

import pytest
from compat.runs import Runs, node_phase, phase, task_phases
from flyteidl.core.execution_pb2 import ExecutionError


def test_references_to_what_is_registered(runs: Runs) -> None:
    done = runs.run("edges.referring", {"a": 1})
    assert (done.outputs["o0"], done.outputs["o1"]) == (109, 109)


def test_a_graph_that_cannot_be_compiled_is_the_users_error(runs: Runs) -> None:
    done = runs.run("edges.referring_to_nothing", {"a": 1})
    assert phase(done) == "FAILED"
    assert (done.closure.error.code, done.closure.error.kind) == ("DynamicWorkflowBuildFailed", ExecutionError.USER)
    assert "nobody.knows" in done.closure.error.message


def test_lists_of_a_map_must_be_of_one_length(runs: Runs) -> None:
    done = runs.run("edges.unequal", {"xs": [1], "ys": [1, 2]})
    assert phase(done) == "FAILED"
    assert done.closure.error.code == "InvalidArrayLength"
    assert runs.results("edges.unequal", {"xs": [1, 3], "ys": [1, 2]}) == [[2, 5]]


def test_each_attempt_is_given_the_last_ones_checkpoint(runs: Runs) -> None:
    done = runs.run("edges.resumed", {"steps": 3})
    assert done.outputs["o0"] == 3
    assert task_phases(done.node_executions["n0"]) == ["FAILED", "FAILED", "SUCCEEDED"]


@pytest.mark.parametrize(("code", "said"), [(3, "exit code 3"), (0, "neither outputs.pb nor error.pb")])
def test_a_process_that_ends_without_a_result(runs: Runs, code: int, said: str) -> None:
    done = runs.run("edges.left", {"code": code})
    assert phase(done) == "FAILED"
    assert said in done.closure.error.message
    assert node_phase(done.node_executions["n0"]) == "FAILED"


def test_a_process_that_is_killed_is_tried_again(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("edges.killed", {"marks": str(tmp_path)})
    assert done.outputs["o0"] == 1
    assert task_phases(done.node_executions["n0"]) == ["FAILED", "SUCCEEDED"]
