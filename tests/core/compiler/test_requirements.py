"""What must be loaded before compiling."""

from core.compiler.building import array, branch, equals, launch, plan_id, run, sub, task_id, workflow
from sailplane_core.compiler import Requirements, required_entities
from sailplane_protos.core import workflow_pb2


def test_references_are_found_wherever_they_stand() -> None:
    inside = branch(
        "n1", {}, (equals("c", 1), run("n0", "d")), (equals("c", 2), launch("n1", "lp2")), otherwise=run("n2", "e")
    )
    template = workflow(
        run("n0", "b"),
        run("n1", "a"),
        run("n2", "a"),
        launch("n3", "lp1"),
        branch("n4", {}, (equals("c", 1), run("n0", "c")), otherwise=inside),
        array("n5", run("i", "f"), {}),
        array("n6", launch("i", "lp3"), {}),
        sub("n7", "child"),
        on_failure=run("fn0", "g"),
    )
    child = workflow(run("n0", "h"), launch("n1", "lp1"), name="child", on_failure=launch("fn0", "lp4"))
    assert required_entities(template, [child]) == Requirements(
        tasks=tuple(task_id(name) for name in "abcdefgh"),
        launch_plans=tuple(plan_id(f"lp{i}") for i in (1, 2, 3, 4)),
    )


def test_a_workflow_that_refers_to_nothing() -> None:
    assert required_entities(workflow_pb2.WorkflowTemplate()) == Requirements((), ())


def test_empty_references_are_left_to_the_compiler() -> None:
    template = workflow_pb2.WorkflowTemplate(
        nodes=[
            workflow_pb2.Node(id="a", task_node=workflow_pb2.TaskNode()),
            workflow_pb2.Node(id="b", branch_node=workflow_pb2.BranchNode()),
            workflow_pb2.Node(id="c", array_node=workflow_pb2.ArrayNode()),
        ]
    )
    assert required_entities(template) == Requirements((), ())
