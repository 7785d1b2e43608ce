"""Names that are derived: the same again for the same thing, another one for anything else."""

import pytest
from sailplane_core import naming
from sailplane_core.ids import ExecutionId, child_execution_name

PARENT = ExecutionId("flytesnacks", "development", "x")


@pytest.mark.parametrize("attempt", [0, 1, 2**32])
def test_a_child_is_named_by_its_parent_node_and_attempt(attempt: int) -> None:
    name = child_execution_name(PARENT, "n0", attempt)
    assert naming.execution_name_problem(name) == ""
    assert len(name) <= 20
    assert name == child_execution_name(PARENT, "n0", attempt)


def test_other_parents_nodes_and_attempts_have_other_children() -> None:
    parents = [PARENT, ExecutionId("flytesnacks", "development", "y"), ExecutionId("flytesnacks", "production", "x")]
    names = {
        child_execution_name(parent, f"n{node}", attempt)
        for parent in parents
        for node in range(40)
        for attempt in range(40)
    }
    assert len(names) == 3 * 40 * 40


def test_dashes_in_names_do_not_make_two_children_one() -> None:
    item_of_an_array = child_execution_name(PARENT, "n0-n1", 0)
    assert item_of_an_array != child_execution_name(ExecutionId("flytesnacks", "development", "x-n0"), "n1", 0)
