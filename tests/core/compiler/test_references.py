"""What a workflow refers to: launch plans, sub-workflows, and its failure node."""

from core.compiler.building import array, compiled, found, launch, launch_plan, run, sub, tasks, workflow
from core.types.samples import INT, STR, Type, list_of, optional
from sailplane_protos.core import types_pb2

TASKS = tasks(
    make=({}, {"x": INT}),
    use=({"x": INT}, {"y": INT}),
    many=({"xs": list_of(INT)}, {"ys": list_of(INT)}),
    clean=({"x": INT, "err": optional(Type(simple=types_pb2.ERROR))}, {}),
)
MAKE = run("n0", "make")


class TestLaunchPlans:
    PLANS = launch_plan("lp", {"a": INT, "b": STR}, {"o": INT}, defaults={"b": "x"})

    def test_only_what_is_required_must_be_bound(self) -> None:
        template = workflow(launch("n0", "lp", a=1), run("n1", "use", x="n0.o"))
        assert not compiled(template, TASKS, plans=self.PLANS).launch_plans

    def test_a_default_may_be_replaced(self) -> None:
        assert compiled(workflow(launch("n0", "lp", a=1, b="y")), TASKS, plans=self.PLANS)

    def test_what_replaces_a_default_must_fit(self) -> None:
        template = workflow(launch("n0", "lp", a=1, b=2))
        assert found(template, TASKS, plans=self.PLANS) == {("MismatchingTypes", "n0")}

    def test_what_is_required_must_be_bound(self) -> None:
        assert found(workflow(launch("n0", "lp")), TASKS, plans=self.PLANS) == {("ParameterNotBound", "n0")}

    def test_an_array_of_launch_plans(self) -> None:
        node = array("n0", launch("i", "lp"), {"a": [1, 2]}, is_original_sub_node_interface={"value": True})
        assert compiled(workflow(node, run("n1", "many", xs="n0.o")), TASKS, plans=self.PLANS)


class TestSubWorkflows:
    CHILD = workflow(run("n0", "use", x=".i"), name="child", inputs={"i": INT}, outputs={"o": INT}, bound={"o": "n0.y"})

    def test_a_sub_workflow_is_used_like_a_task(self) -> None:
        template = workflow(sub("n0", "child", i=1), run("n1", "use", x="n0.o"))
        closure = compiled(template, TASKS, [self.CHILD])
        (child,) = closure.sub_workflows
        assert [one.id for one in child.template.nodes] == ["start-node", "end-node", "n0"]
        assert list(child.connections.upstream["end-node"].ids) == ["n0"]

    def test_its_inputs_must_fit(self) -> None:
        assert found(workflow(sub("n0", "child", i="a")), TASKS, [self.CHILD]) == {("MismatchingTypes", "n0")}

    def test_mistakes_inside_are_reported_with_its_name(self) -> None:
        child = workflow(run("n0", "use"), name="child")
        assert found(workflow(sub("n0", "child")), TASKS, [child]) == {("ParameterNotBound", "child/n0")}

    def test_the_same_one_may_be_listed_again(self) -> None:
        closure = compiled(workflow(sub("n0", "child", i=1)), TASKS, [self.CHILD, self.CHILD])
        assert len(closure.sub_workflows) == 1

    def test_another_one_under_the_same_id_may_not(self) -> None:
        other = workflow(run("n0", "make"), name="child")
        collision = {("ValueCollision", "p:development:child:1")}
        assert found(workflow(sub("n0", "child", i=1)), TASKS, [self.CHILD, other]) == collision

    def test_the_workflow_itself_is_none_of_its_sub_workflows(self) -> None:
        template = workflow(run("n0", "make"))
        assert found(template, TASKS, [template]) == {("ValueCollision", "p:development:wf:1")}


class TestFailureNode:
    def test_it_is_compiled_apart_from_the_graph(self) -> None:
        template = workflow(MAKE, inputs={"x": INT}, on_failure=run("fn0", "clean", x=".x"))
        primary = compiled(template, TASKS).primary
        assert primary.template.failure_node.inputs[0].binding.promise.node_id == "start-node"
        assert "fn0" not in {one.id for one in primary.template.nodes}
        assert list(primary.connections.upstream["fn0"].ids) == ["start-node"]
        assert "fn0" not in primary.connections.downstream["start-node"].ids

    def test_it_is_checked_like_any_node(self) -> None:
        assert found(workflow(MAKE, on_failure=run("fn0", "clean", x="a")), TASKS) == {("MismatchingTypes", "fn0")}
        assert found(workflow(MAKE, on_failure=run("n0", "make")), TASKS) == {("DuplicateId", "n0")}
        assert found(workflow(MAKE, on_failure=run("fn0", "gone")), TASKS) == {("TaskReferenceNotFound", "fn0")}
