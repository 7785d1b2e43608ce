"""Dynamic workflows: graphs made at run time, by the number, by kind, and within one another."""

from compat.runs import Runs, node_phase, phase, tree


def test_the_graph_is_walked_and_its_output_goes_on(runs: Runs) -> None:
    done = runs.run("dynamics.chain", {"n": 4})
    assert done.outputs["o0"] == 106
    dynamic = done.node_executions["n1"]
    assert dynamic.metadata.is_parent_node
    assert dynamic.metadata.is_dynamic
    assert {id: node_phase(node) for id, node in dynamic.subworkflow_node_executions.items() if "-dn" in id} == {
        f"n1-0-dn{index}": "SUCCEEDED" for index in range(4)
    }
    assert [one.id.task_id.name for one in dynamic.subworkflow_node_executions["n1-0-dn0"].task_executions] == [
        "dynamics.add"
    ]


def test_a_graph_without_nodes(runs: Runs) -> None:
    assert runs.results("dynamics.empty", {"x": 3}) == [4]
    assert runs.results("dynamics.chain", {"n": 0}) == [100]


def test_dynamic_nodes_within_dynamic_nodes(runs: Runs) -> None:
    done = runs.run("dynamics.recursive", {"n": 3})
    assert done.outputs["o0"] == 6
    nodes = tree(done)
    assert sum(node.metadata.is_dynamic for node in nodes.values()) == 4
    assert {node_phase(node) for node in nodes.values()} == {"SUCCEEDED"}


def test_a_failure_inside_fails_the_dynamic_node_with_the_users_error(runs: Runs) -> None:
    done = runs.run("dynamics.broken", {"n": 4})
    assert phase(done) == "FAILED"
    assert "3 is too large" in done.closure.error.message
    nodes = tree(done)
    assert node_phase(nodes["n0"]) == "FAILED"
    assert node_phase(nodes["n0-0-dn3"]) == "FAILED"


def test_every_other_kind_within_a_dynamic_node(runs: Runs) -> None:
    assert runs.results("dynamics.every_kind", {"n": 3}, {"n": 1}) == [[6, 12, 5, 144], [2, 4, 0, 4]]
