"""Nodes that start an execution of their own: when it is named, what its end does, and that it never stays behind."""

import pytest
from core.machine.world import FINAL, World, compiled, plan
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import ExecutionId, child_execution_name
from sailplane_core.machine import (
    AbortRequested,
    ChildEnded,
    ChildGone,
    ChildRefused,
    ChildStarted,
    LaunchChild,
    Started,
    TerminateChild,
)
from sailplane_core.phases import ExecutionPhase, NodePhase
from sailplane_protos.core import identifier_pb2

X = ExecutionId("p", "development", "x")
CHILD = child_execution_name(X, "a", 0)


@pytest.fixture
def world() -> World:
    """An execution that has begun, whose one node `a` is to start a launch plan."""
    workflow = compiled("w", {"a": []})
    for node in workflow.template.nodes:
        if node.id == "a":
            node.ClearField("task_node")
            node.workflow_node.launchplan_ref.resource_type = identifier_pb2.LAUNCH_PLAN
    made = World(plan(workflow))
    made.see(Started())
    assert made.waiting == [LaunchChild("a", 0)]
    made.waiting.clear()
    return made


def links(world: World) -> list[tuple[str, str]]:
    """The phases that were told of the node, each with the name of the child that was told with it."""
    told = [event.node for event in world.events if event.node.id.node_id == "a"]
    return [(NodePhase(event.phase).name, event.workflow_node_metadata.execution_id.name) for event in told]


def test_a_child_that_succeeds_gives_the_node_its_outputs(world: World) -> None:
    world.see(ChildStarted("a", 0))
    world.see(ChildEnded("a", CHILD, ExecutionPhase.SUCCEEDED, "file:///out.pb"))
    assert world.state.nodes["a"].outputs_uri == "file:///out.pb"
    assert links(world) == [("QUEUED", ""), ("RUNNING", CHILD), ("SUCCEEDED", CHILD)]


def test_the_end_may_be_seen_before_the_start(world: World) -> None:
    world.see(ChildEnded("a", CHILD, ExecutionPhase.SUCCEEDED, "file:///out.pb"))
    world.see(ChildStarted("a", 0))
    assert links(world) == [("QUEUED", ""), ("RUNNING", CHILD), ("SUCCEEDED", CHILD)]


def test_the_end_of_another_execution_is_nothing_to_the_node(world: World) -> None:
    world.see(ChildStarted("a", 0))
    assert world.see(ChildEnded("a", "other", ExecutionPhase.FAILED, failure=FINAL)).is_empty


def test_a_child_that_fails_fails_the_execution(world: World) -> None:
    world.see(ChildStarted("a", 0))
    world.see(ChildEnded("a", CHILD, ExecutionPhase.FAILED, failure=FINAL))
    assert world.state.header.phase is ExecutionPhase.FAILED
    assert links(world) == [("QUEUED", ""), ("RUNNING", CHILD), ("FAILED", CHILD)]


def test_a_child_that_cannot_be_is_not_named(world: World) -> None:
    world.see(ChildRefused("a", 0, Failure("RuntimeExecutionError", "no", FailureKind.USER, retryable=False)))
    assert world.state.header.phase is ExecutionPhase.FAILED
    assert links(world) == [("QUEUED", ""), ("FAILED", "")]


@pytest.mark.parametrize("started", [True, False])
def test_an_execution_that_is_aborted_has_ended_when_its_child_has(world: World, started: bool) -> None:
    if started:
        world.see(ChildStarted("a", 0))
    world.see(AbortRequested("enough", ""))
    assert TerminateChild("a", 0) in world.waiting
    assert world.state.header.phase is ExecutionPhase.ABORTING
    world.see(ChildEnded("a", CHILD, ExecutionPhase.ABORTED, failure=FINAL) if started else ChildGone("a", 0))
    assert world.state.header.phase is ExecutionPhase.ABORTED
    assert links(world)[-1] == ("ABORTED", CHILD if started else "")
