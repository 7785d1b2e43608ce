"""Every check of the compiler: a workflow with one mistake, and the code and node it is reported with."""

import pytest
from core.compiler.building import (
    Data,
    Node,
    array,
    branch,
    compiled,
    equals,
    found,
    gate,
    launch,
    node,
    problems,
    promise,
    run,
    sub,
    tasks,
    workflow,
)
from core.types.samples import (
    FLOAT,
    INT,
    NONE,
    STR,
    STRUCT,
    Type,
    choice,
    dataclass,
    enum,
    list_of,
    map_of,
    offloaded,
    optional,
    union,
)
from google.protobuf import duration_pb2
from sailplane_protos.core import condition_pb2, literals_pb2, types_pb2, workflow_pb2

POINT = dataclass(x=INT, names=list_of(STR), inner=dataclass(y=FLOAT), maybe=optional(dataclass(z=INT)))
TASKS = tasks(
    make=({}, {"x": INT}),
    text=({}, {"x": STR}),
    use=({"x": INT}, {"y": INT}),
    many=({"xs": list_of(INT)}, {"ys": list_of(INT)}),
    gaps=({"xs": list_of(optional(INT))}, {}),
    table=({"m": map_of(INT)}, {}),
    maybe=({"x": optional(INT)}, {}),
    either=({"x": union(INT, list_of(INT), list_of(STR))}, {}),
    color=({"c": enum("red", "green")}, {"c": enum("red", "green")}),
    hue=({"c": optional(enum("red", "green"))}, {}),
    say=({"s": STR}, {}),
    point=({}, {"p": POINT}),
    loose=({}, {"p": STRUCT}),
    pair=({}, {"a": INT, "b": STR}),
    clean=({"x": INT, "err": optional(Type(simple=types_pb2.ERROR))}, {}),
)
SLEEP = workflow_pb2.SleepCondition(duration=duration_pb2.Duration(seconds=1))
APPROVE = workflow_pb2.ApproveCondition(signal_id="ok")
SIGNAL = workflow_pb2.SignalCondition(signal_id="s", type=INT, output_variable_name="v")
MAKE = run("n0", "make")


def inner(task: str = "make", id: str = "n0", **bound: object) -> Node:
    """A node in a case."""
    return run(id, task, **bound)


IDS = {
    "a node without an id": ([node("")], {("ValueRequired", "<node>")}),
    "two nodes of one id": ([MAKE, run("n0", "text")], {("DuplicateId", "n0")}),
    "a node called start-node": ([run("start-node", "make")], {("DuplicateId", "start-node")}),
    "a node id that leaves its directory": ([run("../../out", "make")], {("InvalidNodeId", "../../out")}),
    "a node id that is a directory": ([run("..", "make")], {("InvalidNodeId", "..")}),
    "a node id with a line break": ([run("a\nb", "make")], {("InvalidNodeId", "a\nb")}),
    "a node called end-node": ([run("end-node", "make")], {("DuplicateId", "end-node")}),
    "a case's node with another one's id": (
        [run("n1-n0", "make"), branch("n1", {}, otherwise=inner())],
        {("DuplicateId", "n1-n0"), ("BranchNodeHasNoCondition", "n1")},
    ),
    "an upstream node that is not there": ([run("n0", "make", after=["n9"])], {("NodeReferenceNotFound", "n0")}),
    "a promise of a node that is not there": ([run("n0", "use", x="n9.x")], {("NodeReferenceNotFound", "n0")}),
    "a promise of the end node": ([run("n0", "use", x="end-node.x")], {("NodeReferenceNotFound", "n0")}),
    "a promise of a node within a case": (
        [branch("n1", {"c": 1}, (equals("c", 1), inner()), otherwise="no"), run("n2", "use", x="n1-n0.x")],
        {("NodeReferenceNotFound", "n2")},
    ),
}
REFERENCES = {
    "a node that runs nothing": ([node("n0")], {("ValueRequired", "n0")}),
    "a task node without a task": ([Node(id="n0", task_node=workflow_pb2.TaskNode())], {("ValueRequired", "n0")}),
    "a workflow node without a workflow": (
        [Node(id="n0", workflow_node=workflow_pb2.WorkflowNode())],
        {("ValueRequired", "n0")},
    ),
    "an unknown task": ([run("n0", "missing")], {("TaskReferenceNotFound", "n0")}),
    "an unknown task in a case": (
        [branch("n1", {"c": 1}, (equals("c", 1), inner("missing")), otherwise="no")],
        {("TaskReferenceNotFound", "n1-n0")},
    ),
    "an unknown sub-workflow": ([sub("n0", "missing")], {("WorkflowReferenceNotFound", "n0")}),
    "an unknown launch plan": ([launch("n0", "missing")], {("WorkflowReferenceNotFound", "n0")}),
}
BINDINGS = {
    "an input left unbound": ([run("n0", "use")], {("ParameterNotBound", "n0")}),
    "an input bound twice": (
        [
            Node(
                id="n0",
                inputs=[literals_pb2.Binding(var="x", binding=promise(".i"))] * 2,
                task_node=run("n0", "use").task_node,
            )
        ],
        {("ParameterBoundMoreThanOnce", "n0")},
    ),
    "an input that is none": ([run("n0", "make", z=1)], {("VariableNameNotFound", "n0")}),
    "a binding to nothing": ([run("n0", "use", x=Data())], {("ValueRequired", "n0")}),
    "an output that is none": ([MAKE, run("n1", "use", x="n0.z")], {("VariableNameNotFound", "n1")}),
    "an input of the workflow that is none": ([run("n0", "use", x=".z")], {("VariableNameNotFound", "n0")}),
    "a literal of another type": ([run("n0", "use", x="a")], {("MismatchingTypes", "n0")}),
    "a promise of another type": (
        [run("n0", "text"), run("n1", "use", x="n0.x")],
        {("MismatchingTypes", "n1")},
    ),
    "a workflow input of another type": ([run("n0", "use", x=".t")], {("MismatchingTypes", "n0")}),
    "an element of another type": ([run("n0", "many", xs=[1, "a"])], {("MismatchingTypes", "n0")}),
    "a value of another type": ([run("n0", "table", m={"a": "b"})], {("MismatchingTypes", "n0")}),
    "a list for a number": ([run("n0", "use", x=[1])], {("MismatchingBindings", "n0")}),
    "a map for a list": ([run("n0", "many", xs={"a": 1})], {("MismatchingBindings", "n0")}),
    "a list for a map": ([run("n0", "table", m=[1])], {("MismatchingBindings", "n0")}),
    "a list that fits two alternatives": ([run("n0", "either", x=[])], {("AmbiguousBindingUnionValue", "n0")}),
    "a list that fits no alternative": ([run("n0", "either", x=[1.5])], {("IncompatibleBindingUnionValue", "n0")}),
    "a map that fits no alternative": ([run("n0", "either", x={})], {("IncompatibleBindingUnionValue", "n0")}),
    "no value of an enum": ([run("n0", "color", c="blue")], {("IllegalEnumValue", "n0")}),
    "an optional enum": ([run("n0", "hue", c=choice("blue", STR))], {("IllegalEnumValue", "n0")}),
    "a value that is not what it says": ([run("n0", "maybe", x=choice("a", INT))], {("UnrecognizedValue", "n0")}),
    "an empty scalar": ([run("n0", "use", x=Data(scalar=literals_pb2.Scalar()))], {("UnrecognizedValue", "n0")}),
    "a stored value of another type": (
        [run("n0", "use", x=Data(offloaded_metadata=offloaded(STR).offloaded_metadata))],
        {("MismatchingTypes", "n0")},
    ),
}
ATTRIBUTES = {
    "a field that is none": ([run("n0", "point"), run("n1", "use", x=promise("n0.p", "q"))], {("FieldNotFound", "n1")}),
    "a field of another type": (
        [run("n0", "point"), run("n1", "use", x=promise("n0.p", "names", 0))],
        {("MismatchingTypes", "n1")},
    ),
    "a field of a number": ([MAKE, run("n1", "use", x=promise("n0.x", "a"))], {("FieldNotFound", "n1")}),
    "a named element of a list": (
        [run("n0", "many", xs=[]), run("n1", "use", x=promise("n0.ys", "a"))],
        {("FieldNotFound", "n1")},
    ),
    "an optional field's field of another type": (
        [run("n0", "point"), run("n1", "say", s=promise("n0.p", "maybe", "z"))],
        {("MismatchingTypes", "n1")},
    ),
    "an index of a structure": (
        [run("n0", "point"), run("n1", "use", x=promise("n0.p", 0))],
        {("FieldNotFound", "n1")},
    ),
    "an element of what is no list, the old way": (
        [MAKE, run("n1", "use", x="n0.[0].x")],
        {("FieldNotFound", "n1")},
    ),
}
BRANCHES = {
    "a branch without cases": ([branch("n0", {}, otherwise="no")], {("BranchNodeHasNoCondition", "n0")}),
    "a case without a condition": (
        [branch("n0", {}, (None, inner()), otherwise="no")],
        {("BranchNodeHasNoCondition", "n0")},
    ),
    "an empty condition": (
        [branch("n0", {}, (condition_pb2.BooleanExpression(), inner()), otherwise="no")],
        {("BranchNodeHasNoCondition", "n0")},
    ),
    "a case without a node": (
        [branch("n0", {"c": 1}, (equals("c", 1), None), otherwise="no")],
        {("BranchNodeIdNotFound", "n0")},
    ),
    "a branch without an else": (
        [branch("n0", {"c": 1}, (equals("c", 1), inner()))],
        {("BranchNodeHasNoDefault", "n0")},
    ),
    "a condition on what is not bound": (
        [branch("n0", {"c": 1}, (equals("d", 1), inner()), otherwise="no")],
        {("VariableNameNotFound", "n0")},
    ),
    "a number compared with a text": (
        [branch("n0", {"c": 1}, (equals("c", "1"), inner()), otherwise="no")],
        {("MismatchingTypes", "n0")},
    ),
    "a number compared with a truth": (
        [branch("n0", {"c": 1.5}, (equals("c", True), inner()), otherwise="no")],
        {("MismatchingTypes", "n0")},
    ),
    "a comparison without its sides": (
        [
            branch(
                "n0",
                {},
                (condition_pb2.BooleanExpression(comparison=condition_pb2.ComparisonExpression()), inner()),
                otherwise="no",
            )
        ],
        {("ValueRequired", "n0")},
    ),
    "cases that give different types": (
        [branch("n0", {"c": 1}, (equals("c", 1), inner("make")), otherwise=inner("text", "n1"))],
        {("MismatchingTypes", "n0-n1")},
    ),
    "a mistake in a case": (
        [branch("n0", {"c": 1}, (equals("c", 1), inner("use", x="a")), otherwise="no")],
        {("MismatchingTypes", "n0-n0")},
    ),
    "mistakes in several cases": (
        [branch("n0", {"c": 1}, (equals("c", 1), inner("missing")), otherwise=inner("use", "n1"))],
        {("TaskReferenceNotFound", "n0-n0"), ("ParameterNotBound", "n0-n1")},
    ),
    "a mistake in a case of a case": (
        [
            branch(
                "n0",
                {"c": 1},
                (equals("c", 1), branch("n5", {"c": 1}, (equals("c", 2), inner("use")), otherwise="no")),
                otherwise="no",
            )
        ],
        {("ParameterNotBound", "n0-n5-n0")},
    ),
    "an output that only one case has": (
        [
            branch("n0", {"c": 1}, (equals("c", 1), inner("make")), otherwise=inner("pair", "n1")),
            run("n2", "use", x="n0.x"),
        ],
        {("VariableNameNotFound", "n2")},
    ),
}
GATES = {
    "a gate without a condition": ([gate("n0", None)], {("NoConditionFound", "n0")}),
    "an approval without a signal": ([gate("n0", workflow_pb2.ApproveCondition())], {("ValueRequired", "n0")}),
    "a signal without anything": ([gate("n0", workflow_pb2.SignalCondition())], {("ValueRequired", "n0")}),
    "a signal's value where another type is declared": (
        [gate("n0", SIGNAL), run("n1", "say", s="n0.v")],
        {("MismatchingTypes", "n1")},
    ),
    "an approved value where another type is declared": (
        [MAKE, gate("n1", APPROVE, x="n0.x"), run("n2", "say", s="n1.x")],
        {("MismatchingTypes", "n2")},
    ),
    "an approved list where another type is declared": (
        [gate("n1", APPROVE, x=[1, "a"]), run("n2", "many", xs="n1.x")],
        {("MismatchingTypes", "n2")},
    ),
    "an approved map where another type is declared": (
        [gate("n1", APPROVE, x={"k": "a"}), run("n2", "table", m="n1.x")],
        {("MismatchingTypes", "n2")},
    ),
    "an output of a pause": ([gate("n0", SLEEP), run("n1", "use", x="n0.x")], {("VariableNameNotFound", "n1")}),
    "an approval of two things of one name": (
        [Node(id="n0", inputs=gate("", APPROVE, x=1).inputs[:] * 2, gate_node=gate("", APPROVE).gate_node)],
        {("ParameterBoundMoreThanOnce", "n0")},
    ),
}
ARRAYS = {
    "an array of nothing": ([array("n0", Node(), {})], {("InvalidValue", "n0")}),
    "an array of branches": ([array("n0", branch("i", {}, otherwise="no"), {})], {("InvalidValue", "n0")}),
    "an array of an unknown task": ([array("n0", run("i", "missing"), {})], {("TaskReferenceNotFound", "n0")}),
    "an impossible share of successes": (
        [array("n0", run("i", "many"), {"xs": [1]}, min_success_ratio=1.5)],
        {("InvalidValue", "n0")},
    ),
    "a plain value where a list is mapped over": (
        [array("n0", run("i", "use"), {"x": 1}, is_original_sub_node_interface={"value": True})],
        {("MismatchingTypes", "n0")},
    ),
}
OUTPUTS = {
    "an alias of nothing": ([run("n0", "make", aliases={"z": "w"})], {("ParameterNotBound", "n0")}),
    "the name before the alias": (
        [run("n0", "make", aliases={"x": "w"}), run("n1", "use", x="n0.x")],
        {("VariableNameNotFound", "n1")},
    ),
    "two outputs under one alias": (
        [run("n0", "pair", aliases={"a": "w", "b": "w"})],
        {("DuplicateAlias", "n0")},
    ),
}
OVERRIDES = {
    "an amount that is none": (
        [
            Node(
                id="n0",
                task_node=workflow_pb2.TaskNode(
                    reference_id=MAKE.task_node.reference_id,
                    overrides={"resources": {"requests": [{"name": "CPU", "value": "lots"}]}},
                ),
            )
        ],
        {("UnrecognizedValue", "n0")},
    ),
}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param(*case, id=name)
        for table in (IDS, REFERENCES, BINDINGS, ATTRIBUTES, BRANCHES, GATES, ARRAYS, OUTPUTS, OVERRIDES)
        for name, case in table.items()
    ],
)
def test_a_mistake_is_reported_once_where_it_stands(nodes: list[Node], expected: set[tuple[str, str]]) -> None:
    assert found(workflow(*nodes, inputs={"i": INT, "t": STR}), TASKS) == expected


GOOD = {
    "an optional input may be left out": [run("n0", "maybe")],
    "an optional input may be bound": [run("n0", "maybe", x=1)],
    "None for an optional input": [run("n0", "maybe", x=None)],
    "a value that names its alternative": [run("n0", "maybe", x=choice(1, INT))],
    "an enum's value": [run("n0", "color", c="red")],
    "an enum as a text": [run("n0", "color", c="red"), run("n1", "say", s="n0.c")],
    "a text as an enum": [run("n0", "text"), run("n1", "color", c="n0.x")],
    "lists of promises and values": [MAKE, run("n1", "many", xs=["n0.x", 1])],
    "maps of promises and values": [MAKE, run("n1", "table", m={"a": "n0.x", "b": 1})],
    "an empty list": [run("n0", "many", xs=[])],
    "a list for the one alternative that is one": [run("n0", "either", x=["a"])],
    "a field": [run("n0", "point"), run("n1", "use", x=promise("n0.p", "x"))],
    "an element of a field": [run("n0", "point"), run("n1", "say", s=promise("n0.p", "names", 0))],
    "a field of an optional field": [run("n0", "point"), run("n1", "use", x=promise("n0.p", "maybe", "z"))],
    "a field of a structure without description": [run("n0", "loose"), run("n1", "use", x=promise("n0.p", "x", "y"))],
    "an element, the old way": [run("n0", "many", xs=[]), run("n1", "use", x="n0.[0].ys")],
    "an alias": [run("n0", "make", aliases={"x": "w"}), run("n1", "use", x="n0.w")],
    "a pause": [gate("n0", SLEEP), run("n1", "make", after=["n0"])],
    "a signal": [gate("n0", SIGNAL), run("n1", "use", x="n0.v")],
    "an approval passes on what it got": [MAKE, gate("n1", APPROVE, x="n0.x"), run("n2", "use", x="n1.x")],
    "an approval of a list": [MAKE, gate("n1", APPROVE, x=["n0.x"]), run("n2", "many", xs="n1.x")],
    "an approval of an empty list": [gate("n1", APPROVE, x=[]), run("n2", "many", xs="n1.x")],
    "an approval of what nobody knows": [
        run("n0", "loose"),
        gate("n1", APPROVE, x=[promise("n0.p", "a")]),
        run("n2", "many", xs="n1.x"),
    ],
    "nodes in any order": [run("n2", "use", x="n1.x"), gate("n1", APPROVE, x="n0.x"), MAKE],
    "a branch gives what all cases give": [
        branch("n0", {"c": ".i"}, (equals("c", 1), inner()), otherwise=inner(id="n1")),
        run("n2", "use", x="n0.x"),
    ],
    "an optional value compared with a value": [
        branch("n0", {"c": choice(1, optional(INT))}, (equals("c", 1), inner()), otherwise="no")
    ],
    "a whole number compared with another number": [
        branch("n0", {"c": 1}, (equals("c", 1.5), inner()), otherwise="no"),
        branch("n1", {"c": 1.5}, (equals("c", 1), inner()), otherwise="no"),
        branch("n2", {"c": choice(1, optional(INT))}, (equals("c", 1.5), inner()), otherwise="no"),
    ],
    "an array over lists made by the client": [
        array("n0", run("i", "many"), {"xs": [1]}),
        run("n1", "many", xs="n0.ys"),
    ],
    "an array over lists that we make": [
        array("n0", run("i", "use"), {"x": [1, 2]}, is_original_sub_node_interface={"value": True}),
        run("n1", "many", xs="n0.y"),
    ],
    "an array of which some may fail": [
        array("n0", run("i", "use"), {"x": [1]}, is_original_sub_node_interface={"value": True}, min_success_ratio=0.5),
        run("n1", "many", xs="n0.y"),
        run("n2", "gaps", xs="n0.y"),
    ],
    "an array with an input for all": [
        array("n0", run("i", "use"), {"x": 1}, is_original_sub_node_interface={"value": True}, bound_inputs=["x"])
    ],
}


@pytest.mark.parametrize("nodes", GOOD.values(), ids=GOOD)
def test_what_is_right_compiles(nodes: list[Node]) -> None:
    closure = compiled(workflow(*nodes, inputs={"i": INT, "t": STR}), TASKS)
    assert [one.id for one in closure.primary.template.nodes[2:]] == [one.id for one in nodes]


def test_all_mistakes_are_reported_together() -> None:
    template = workflow(run("n0", "missing"), run("n1", "use"), run("n2", "use", x="n9.x"), bound={"o": 1})
    assert found(template, TASKS) == {
        ("TaskReferenceNotFound", "n0"),
        ("ParameterNotBound", "n1"),
        ("NodeReferenceNotFound", "n2"),
        ("VariableNameNotFound", "end-node"),
    }


def test_a_mistake_elsewhere_is_not_blamed_on_who_depends_on_it() -> None:
    template = workflow(
        run("n0", "missing"), run("n1", "use", x="n0.x"), gate("n2", APPROVE, x="n0.x"), run("n3", "use", x="n2.x")
    )
    assert found(template, TASKS) == {("TaskReferenceNotFound", "n0")}


def test_a_case_that_is_not_known_leaves_open_what_its_branch_gives() -> None:
    one = branch("n0", {"c": 1}, (equals("c", 1), inner("pair")), otherwise=inner("missing", "n1"))
    assert found(workflow(one, run("n2", "say", s="n0.a")), TASKS) == {("TaskReferenceNotFound", "n0-n1")}


def test_a_workflow_needs_nodes() -> None:
    assert found(workflow(), TASKS) == {("NoNodesFound", "wf")}


def test_outputs_must_be_bound_to_what_fits() -> None:
    outputs = {"a": INT, "b": INT, "c": optional(INT)}
    template = workflow(run("n0", "text"), outputs=outputs, bound={"a": "n0.x", "d": 1})
    assert [(one.code, one.node_id) for one in problems(template, TASKS)] == [
        ("MismatchingTypes", "end-node"),
        ("VariableNameNotFound", "end-node"),
        ("ParameterNotBound", "end-node"),
    ]


def test_variables_need_types() -> None:
    template = workflow(MAKE, inputs={"i": Type()})
    assert found(template, TASKS) == {("ValueRequired", "start-node")}


def test_messages_name_what_is_wrong() -> None:
    (problem,) = problems(workflow(run("n0", "text"), run("n1", "use", x="n0.x")), TASKS)
    assert problem.description == "n0.x, bound to 'x', is of type string, which does not fit integer."


def test_none_is_compared_with_what_may_be_none() -> None:
    nothing = condition_pb2.Operand(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    is_none = condition_pb2.BooleanExpression(
        comparison=condition_pb2.ComparisonExpression(left_value={"var": "c"}, right_value=nothing)
    )
    both = condition_pb2.BooleanExpression(
        conjunction=condition_pb2.ConjunctionExpression(left_expression=is_none, right_expression=is_none)
    )
    inputs = {"c": optional(INT), "d": INT}
    for_optional = branch("n0", {"c": ".c"}, (both, inner()), otherwise="no")
    assert compiled(workflow(for_optional, inputs=inputs), TASKS)
    for_int = branch("n0", {"c": ".d"}, (both, inner()), otherwise="no")
    assert found(workflow(for_int, inputs=inputs), TASKS) == {("MismatchingTypes", "n0")}


def test_a_value_of_none_type_is_not_unbound() -> None:
    known = tasks(nil=({"x": NONE}, {}))
    assert found(workflow(run("n0", "nil")), known) == {("ParameterNotBound", "n0")}
    assert compiled(workflow(run("n0", "nil", x=None)), known)
