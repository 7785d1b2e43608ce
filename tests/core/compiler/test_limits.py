"""What is too large or too deep is refused with a clear error, never with a crash."""

import pytest
from core.compiler.building import branch, compiled, equals, found, interface, run, sub, task_id, tasks, workflow
from core.types.samples import INT, list_of, nested_list
from sailplane_core.compiler import compile_task, required_entities
from sailplane_core.errors import CompileFailed, InvalidRequest
from sailplane_protos.core import literals_pb2, tasks_pb2, workflow_pb2

TASKS = tasks(make=({}, {}), use=({"xs": list_of(INT)}, {}))
DEPTHS = [200, 100_000]


def test_nodes_are_counted_in_sub_workflows_and_branches_too() -> None:
    child = workflow(run("n0", "make"), name="child")
    template = workflow(sub("n0", "child"), branch("n1", {"c": 1}, (equals("c", 1), run("n0", "make")), otherwise="no"))
    assert compiled(template, TASKS, [child], nodes_max=4)
    assert found(template, TASKS, [child], nodes_max=3) == {("TooManyNodes", "p:development:wf:1")}


def chain_of_workflows(length: int, copies: int = 1) -> list[workflow_pb2.WorkflowTemplate]:
    """Workflows each of which contains the next, `copies` times."""
    inner = [workflow(*(sub(f"n{j}", f"w{i + 1}") for j in range(copies)), name=f"w{i}") for i in range(length - 1)]
    return [*inner, workflow(run("n0", "make"), name=f"w{length - 1}")]


def test_sub_workflows_may_be_nested_to_a_limit() -> None:
    first, *rest = chain_of_workflows(50)
    assert len(compiled(first, TASKS, rest).sub_workflows) == 49


@pytest.mark.parametrize("length", [51, 20_000])
def test_sub_workflows_nested_too_deep(length: int) -> None:
    first, *rest = chain_of_workflows(length)
    assert found(first, TASKS, rest) == {("NestedTooDeep", "w0")}


def test_workflows_that_unfold_without_measure() -> None:
    first, *rest = chain_of_workflows(40, copies=2)
    assert found(first, TASKS, rest) == {("TooManyNodes", "w0")}


def test_workflows_that_contain_each_other() -> None:
    one, other = workflow(sub("a", "two"), name="one"), workflow(sub("b", "one"), name="two")
    template = workflow(run("n0", "make"), sub("n1", "one"))
    assert found(template, TASKS, [one, other]) == {("CycleDetected", "a")}


def test_a_workflow_that_contains_itself() -> None:
    assert found(workflow(run("n0", "make"), sub("n1", "wf")), TASKS) == {("CycleDetected", "n1")}


@pytest.mark.parametrize("depth", DEPTHS)
def test_branches_nested_without_end(depth: int) -> None:
    template = workflow_pb2.WorkflowTemplate()
    node = template.nodes.add(id="n0")
    for _ in range(depth):
        node.branch_node.if_else.else_node.id = "n0"
        node = node.branch_node.if_else.else_node
    assert ("NestedTooDeep", "") in found(template, TASKS)
    assert required_entities(template).tasks == ()


@pytest.mark.parametrize("depth", DEPTHS)
def test_bindings_nested_without_end(depth: int) -> None:
    template = workflow(run("n0", "use"))
    data = template.nodes[0].inputs.add(var="xs").binding
    for _ in range(depth):
        data = data.collection.bindings.add()
    assert found(template, TASKS) == {("NestedTooDeep", "wf")}


@pytest.mark.parametrize("depth", DEPTHS)
def test_types_nested_without_end(depth: int) -> None:
    deep = tasks(deep=({}, {}))
    (task,) = deep.values()
    variable = task.template.interface.inputs.variables["xs"]
    inner = variable.type
    for _ in range(depth):
        inner = inner.collection_type
    inner.simple = INT.simple
    with pytest.raises(InvalidRequest, match="nests deeper"):
        compiled(workflow(run("n0", "deep", xs=[1])), deep)


@pytest.mark.parametrize("depth", DEPTHS)
def test_types_of_interfaces_nested_without_end(depth: int) -> None:
    template, task = workflow(run("n0", "make")), tasks_pb2.TaskTemplate()
    for one in (template.interface, task.interface):
        deep = one.inputs.variables["xs"].type
        for _ in range(depth):
            deep = deep.collection_type
        deep.CopyFrom(INT)
    assert found(template, TASKS) == {("NestedTooDeep", "wf")}
    with pytest.raises(CompileFailed, match="NestedTooDeep"):
        compile_task(task_id("t"), task)


@pytest.mark.parametrize(("levels", "is_fine"), [(80, True), (90, False)])
def test_what_clients_could_send_but_not_read_back_is_refused(levels: int, is_fine: bool) -> None:
    deep = {"x": nested_list(levels, INT)}
    task = tasks_pb2.TaskTemplate(interface=interface(deep, {}))
    template = workflow(run("n0", "make"), inputs=deep)
    assert workflow_pb2.WorkflowTemplate.FromString(template.SerializeToString()) == template
    if is_fine:
        assert compile_task(task_id("t"), task)
        assert compiled(template, TASKS)
    else:
        assert found(template, TASKS) == {("NestedTooDeep", "wf")}
        with pytest.raises(CompileFailed, match="NestedTooDeep"):
            compile_task(task_id("t"), task)


def test_conditions_nested_as_deep_as_the_wire_allows() -> None:
    condition = equals("c", 1)
    for _ in range(40):
        outer = type(condition)()
        outer.conjunction.left_expression.CopyFrom(condition)
        outer.conjunction.right_expression.CopyFrom(equals("c", 2))
        condition = outer
    template = workflow(branch("n0", {"c": 1}, (condition, run("n0", "make")), otherwise="no"))
    assert compiled(template, TASKS)


def test_lists_nested_as_deep_as_the_wire_allows() -> None:
    levels = 40
    known = tasks(use=({"xs": nested_list(levels, INT)}, {}))
    template = workflow(run("n0", "use"))
    data = template.nodes[0].inputs.add(var="xs").binding
    for _ in range(levels):
        data = data.collection.bindings.add()
    data.scalar.CopyFrom(literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=1)))
    assert compiled(template, known)
