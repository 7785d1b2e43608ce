"""How an execution moves: order, retries, failure, abort, sub-workflows, and late or repeated observations."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from core.machine.language import Library
from core.machine.run import Run
from core.machine.world import FINAL, NOON, SYSTEM, USER, World, compiled, plan
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.errors import InvariantBroken
from sailplane_core.failures import Failure
from sailplane_core.machine import (
    AbortRequested,
    ArrayOpened,
    BindingFailed,
    BindInputs,
    CacheLookedUp,
    GatherItems,
    InputsBound,
    LaunchPod,
    NodeKind,
    NodeState,
    PodRemoved,
    Policies,
    RemovePod,
    SetTimer,
    Started,
    TaskEnded,
    TaskProgressed,
    Timer,
    TimerFired,
    end_parked,
    scopes,
)
from sailplane_core.machine.step import ITEMS_BEGUN_MAX
from sailplane_core.machine.walk import NESTING_MAX
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase, move_execution, move_node
from sailplane_protos.core import catalog_pb2

CHAIN = {"a": [], "b": ["a"], "c": ["b"]}
DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def fail_first(failures: dict[str, list[Failure]]):
    """Each node's attempts fail with these, one after another, and then succeed."""

    def script(command: LaunchPod) -> Failure | None:
        left = failures.get(command.node_id, [])
        return left.pop(0) if left else None

    return script


def started(world: World) -> World:
    world.see(Started())
    return world


def test_a_chain_runs_in_order_and_succeeds() -> None:
    world = started(World(plan(compiled("w", CHAIN))))
    world.run()
    assert world.launched == ["a-0", "b-0", "c-0"]
    assert world.state.header.phase is ExecutionPhase.SUCCEEDED
    assert set(world.phases().values()) == {"SUCCEEDED"}


def test_what_is_told_comes_in_order_whatever_the_clocks_of_two_owners_say() -> None:
    world = World(plan(compiled("w", {"a": []})))
    for minutes in (10, 0, 0):
        world.now = NOON + timedelta(minutes=minutes)
        world.see(*([InputsBound("a", 0)] if world.waiting else [Started()]))
    world.run()
    parked = end_parked(world.state, AbortRequested("enough", "me"), NOON)
    tasks = [event.task.reported_at.ToDatetime(UTC) for event in world.events if event.HasField("task")]
    assert len(tasks) == 3
    assert tasks[0] < tasks[1] <= tasks[2]
    assert parked.events[-1].workflow.occurred_at.ToDatetime(UTC) > tasks[2]


def test_two_who_ask_a_busy_cache_wait_for_one_timer() -> None:
    library = Library()
    library.define("w", "a: task cached serialized")
    run = Run(library, "w")
    run.see(Started())
    run.see(InputsBound("a", 0))
    busy = CacheLookedUp("a", 0, catalog_pb2.CACHE_MISS, is_busy=True)
    timers: list[SetTimer] = []
    for _ in range(2):
        run.now -= timedelta(seconds=1)  # the second is asked in the same moment, as each comes a second later
        timers += [command for command in run.see(busy).commands if isinstance(command, SetTimer)]
    assert len({timer.at for timer in timers}) == 1
    poll = timedelta(seconds=run.policies.cache_poll_s)
    assert poll / 2 <= timers[0].at - run.now <= 3 * poll / 2 + timedelta(milliseconds=1)


def test_what_a_deadline_ends_does_not_speak_of_a_failure() -> None:
    library = Library()
    library.define("w", "a: task")
    run = Run(library, "w", Policies(workflow_max_s=60))
    run.see(Started())
    run.see(InputsBound("a", 0))
    run.now += timedelta(minutes=1)
    run.see(TimerFired("", 0, Timer.WORKFLOW))
    assert run.state.header.failure is not None
    assert run.state.header.failure.code == "Timeout"
    aborted = run.state.nodes["a"].failure
    assert aborted is not None
    assert aborted.message == "What this is a part of did not end in time, auto-abort."


def test_who_has_waited_long_for_a_busy_cache_asks_it_less_often() -> None:
    library = Library()
    library.define("w", "a: task cached serialized")
    run = Run(library, "w")
    run.see(Started())
    run.see(InputsBound("a", 0))
    begun = run.now
    busy = CacheLookedUp("a", 0, catalog_pb2.CACHE_MISS, is_busy=True)
    looks = 0
    while run.now - begun < timedelta(hours=1):
        [timer] = [command for command in run.see(busy).commands if isinstance(command, SetTimer)]
        assert timer.at - run.now <= max(timedelta(seconds=2), (run.now - begun) / 4)
        run.now = timer.at
        looks += 1
    assert looks < 250


def test_the_events_of_one_task_come_in_flytes_order() -> None:
    world = started(World(plan(compiled("w", {"a": []}))))
    world.run()
    assert world.told() == [
        "workflow RUNNING",
        "node start-node SUCCEEDED",
        "node a QUEUED",
        "task a-0 QUEUED",
        "node a RUNNING",
        "task a-0 RUNNING",
        "task a-0 SUCCEEDED",
        "node a SUCCEEDED",
        "workflow SUCCEEDING",
        "node end-node QUEUED",
        "node end-node SUCCEEDED",
        "workflow SUCCEEDED",
    ]
    assert (
        world.events[-1].workflow.output_uri
        == "file:///blobs/metadata/propeller/p/development/x/end-node/data/0/outputs.pb"
    )


def test_a_node_waits_for_all_its_upstream_nodes() -> None:
    world = started(World(plan(compiled("w", DIAMOND))))
    world.see(TaskEnded("a", 0, None))
    world.see(TaskEnded("b", 0, None))
    assert "d" not in world.state.nodes
    world.see(TaskEnded("c", 0, None))
    assert world.state.nodes["d"].phase is NodePhase.QUEUED


def test_two_upstream_nodes_ending_in_one_evaluation_start_the_follower_once() -> None:
    world = started(World(plan(compiled("w", DIAMOND))))
    world.see(TaskEnded("a", 0, None))
    transition = world.see(TaskEnded("b", 0, None), TaskEnded("c", 0, None))
    assert transition.commands == (LaunchPod("d", 0),)


def test_a_transition_writes_only_what_changed() -> None:
    wide = {f"n{index}": [] for index in range(200)}
    world = started(World(plan(compiled("w", wide))))
    transition = world.see(TaskEnded("n7", 0, None))
    assert set(transition.nodes) == {"n7"}


def test_observations_that_come_twice_or_late_change_nothing() -> None:
    world = started(World(plan(compiled("w", CHAIN), retries=1), fail_first({"a": [USER]})))
    world.see(TaskEnded("a", 0, USER))
    assert world.state.nodes["a"].attempt == 1
    for late in (TaskEnded("a", 0, USER), TaskEnded("a", 0, None), Started(), TaskEnded("ghost", 0, None)):
        assert world.see(late).is_empty
    world.see(TaskEnded("a", 1, None))
    assert world.see(TaskEnded("a", 1, None)).is_empty
    assert world.see(TaskProgressed("a", 1, TaskPhase.RUNNING, "", NOON)).is_empty


@pytest.mark.parametrize(
    ("retries", "failures", "launched", "code"),
    [
        (0, [USER], 1, "RetriesExhausted|USER:Bang"),
        (2, [USER] * 3, 3, "RetriesExhausted|USER:Bang"),
        (2, [USER] * 2, 3, None),
        (0, [SYSTEM] * 3, 4, None),
        (0, [SYSTEM] * 4, 4, "RetriesExhausted|Interrupted"),
        (1, [SYSTEM, USER, SYSTEM, SYSTEM], 5, None),
        (5, [FINAL], 1, "USER:Value"),
    ],
)
def test_each_kind_of_failure_spends_its_own_budget(
    retries: int, failures: list[Failure], launched: int, code: str | None
) -> None:
    world = started(World(plan(compiled("w", {"a": []}), retries=retries), fail_first({"a": list(failures)})))
    world.run()
    assert len(world.launched) == launched
    failure = world.state.header.failure
    assert (failure.code if failure else None) == code
    assert world.state.header.phase is (ExecutionPhase.FAILED if code else ExecutionPhase.SUCCEEDED)


def test_exhausted_retries_say_how_many_there_were() -> None:
    world = started(World(plan(compiled("w", {"a": []}), retries=1), lambda command: USER))
    world.run()
    assert world.state.header.failure is not None
    assert world.state.header.failure.message == "[2/2] currentAttempt done. Last Error: USER::bang"


def test_a_failure_ends_the_other_nodes_before_the_execution_ends() -> None:
    world = started(World(plan(compiled("w", {"a": [], "b": []}))))
    transition = world.see(TaskEnded("a", 0, FINAL))
    assert transition.commands == (RemovePod("b", 0),)
    assert world.state.header.phase is ExecutionPhase.FAILING
    world.see(PodRemoved("b", 0))
    assert world.state.header.phase is ExecutionPhase.FAILED
    assert world.phases()["b"] == "ABORTED"


def test_fail_after_executable_nodes_lets_the_independent_ones_finish() -> None:
    edges = {"a": [], "b": ["a"], "c": [], "d": ["c"]}
    world = started(World(plan(compiled("w", edges, after=True)), fail_first({"a": [FINAL]})))
    world.run()
    assert world.launched == ["a-0", "c-0", "d-0"]
    assert world.phases() == {
        "start-node": "SUCCEEDED",
        "a": "FAILED",
        "b": "SKIPPED",
        "c": "SUCCEEDED",
        "d": "SUCCEEDED",
        "end-node": "SKIPPED",
    }
    assert world.state.header.phase is ExecutionPhase.FAILED
    assert world.state.header.failure == FINAL


def test_an_abort_ends_every_active_node_and_waits_for_their_pods() -> None:
    world = started(World(plan(compiled("w", {"a": [], "b": []}))))
    transition = world.see(AbortRequested("enough", "ann"))
    assert set(transition.commands) == {RemovePod("a", 0), RemovePod("b", 0)}
    world.see(PodRemoved("a", 0))
    assert world.state.header.phase is ExecutionPhase.ABORTING
    world.see(PodRemoved("b", 0))
    assert world.state.header.phase is ExecutionPhase.ABORTED
    assert world.events[-1].workflow.error.message == "enough"
    assert world.see(AbortRequested("again", "")).is_empty


def test_an_abort_before_the_start_never_starts() -> None:
    world = World(plan(compiled("w", CHAIN)))
    world.see(AbortRequested("no", ""))
    world.see(Started())
    assert world.state.header.phase is ExecutionPhase.ABORTED
    assert world.launched == []


def nested(depth_script=lambda command: None, retries: int = 0) -> World:
    inner = compiled("inner", {"x": [], "y": ["x"]})
    outer = compiled("outer", {"a": [], "s": ["a"], "z": ["s"]}, {"s": "inner"})
    return started(World(plan(outer, inner, retries=retries), depth_script))


def test_a_sub_workflow_runs_in_its_place() -> None:
    world = nested()
    world.run()
    assert world.launched == ["a-0", "s-0-x-0", "s-0-y-0", "z-0"]
    assert world.state.header.phase is ExecutionPhase.SUCCEEDED
    assert world.state.nodes["s"].outputs_uri.endswith("/s-0-end-node/data/0/outputs.pb")
    event = next(e.node for e in world.events if e.node.id.node_id == "s-0-x")
    assert (event.parent_node_metadata.node_id, event.spec_node_id, event.retry_group) == ("s", "x", "0")


def test_a_failure_inside_a_sub_workflow_fails_its_node_with_the_same_error() -> None:
    world = nested(fail_first({"s-0-x": [FINAL]}))
    world.run()
    assert world.phases()["s"] == "FAILED"
    assert world.state.header.failure == FINAL
    assert world.state.header.phase is ExecutionPhase.FAILED


def test_aborting_reaches_into_sub_workflows() -> None:
    world = nested()
    world.see(TaskEnded("a", 0, None))
    world.see(*world.carry_out(BindInputs("s", 0)))
    world.waiting.clear()
    world.see(AbortRequested("enough", ""))
    assert world.waiting == [RemovePod("s-0-x", 0)]
    assert {world.phases()[node] for node in ("s", "s-0-x")} == {"ABORTED"}


def test_inputs_that_cannot_be_bound_fail_the_node() -> None:
    world = started(World(plan(compiled("w", {"a": []}))))
    world.see(BindingFailed("a", 0, FINAL))
    assert world.state.header.failure == FINAL


def test_a_late_status_does_not_bring_a_running_task_back() -> None:
    world = started(World(plan(compiled("w", {"a": []}))))
    world.see(TaskProgressed("a", 0, TaskPhase.RUNNING, "", NOON))
    assert world.see(TaskProgressed("a", 0, TaskPhase.INITIALIZING, "pulling", NOON)).is_empty


def test_moves_that_are_not_in_the_table_are_bugs() -> None:
    with pytest.raises(InvariantBroken):
        move_execution(ExecutionPhase.SUCCEEDED, ExecutionPhase.RUNNING)
    with pytest.raises(InvariantBroken):
        move_node(NodePhase.FAILED, NodePhase.RUNNING)


@given(st.data())
def test_any_graph_under_any_luck_ends_with_everything_accounted_for(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 8))
    edges = {f"n{index}": [f"n{above}" for above in range(index) if data.draw(st.booleans())] for index in range(size)}
    luck = st.sampled_from([None, None, None, USER, SYSTEM, FINAL])
    world = World(plan(compiled("w", edges, after=data.draw(st.booleans())), retries=1), lambda _: data.draw(luck))
    started(world)
    if data.draw(st.booleans()):
        world.see(AbortRequested("stop", ""))
    while world.waiting:
        command = world.waiting.pop(data.draw(st.integers(0, len(world.waiting) - 1)))
        seen = list(world.carry_out(command))
        world.see(*seen)
        assert world.see(*seen).is_empty
    header = world.state.header
    assert header.is_terminal
    assert not world.state.active
    assert not world.state.removing
    assert all(node.is_terminal for node in world.state.nodes.values())
    if header.phase is ExecutionPhase.SUCCEEDED:
        assert set(world.phases().values()) == {"SUCCEEDED"}
        assert len(world.phases()) == size + 2


def test_what_lies_too_deep_fails_and_does_not_break_the_engine() -> None:
    library = Library()
    for depth in range(NESTING_MAX + 1):
        library.define(f"w{depth}", f"s: workflow w{depth + 1}")
    library.define(f"w{NESTING_MAX + 1}", "a: task")
    run = Run(library, "w0")
    transition = run.see(Started())
    while bound := [one for one in transition.commands if isinstance(one, BindInputs)]:
        transition = run.see(*(InputsBound(one.node_id, one.attempt) for one in bound))
    header = run.state.header
    assert header.phase is ExecutionPhase.FAILED
    assert header.failure is not None
    assert header.failure.code == "NestedTooDeep"


def test_the_end_of_a_parked_execution_is_told_of_every_node_that_is_shown() -> None:
    library = Library()
    library.define("inner", "a: task")
    library.define("w", "m: array size=1\n  s: workflow inner\nn: array size=1\n  t: task")
    run = Run(library, "w")
    run.see(Started())
    run.see(ArrayOpened("m", 0, 1), ArrayOpened("n", 0, 1))
    run.see(InputsBound("m-0-n0", 0))
    *nodes, end = end_parked(run.state, AbortRequested("enough", ""), NOON).events
    assert [event.node.id.node_id for event in nodes] == ["m", "m-0-n0", "m-0-n0-0-a", "n"]
    assert {event.node.phase for event in nodes} == {NodePhase.ABORTED}
    assert end.workflow.phase == ExecutionPhase.ABORTED


def test_a_recovered_array_takes_its_items_over_in_several_steps() -> None:
    size = 2 * ITEMS_BEGUN_MAX + 1
    library = Library()
    library.define("w", f"m: array concurrency=10 size={size}\n  t: task\nb: task <- m")
    first = Run(library, "w")
    first.see(Started())
    first.see(ArrayOpened("m", 0, size))
    array = first.state.nodes["m"]
    done = {
        ("m", f"[{index}]"): NodeState(
            scopes.item_id(array, index), "t", "m", NodeKind.TASK, item=index, phase=NodePhase.SUCCEEDED
        )
        for index in range(size)
    }
    second = Run(library, "w", earlier=[{("m",): replace(array, phase=NodePhase.FAILED), **done}])
    second.see(Started())
    transition = second.see(ArrayOpened("m", 0, size))
    rows = [len(transition.nodes)]
    while timers := [one for one in transition.commands if isinstance(one, SetTimer)]:
        transition = second.see(*map(second.timer, timers))
        rows.append(len(transition.nodes))
    assert GatherItems("m", 0) in transition.commands
    assert max(rows) <= ITEMS_BEGUN_MAX + 1
