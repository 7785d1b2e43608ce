"""Failure nodes, also of sub-workflows, and failure policies."""

from pathlib import Path

import pytest
from compat.runs import Runs, node_phase, phase, tree


def names(folder: Path) -> set[str]:
    """Which tasks left a mark."""
    return {path.name for path in folder.iterdir()}


def test_a_failure_node_is_given_the_inputs_and_the_error(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("failures.cleaned", {"name": "x", "marks": str(tmp_path)})
    assert phase(done) == "FAILED"
    assert "boom" in done.closure.error.message
    failed, _, message = (tmp_path / "cleaned").read_text().partition("|")
    assert failed == "n1"
    assert "boom" in message
    assert node_phase(done.node_executions["fn0"]) == "SUCCEEDED"


def test_a_failure_node_need_not_ask_for_the_error(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("failures.tidied", {"name": "x", "marks": str(tmp_path)})
    assert phase(done) == "FAILED"
    assert names(tmp_path) == {"x", "tidied"}


def test_the_error_of_a_failure_node_that_fails_is_the_executions(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("failures.badly_cleaned", {"name": "x", "marks": str(tmp_path)})
    assert phase(done) == "FAILED"
    assert "cannot clean up" in done.closure.error.message


def test_a_workflow_as_failure_node(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("failures.cleaned_by_workflow", {"name": "x", "marks": str(tmp_path)})
    assert phase(done) == "FAILED"
    assert "boom" in done.closure.error.message
    assert names(tmp_path) == {"x", "cleaned", "also"}


def test_a_failure_node_that_is_not_needed_leaves_no_node(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("failures.fine", {"name": "x", "marks": str(tmp_path)})
    assert phase(done) == "SUCCEEDED"
    assert names(tmp_path) == {"x"}
    assert "fn0" not in done.node_executions


def test_a_sub_workflow_has_a_failure_node_of_its_own(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("failures.outer", {"name": "x", "marks": str(tmp_path)})
    assert phase(done) == "FAILED"
    assert "boom" in (tmp_path / "cleaned").read_text()
    nodes = tree(done)
    assert node_phase(nodes["n0"]) == "FAILED"
    assert node_phase(nodes["n0-0-fn0"]) == "SUCCEEDED"
    assert "n1" not in nodes


@pytest.mark.parametrize("workflow", ["patient", "impatient"])
def test_what_does_not_depend_on_the_failed_node(runs: Runs, tmp_path: Path, workflow: str) -> None:
    done = runs.run(f"failures.{workflow}", {"marks": str(tmp_path)})
    assert phase(done) == "FAILED"
    assert "boom" in done.closure.error.message
    phases = {id: node_phase(node) for id, node in done.node_executions.items()}
    if workflow == "patient":
        assert names(tmp_path) == {"failed", "slow", "other"}
        assert [phases[id] for id in ("n0", "n1", "n2", "n4")] == ["FAILED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]
        assert [phases[id] for id in ("n3", "end-node")] == ["SKIPPED", "SKIPPED"]
    else:
        assert names(tmp_path) == {"failed"}
        assert phases["n1"] == "ABORTED"
