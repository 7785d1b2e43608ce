"""The graph that the compiler lays: ids, edges in both directions, order, cycles, and sameness of the result."""

from random import Random

import pytest
from core.compiler.building import (
    array,
    branch,
    compiled,
    downstream,
    equals,
    found,
    gate,
    problems,
    run,
    sub,
    tasks,
    upstream,
    workflow,
)
from core.types.samples import INT
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.ids import END_NODE_ID, START_NODE_ID
from sailplane_protos.core import compiler_pb2, workflow_pb2

TASKS = tasks(make=({}, {"x": INT}), use=({"x": INT}, {"x": INT}), add=({"a": INT, "b": INT}, {"x": INT}))


def test_start_and_end_node_come_first_and_hold_the_ends_of_the_data() -> None:
    template = workflow(run("n0", "use", x=".i"), inputs={"i": INT}, outputs={"o": INT}, bound={"o": "n0.x"})
    primary = compiled(template, TASKS).primary
    assert [one.id for one in primary.template.nodes] == [START_NODE_ID, END_NODE_ID, "n0"]
    assert primary.template.nodes[2].inputs[0].binding.promise.node_id == START_NODE_ID
    assert primary.template.nodes[1].inputs == primary.template.outputs
    assert upstream(primary) == {"n0": [START_NODE_ID], END_NODE_ID: ["n0"]}
    assert downstream(primary) == {START_NODE_ID: ["n0"], "n0": [END_NODE_ID]}


def test_an_output_that_is_an_input_of_the_workflow() -> None:
    template = workflow(run("n0", "make"), inputs={"i": INT}, outputs={"o": INT}, bound={"o": ".i"})
    primary = compiled(template, TASKS).primary
    assert primary.template.outputs[0].binding.promise.node_id == START_NODE_ID
    assert upstream(primary) == {"n0": [START_NODE_ID], END_NODE_ID: ["n0", START_NODE_ID]}


def test_edges_come_from_upstream_ids_and_from_bindings() -> None:
    template = workflow(
        run("a", "make"), run("b", "make", after=["a"]), run("c", "add", after=["b", "b"], a="a.x", b=1)
    )
    primary = compiled(template, TASKS).primary
    assert upstream(primary) == {"a": [START_NODE_ID], "b": ["a"], "c": ["a", "b"], END_NODE_ID: ["c"]}
    assert downstream(primary) == {START_NODE_ID: ["a"], "a": ["b", "c"], "b": ["c"], "c": [END_NODE_ID]}


def test_the_end_node_waits_for_nodes_that_nobody_waits_for() -> None:
    template = workflow(run("a", "make"), run("b", "make"), outputs={"o": INT}, bound={"o": "a.x"})
    assert upstream(compiled(template, TASKS).primary)[END_NODE_ID] == ["a", "b"]


def test_upstream_ids_are_sorted_and_name_only_written_nodes() -> None:
    names = list("abcdefgh")
    last = run("z", "make", after=[*reversed(names), START_NODE_ID, "", "b"])
    nodes = compiled(workflow(*(run(name, "make") for name in names), last), TASKS).primary.template.nodes
    assert list(nodes[-1].upstream_node_ids) == names


def test_nodes_of_cases_are_named_after_their_branch_and_are_not_in_the_graph() -> None:
    inside = branch("n7", {"c": ".i"}, (equals("c", 2), run("n0", "use", x="n1.x")), otherwise=run("n1", "make"))
    template = workflow(
        run("n0", "make"),
        run("n1", "make"),
        branch("n2", {"c": "n0.x"}, (equals("c", 1), run("n0", "use", x="n0.x")), otherwise=inside),
        inputs={"i": INT},
    )
    primary = compiled(template, TASKS).primary
    if_else = primary.template.nodes[4].branch_node.if_else
    assert if_else.case.then_node.id == "n2-n0"
    assert if_else.else_node.id == "n2-n7"
    assert if_else.else_node.branch_node.if_else.case.then_node.id == "n2-n7-n0"
    assert if_else.else_node.branch_node.if_else.else_node.id == "n2-n7-n1"
    assert [one.id for one in primary.template.nodes] == [START_NODE_ID, END_NODE_ID, "n0", "n1", "n2"]
    assert "n2-n0" not in {one for below in downstream(primary).values() for one in below}
    assert upstream(primary)["n2-n7-n0"] == ["n1"]


def test_a_branch_waits_for_what_its_cases_may_need() -> None:
    template = workflow(
        run("n0", "make"),
        branch("n1", {"c": 1}, (equals("c", 1), run("n0", "use", x="n0.x")), otherwise="no"),
    )
    assert upstream(compiled(template, TASKS).primary)["n1"] == ["n0"]


def test_what_an_array_runs_refers_to_nodes_in_the_same_form() -> None:
    template = workflow(array("n0", run("i", "use", x=".i"), {"x": ".i"}), inputs={"i": INT})
    inner = compiled(template, TASKS).primary.template.nodes[2].array_node.node
    assert inner.id == "i"
    assert inner.inputs[0].binding.promise.node_id == START_NODE_ID


def test_interface_maps_are_there_even_when_empty() -> None:
    closure = compiled(workflow_pb2.WorkflowTemplate(nodes=[run("n0", "make")]), TASKS)
    assert closure.primary.template.interface.HasField("inputs")
    assert closure.primary.template.interface.HasField("outputs")


def test_identifiers_say_what_they_identify() -> None:
    child = workflow(run("n0", "make"), name="child")
    child.id.resource_type = 0
    node, inner = run("n0", "make"), sub("n1", "child")
    node.task_node.reference_id.resource_type = 0
    inner.workflow_node.sub_workflow_ref.resource_type = 0
    closure = compiled(workflow(node, inner), TASKS, [child])
    nodes = closure.primary.template.nodes
    assert nodes[2].task_node.reference_id == closure.tasks[0].template.id
    assert nodes[3].workflow_node.sub_workflow_ref == closure.sub_workflows[0].template.id


def test_every_task_is_listed_once_wherever_it_is_used() -> None:
    known = tasks(**{name: ({}, {}) for name in ("a", "b", "c", "d", "unused")})
    child = workflow(run("n0", "c"), run("n1", "a"), name="child")
    template = workflow(
        run("n0", "a"),
        sub("n1", "child"),
        branch("n2", {"c": 1}, (equals("c", 1), run("n0", "b")), otherwise="no"),
        on_failure=run("fn0", "d"),
    )
    closure = compiled(template, known, [child])
    assert [task.template.id.name for task in closure.tasks] == ["a", "b", "c", "d"]


def test_the_template_is_left_as_it_was() -> None:
    template = workflow(
        branch("n1", {"c": ".i"}, (equals("c", 1), run("n0", "make")), otherwise="no"), inputs={"i": INT}
    )
    before = template.SerializeToString(deterministic=True)
    compiled(template, TASKS)
    assert template.SerializeToString(deterministic=True) == before


def test_the_order_of_upstream_ids_makes_no_difference() -> None:
    results: set[bytes] = set()
    for after in (["a", "b"], ["b", "a"]):
        template = workflow(run("a", "make"), run("b", "make"), run("c", "make", after=after))
        results.add(compiled(template, TASKS).SerializeToString(deterministic=True))
    assert len(results) == 1


class TestCycles:
    def test_two_nodes_that_wait_for_each_other(self) -> None:
        template = workflow(run("a", "make", after=["b"]), run("b", "make", after=["a"]), run("c", "make", after=["b"]))
        (problem,) = problems(template, TASKS)
        assert (problem.code, problem.node_id) == ("CycleDetected", "a")
        assert "a > b > a" in problem.description

    def test_a_node_that_waits_for_itself(self) -> None:
        assert found(workflow(run("a", "use", x="a.x")), TASKS) == {("CycleDetected", "a")}

    def test_a_case_that_waits_for_its_own_branch(self) -> None:
        template = workflow(branch("a", {"c": 1}, (equals("c", 1), run("n0", "use", x="a.x")), otherwise="no"))
        assert found(template, TASKS) == {("CycleDetected", "a")}

    def test_gates_that_pass_on_each_other(self) -> None:
        approve = workflow_pb2.ApproveCondition(signal_id="s")
        template = workflow(gate("a", approve, x="b.x"), gate("b", approve, x="a.x"), run("c", "use", x="b.x"))
        assert found(template, TASKS) == {("CycleDetected", "a")}

    def test_a_knot_is_reported_by_a_few_cycles_not_by_all_in_it(self) -> None:
        nodes = [run(name, "make", after=list("abcd")) for name in "abcd"]
        assert len(problems(workflow(*nodes), TASKS)) == 4  # each waits for itself
        for node in nodes:
            node.upstream_node_ids.remove(node.id)
        assert len(problems(workflow(*nodes), TASKS)) == 2

    def test_each_cycle_is_reported(self) -> None:
        template = workflow(
            run("a", "make", after=["a"]), run("b", "make", after=["c"]), run("c", "make", after=["b", "a"])
        )
        assert found(template, TASKS) == {("CycleDetected", "a"), ("CycleDetected", "b")}


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """For each node, the earlier nodes that it waits for."""
    size = draw(st.integers(1, 12))
    return [draw(st.lists(st.integers(0, i - 1), unique=True, max_size=3)) if i else [] for i in range(size)]


def nodes_of(graph: list[list[int]]) -> list[workflow_pb2.Node]:
    """The first node waited for is bound, the others are only named."""
    return [
        run(f"n{i}", "use", after=[f"n{above}" for above in waits[1:]], x=f"n{waits[0]}.x" if waits else 1)
        for i, waits in enumerate(graph)
    ]


def written(primary: compiler_pb2.CompiledWorkflow) -> list[str]:
    """The user's nodes."""
    return [one.id for one in primary.template.nodes[2:]]


@given(graphs(), st.randoms(use_true_random=False))
def test_every_graph_compiles_in_any_order_of_its_nodes(graph: list[list[int]], random: Random) -> None:
    nodes = nodes_of(graph)
    random.shuffle(nodes)
    primary = compiled(workflow(*nodes), TASKS).primary
    above, below = upstream(primary), downstream(primary)
    assert {(a, b) for b, many in above.items() for a in many} == {(a, b) for a, many in below.items() for b in many}
    assert written(primary) == [one.id for one in nodes]
    for i, waits in enumerate(graph):
        assert above[f"n{i}"] == sorted(f"n{one}" for one in waits) or (not waits and above[f"n{i}"] == [START_NODE_ID])
        assert below[f"n{i}"]
    # Every node lies between start and end.
    reached, stack = set[str](), [START_NODE_ID]
    while stack:
        one = stack.pop()
        if one not in reached:
            reached.add(one)
            stack.extend(below.get(one, []))
    assert reached == {START_NODE_ID, END_NODE_ID, *written(primary)}


@given(graphs(), st.data())
def test_an_edge_back_makes_a_cycle(graph: list[list[int]], data: st.DataObject) -> None:
    descendants = [[i] for i in range(len(graph))]
    for i in range(len(graph)):
        for above in range(i):
            if any(one in descendants[above] for one in graph[i]):
                descendants[above].append(i)
    first = data.draw(st.integers(0, len(graph) - 1))
    last = data.draw(st.sampled_from(descendants[first]))
    nodes = nodes_of(graph)
    nodes[first].upstream_node_ids.append(f"n{last}")
    assert {code for code, _ in found(workflow(*nodes), TASKS)} == {"CycleDetected"}


@pytest.mark.parametrize("size", [3_000])
def test_long_chains_and_wide_fans(size: int) -> None:
    chain = [run("n0", "make"), *(run(f"n{i}", "use", x=f"n{i - 1}.x") for i in range(1, size))]
    assert len(compiled(workflow(*chain), TASKS).primary.template.nodes) == size + 2
    fan = [run(f"n{i}", "make") for i in range(size)]
    assert len(upstream(compiled(workflow(*fan), TASKS).primary)[END_NODE_ID]) == size
    ring = [run(f"n{i}", "make", after=[f"n{(i + 1) % size}"]) for i in range(size)]
    (problem,) = problems(workflow(*ring), TASKS)
    assert problem.code == "CycleDetected"
    assert len(problem.description) < 300
