"""What is taken over from executions that are recovered: what got furthest, and only what goes together."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from core.machine.language import Library
from core.machine.run import Run, earlier_of
from sailplane_core.machine import GraphBuilt, LaunchPod, NodeKind, NodeState, Started, TaskEnded, lineage
from sailplane_core.phases import NodePhase

NODE = NodeState("a", "a", "", NodeKind.TASK)
CHAIN = "a: task\nb: task <- a\nc: task <- b"


def run(body: str, name: str, *before: Run) -> Run:
    """An execution that recovers others, the nearest first."""
    library = Library()
    library.define("w", body)
    library.define("g", "i: task\nj: task <- i")
    started = Run(library, "w", name=name, earlier=[earlier_of(one) for one in before])
    started.see(Started())
    return started


def phases(of: Run) -> dict[str, str]:
    return {id: node.phase.name for id, node in of.state.nodes.items() if id not in ("start-node", "end-node")}


@pytest.mark.parametrize(
    ("nearest_first", "taken"),
    [
        ([{"phase": NodePhase.ABORTED}, {"phase": NodePhase.SUCCEEDED}], 1),
        ([{"phase": NodePhase.RECOVERED}, {"phase": NodePhase.SUCCEEDED}], 0),
        ([{"phase": NodePhase.QUEUED}, {"phase": NodePhase.FAILED, "graph_uri": "g"}], 1),
        ([{"phase": NodePhase.FAILED, "child_name": "c"}, {"phase": NodePhase.FAILED, "child_name": "d"}], 0),
        ([None, {"phase": NodePhase.FAILED}], 1),
    ],
)
def test_that_which_got_furthest_is_taken(nearest_first: Sequence[dict[str, object] | None], taken: int) -> None:
    here = run("a: task", "z")
    earlier = [{} if one is None else {("a",): replace(NODE, **one)} for one in nearest_first]  # type: ignore[arg-type]
    found = lineage.earlier(here.plan, here.state.nodes.__getitem__, earlier, here.state.nodes["a"])
    assert found is earlier[taken][("a",)]


def test_what_was_made_of_something_else_is_not_taken() -> None:
    """The first goes on while the second recovers it, and each makes an `a` of its own."""
    first = run(CHAIN, "x")
    second = run(CHAIN, "y", first)
    second.see(TaskEnded("a", 0, None))
    first.see(TaskEnded("a", 0, None))
    first.see(TaskEnded("b", 0, None))
    third = run(CHAIN, "z", second, first)
    assert phases(third) == {"a": "RECOVERED", "b": "QUEUED"}
    assert third.state.nodes["a"].outputs_uri == second.state.nodes["a"].outputs_uri
    assert LaunchPod("b", 0) in third.ledger.outstanding


def test_a_second_look_at_what_went_on_takes_nothing_that_does_not_go_together() -> None:
    first = run(CHAIN, "x")
    second = run(CHAIN, "y", first)
    first.see(TaskEnded("a", 0, None))
    first.see(TaskEnded("b", 0, None))
    second.state.earlier = [earlier_of(first)]  # after a restart
    second.see(TaskEnded("a", 0, None))
    assert phases(second) == {"a": "SUCCEEDED", "b": "QUEUED"}


def test_what_goes_together_is_taken_from_several() -> None:
    first = run(CHAIN, "x")
    first.see(TaskEnded("a", 0, None))
    first.see(TaskEnded("b", 0, None))
    second = run(CHAIN, "y")  # ended before it got to anything
    second.state.nodes.clear()
    third = run(CHAIN, "z", second, first)
    assert phases(third) == {"a": "RECOVERED", "b": "RECOVERED", "c": "QUEUED"}
    fourth = run(CHAIN, "u", third, second, first)
    assert phases(fourth) == phases(third)


def test_nodes_of_another_graph_are_not_taken() -> None:
    """The nearer one has made a graph of its own, and got to nothing in it."""
    first, second = run("d: task generates=g", "x"), run("d: task generates=g", "y")
    for one in (first, second):
        one.see(TaskEnded("d", 0, None, has_graph=True))
        one.see(GraphBuilt("d", 0, f"graph of {one.name}", "futures"))
    first.see(TaskEnded("d-0-i", 0, None))
    third = run("d: task generates=g", "z", second, first)
    third.see(GraphBuilt("d", 0, "graph of y", "futures"))
    assert third.state.nodes["d-0-i"].phase is NodePhase.QUEUED
    fourth = run("d: task generates=g", "u", first)
    fourth.see(GraphBuilt("d", 0, "graph of x", "futures"))
    assert fourth.state.nodes["d-0-i"].phase is NodePhase.RECOVERED
