"""Map tasks: items, limits, partial results, attempts of each item, and how they are reported."""

from pathlib import Path

import pytest
from compat.runs import Runs, node_phase, phase, result
from flytekit.models.core.execution import TaskExecutionPhase
from flytekit.remote.executions import FlyteWorkflowExecution


def test_items_from_a_task_to_a_task(runs: Runs) -> None:
    assert runs.results("maps.squares", {"n": 20}) == [sum(x * x for x in range(20))]


def test_results_are_in_the_order_of_the_items(runs: Runs) -> None:
    assert runs.results("maps.listed", {"xs": [3, 1, 2]}, {"xs": []}, {"xs": [7]}) == [[9, 1, 4], [], [49]]


def test_inputs_that_are_the_same_for_all_items(runs: Runs) -> None:
    assert runs.results("maps.bound", {"xs": [1, 2, 3], "names": ["a", "b"]}) == [["b10", "a20", "b30"]]


def test_dataclasses_as_items(runs: Runs) -> None:
    items = [{"key": "a", "weight": 3}, {"key": "b", "weight": 4}]
    assert runs.results("maps.weights", {"items": items}) == [[3, 4]]


def test_items_without_outputs(runs: Runs, tmp_path: Path) -> None:
    assert phase(runs.run("maps.silent", {"xs": [0, 1, 2], "marks": str(tmp_path)})) == "SUCCEEDED"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["item0", "item1", "item2"]


def test_no_more_items_than_the_map_allows_run_side_by_side(runs: Runs, tmp_path: Path) -> None:
    together = runs.run("maps.narrow", {"xs": [0, 1, 2, 3, 4], "marks": str(tmp_path)}).outputs["o0"]
    assert max(together) == 2


def test_failed_items_are_none_where_that_is_allowed(runs: Runs) -> None:
    done = runs.run("maps.lenient", {"xs": [1, -1, 2, 3]})
    assert done.outputs["o0"] == [1, None, 4, 9]
    assert done.outputs["o1"] == 3
    assert phase(runs.run("maps.enough", {"xs": [1, -1, 2, -2]})) == "SUCCEEDED"


def test_too_many_failed_items_fail_the_map_with_an_items_error(runs: Runs) -> None:
    for workflow, xs in (("lenient", [-1, -2, 3]), ("enough", [-1, 2]), ("listed", [1, 2, -3])):
        done = runs.run(f"maps.{workflow}", {"xs": xs})
        assert phase(done) == "FAILED"
        assert "is negative" in done.closure.error.message
        assert node_phase(done.node_executions["n0"]) == "FAILED"


@pytest.mark.parametrize(("workflow", "ran"), [("to_the_last", {"item1", "item2"}), ("to_the_first_failure", set())])
def test_what_becomes_of_the_others_when_an_item_fails(
    runs: Runs, tmp_path: Path, workflow: str, ran: set[str]
) -> None:
    done = runs.run(f"maps.{workflow}", {"xs": [1, -1, 2], "marks": str(tmp_path)})
    assert phase(done) == "FAILED"
    assert "-1 is negative" in done.closure.error.message
    assert {path.name for path in tmp_path.iterdir()} == ran
    others = "SUCCEEDED" if ran else "ABORTED"
    assert items(done) == {(0, 0): others, (1, 0): "FAILED", (2, 0): others}


def test_each_item_has_attempts_of_its_own(runs: Runs) -> None:
    done = runs.run("maps.retried", {"xs": [0, 1, 2, 3]})
    assert result(done) == [0, 1, 2, 3]
    assert items(done) == {
        (0, 0): "SUCCEEDED",
        (1, 0): "FAILED",
        (1, 1): "SUCCEEDED",
        (2, 0): "SUCCEEDED",
        (3, 0): "FAILED",
        (3, 1): "SUCCEEDED",
    }


def test_a_map_is_one_task_execution_with_a_resource_for_each_item(runs: Runs) -> None:
    done = runs.run("maps.squares", {"n": 3})
    node = done.node_executions["n1"]
    assert node.metadata.is_array
    assert not node.metadata.is_parent_node
    [task] = node.task_executions
    assert task.id.task_id.name.startswith("maps.map_square_")
    assert items(done, "n1") == {(0, 0): "SUCCEEDED", (1, 0): "SUCCEEDED", (2, 0): "SUCCEEDED"}
    assert node.inputs["x"] == [0, 1, 2]
    assert node.outputs.get("o0", list[int]) == [0, 1, 4]


def test_overrides_of_a_map(runs: Runs) -> None:
    done = runs.run("maps.overridden", {"xs": [2]})
    assert result(done) == [4]
    assert runs.pod(done.id.name, "n0-0-n0")["metadata"]["labels"]["interruptible"] == "true"


def test_a_map_over_a_launch_plan(runs: Runs) -> None:
    done = runs.run("launches.mapped", {"xs": [3, 1, 2]})
    assert result(done) == [3, 1, 2]
    assert done.node_executions["n0"].metadata.is_array


def test_children_of_a_map_may_fail_where_that_is_allowed(runs: Runs) -> None:
    assert runs.results("launches.mapped_leniently", {"xs": [3, -1]}) == [[3, None]]
    assert "negative" in str(runs.results("launches.mapped_leniently", {"xs": [-3, -1, 2]})[0])


def items(done: FlyteWorkflowExecution, node: str = "n0") -> dict[tuple[int, int], str]:
    """Index and attempt of each item, and how it ended."""
    [task] = done.node_executions[node].task_executions
    resources = task.closure.metadata.external_resources
    assert len({one.external_id for one in resources}) == len(resources)
    return {(one.index, one.retry_attempt): TaskExecutionPhase.enum_to_string(one.phase) for one in resources}
