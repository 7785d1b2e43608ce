"""Conditionals: the case that is taken, nested ones, else, fail, and conditions of every sort."""

import pytest
from compat.runs import Runs, node_phase, phase
from flyteidl.core.execution_pb2 import ExecutionError


def test_conditions_in_conditions(runs: Runs) -> None:
    scores = [(95, 0.0), (60, 5.0), (60, -1.0), (60, 10.0), (50, 0.0)]
    inputs: list[dict[str, object]] = [{"score": score, "bonus": bonus} for score, bonus in scores]
    assert runs.results("branches.graded", *inputs) == ["A", "B+", "B?", "B?", "B"]


def test_the_case_that_fails_gives_its_message_as_the_users_error(runs: Runs) -> None:
    done = runs.run("branches.graded", {"score": 20, "bonus": 1.0})
    assert phase(done) == "FAILED"
    assert done.closure.error.code.endswith("UserProvidedError")
    assert done.closure.error.kind == ExecutionError.USER
    assert "the score is too low" in done.closure.error.message


def test_cases_of_every_kind_and_what_comes_after(runs: Runs) -> None:
    routes = ("task", "workflow", "plan")
    assert runs.results("branches.routed", *({"x": 3, "route": route} for route in routes)) == [12, 24, 24]


def test_the_condition_can_be_a_tasks_output(runs: Runs) -> None:
    assert runs.results("branches.by_task", {"x": 7}, {"x": 6}) == [-7, 3]


def test_a_condition_on_a_part_of_an_output_compares_numbers(runs: Runs) -> None:
    assert runs.results("branches.measured", {"x": 2}, {"x": 3}) == ["small", "as it should be"]


@pytest.mark.parametrize(("inputs", "expected"), [({}, "nothing"), ({"x": 3}, "x=3")])
def test_a_condition_on_what_may_be_absent(runs: Runs, inputs: dict[str, object], expected: str) -> None:
    assert runs.run("branches.given", inputs).outputs["o0"] == expected


def test_the_taken_node_lies_in_its_branch_and_the_others_leave_none(runs: Runs) -> None:
    done = runs.run("branches.graded_within", {"score": 70})
    outer = done.node_executions["n0"].subworkflow_node_executions["n0-0-n0"]
    [inner] = outer.subworkflow_node_executions.values()
    [taken] = inner.subworkflow_node_executions.values()
    assert [node.metadata.spec_node_id for node in (outer, inner, taken)] == ["n0", "n0-n1", "n0-n1-n0"]
    assert [node_phase(node) for node in (outer, inner, taken)] == ["SUCCEEDED"] * 3
    assert [task.id.task_id.name for task in taken.task_executions] == ["branches.label"]
    assert taken.inputs["text"] == "B+"
