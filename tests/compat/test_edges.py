"""Rarer things: definitions that go wrong at run time, references, checkpoints, processes that die."""

from pathlib import Path

import pytest
from compat.runs import VERSION, Runs, node_phase, phase, task_phases, tree
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


def test_an_attempt_is_given_the_last_checkpoint_that_there_is(runs: Runs) -> None:
    done = runs.run("edges.resumed_later", {})
    assert done.outputs["o0"] == "nothing, then 1"
    assert task_phases(done.node_executions["n0"]) == ["FAILED", "FAILED", "FAILED", "SUCCEEDED"]


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


def test_a_failure_node_in_a_graph_made_at_run_time(runs: Runs) -> None:
    done = runs.run("edges.cleaned_within", {"x": 1})
    assert "1 is positive" in done.closure.error.message
    cleaned = tree(done)["n0-0-dn0"].subworkflow_node_executions
    assert sorted(node_phase(node) for node in cleaned.values()) == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert runs.results("edges.cleaned_within", {"x": 0}) == [0]


def test_a_dynamic_task_is_tried_again(runs: Runs) -> None:
    done = runs.run("edges.second_time_lucky", {"x": 1})
    assert done.outputs["o0"] == 2
    assert {"n0-1-dn0", "n0-1-start-node"} <= tree(done).keys()


def test_the_outputs_of_a_dynamic_node_are_cached(runs: Runs) -> None:
    first, second = (runs.run("edges.remembered_graph", {"x": 7}) for _ in range(2))
    assert (first.outputs["o0"], second.outputs["o0"]) == (8, 8)
    assert "n0-0-dn0" in tree(first)
    assert tree(second).keys() == {"start-node", "n0", "end-node"}


def test_a_branch_made_at_run_time_may_fail(runs: Runs) -> None:
    assert runs.results("edges.chosen_within", {"x": 6}) == [7]
    done = runs.run("edges.chosen_within", {"x": 5})
    assert (done.closure.error.code, "too small" in done.closure.error.message) == ("UserProvidedError", True)


def test_maps_and_dynamic_nodes_as_cases(runs: Runs) -> None:
    assert runs.results("edges.map_or_none", {"x": 10}, {"x": 0}) == [[11, 12], []]
    assert runs.results("edges.graph_or_cache", {"x": 10}, {"x": 0}) == [11, 1]


def test_lists_and_nothing_as_items(runs: Runs) -> None:
    assert runs.results("edges.totals", {"xs": [[1, 2], [], [3]]}) == [[3, 0, 3]]
    assert runs.results("edges.some", {"xs": [1, 2, 3]}) == [[None, 2, 3]]


def test_eager_workflows(runs: Runs) -> None:
    task = runs.remote.fetch_task(name="edges.hasty", version=VERSION)
    assert runs.end(runs.remote.execute(task, inputs={"x": 3})).outputs["o0"] == 5
