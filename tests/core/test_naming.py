"""What may be called what."""

import pytest
from sailplane_core import naming


@pytest.mark.parametrize("name", ["a", "a1-b", "a" * 63, "a-"])
def test_execution_names(name: str) -> None:
    assert naming.execution_name_problem(name) == ""


@pytest.mark.parametrize("name", ["", "1a", "-a", "A", "a_b", "a.b", "a" * 64, "a\n", "ä", "a/b", "a b"])
def test_no_execution_names(name: str) -> None:
    assert naming.execution_name_problem(name)


def test_generated_names_are_execution_names() -> None:
    name = naming.generated_execution_name(bytes(range(0, 190, 10)))
    assert len(name) == 20
    assert naming.execution_name_problem(name) == ""
    assert name != naming.generated_execution_name(bytes(range(1, 191, 10)))


@pytest.mark.parametrize("text", ["a", "a-b", "0", "flytesnacks", "x" * 63])
def test_dns_labels(text: str) -> None:
    assert naming.dns_label_problem(text) == ""


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a.b", "a_b", "x" * 64, "a\n", "../a"])
def test_no_dns_labels(text: str) -> None:
    assert naming.dns_label_problem(text)


@pytest.mark.parametrize("key", ["a", "A.b_c-d", "example.com/name", "a" * 63, "x.y/" + "a" * 63])
def test_label_keys(key: str) -> None:
    assert naming.label_key_problem(key) == ""


@pytest.mark.parametrize("key", ["", "/a", "a/", "a/b/c", "-a", "a b", "a" * 64, "Ex.com/a", "a\n", "x" * 254 + "/a"])
def test_no_label_keys(key: str) -> None:
    assert naming.label_key_problem(key)


@pytest.mark.parametrize(("value", "fits"), [("", True), ("a", True), ("a" * 64, False), ("a b", False), ("-", False)])
def test_label_values(value: str, fits: bool) -> None:
    assert (naming.label_value_problem(value) == "") is fits


@pytest.mark.parametrize(
    ("task", "node"),
    [("pkg.mod.task", "pkgmodtask"), ("T_1", "t1"), ("...", "task"), ("-a-", "a"), ("x" * 100, "x" * 63)],
)
def test_node_id_of_a_single_task(task: str, node: str) -> None:
    assert naming.single_task_node_id(task) == node
