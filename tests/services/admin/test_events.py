"""What becomes of the engine's reports: order, repetition, the end, and bad batches."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from google.protobuf.message import Message as Proto
from sailplane_admin import events, execution_data, executions, node_executions, task_executions
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import (
    AlreadyExists,
    AlreadyTerminal,
    LimitReached,
    NotFound,
    Refused,
    SailplaneError,
    Unavailable,
)
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_core.ports import Message
from sailplane_protos.admin import event_pb2 as event_requests
from sailplane_protos.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import execution_pb2 as core_pb2
from sailplane_protos.core import literals_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.queue.memory import DELIVERIES_MAX, MemoryQueue
from sailplane_runtime.store.port import Store
from structlog.testing import capture_logs

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

RUN = [
    requests.workflow_event(ExecutionPhase.RUNNING, 0),
    requests.node_event(NodePhase.QUEUED, second=1, input_uri="in"),
    requests.task_event(TaskPhase.QUEUED, second=1),
    requests.node_event(NodePhase.RUNNING, second=2),
    requests.task_event(TaskPhase.RUNNING, second=2),
    requests.task_event(TaskPhase.SUCCEEDED, second=5),
    requests.node_event(NodePhase.SUCCEEDED, second=5, output_uri="out"),
    requests.workflow_event(ExecutionPhase.SUCCEEDING, 6),
    requests.workflow_event(ExecutionPhase.SUCCEEDED, 7, output_uri="result"),
]


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With one execution, `x`."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    return ports


async def picture(ports: AdminPorts) -> list[Proto]:
    """Everything that clients can read about the execution."""
    listed = await node_executions.list_nodes(
        ports,
        node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=requests.execution_id(), limit=100),
    )
    attempts = await task_executions.list_attempts(
        ports, task_execution_pb2.TaskExecutionListRequest(node_execution_id=requests.node_id(), limit=100)
    )
    return [await executions.get(ports, requests.get()), listed, attempts]


async def test_a_whole_run_in_one_batch(admin: AdminPorts) -> None:
    assert await requests.record(admin, *RUN) == []
    execution, nodes, attempts = await picture(admin)
    assert execution.closure.phase == ExecutionPhase.SUCCEEDED
    assert execution.closure.outputs.uri == "result"
    assert execution.closure.duration.seconds == 7
    [node] = nodes.node_executions
    assert (node.closure.phase, node.input_uri, node.closure.output_uri) == (NodePhase.SUCCEEDED, "in", "out")
    assert node.closure.duration.seconds == 3
    [attempt] = attempts.task_executions
    assert attempt.closure.phase == TaskPhase.SUCCEEDED
    assert attempt.id.task_id == registry.task_id("double")


async def test_event_by_event_gives_the_same_as_all_at_once(admin: AdminPorts) -> None:
    for event in RUN:
        assert await requests.record(admin, event) == []
    one_by_one = await picture(admin)
    await executions.create(admin, requests.create("y"))
    assert one_by_one[0].closure.phase == ExecutionPhase.SUCCEEDED
    assert await requests.record(admin, *RUN) != []
    assert await picture(admin) == one_by_one


async def test_everything_twice_and_backwards_changes_nothing(admin: AdminPorts) -> None:
    await requests.record(admin, *RUN)
    before = await picture(admin)
    refused = await requests.record(admin, *RUN, *reversed(RUN))
    assert len(refused) == 2 * len(RUN)
    assert await picture(admin) == before


async def test_attempts_are_recorded_side_by_side(admin: AdminPorts) -> None:
    await requests.record(
        admin,
        requests.node_event(NodePhase.QUEUED),
        requests.task_event(TaskPhase.FAILED, attempt=0),
        requests.task_event(TaskPhase.RUNNING, attempt=1),
    )
    attempts = (await picture(admin))[2].task_executions
    assert [(one.id.retry_attempt, one.closure.phase) for one in attempts] == [
        (0, TaskPhase.FAILED),
        (1, TaskPhase.RUNNING),
    ]


async def test_children_are_listed_below_their_parent(admin: AdminPorts) -> None:
    await requests.record(
        admin,
        requests.node_event(NodePhase.RUNNING, "n0", is_parent=True),
        requests.node_event(NodePhase.QUEUED, "n0-0-a", parent="n0", spec_node_id="a"),
    )
    top = (await picture(admin))[1].node_executions
    assert [(node.id.node_id, node.metadata.is_parent_node) for node in top] == [("n0", True)]
    request = node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=requests.execution_id(), unique_parent_id="n0", limit=10
    )
    [child] = (await node_executions.list_nodes(admin, request)).node_executions
    assert (child.id.node_id, child.metadata.spec_node_id) == ("n0-0-a", "a")
    request.unique_parent_id = "ghost"
    with pytest.raises(NotFound):
        await node_executions.list_nodes(admin, request)


async def test_a_parent_that_was_never_reported_is_not_invented(admin: AdminPorts) -> None:
    with pytest.raises(NotFound):
        await requests.record(admin, requests.node_event(NodePhase.QUEUED, "a", parent="ghost"))
    with pytest.raises(NotFound):
        await requests.record(admin, requests.task_event(TaskPhase.QUEUED, "ghost"))


async def test_an_rpc_is_told_what_the_queue_swallows(admin: AdminPorts) -> None:
    running = event_requests.WorkflowExecutionEventRequest(event=requests.workflow_event(ExecutionPhase.RUNNING))
    await events.create_workflow_event(admin, running)
    with pytest.raises(AlreadyExists):
        await events.create_workflow_event(admin, running)
    done = event_requests.WorkflowExecutionEventRequest(event=requests.workflow_event(ExecutionPhase.FAILED, 1))
    await events.create_workflow_event(admin, done)
    with pytest.raises(AlreadyTerminal):
        await events.create_workflow_event(admin, running)


async def test_while_an_execution_is_aborted_its_nodes_still_report(admin: AdminPorts) -> None:
    await requests.record(admin, *RUN[:5])
    await executions.terminate(
        admin, execution_pb2.ExecutionTerminateRequest(id=requests.execution_id(), cause="enough")
    )
    refused = await requests.record(
        admin,
        requests.workflow_event(ExecutionPhase.SUCCEEDING, 6),
        requests.task_event(TaskPhase.ABORTED, second=7),
        requests.node_event(NodePhase.ABORTED, second=7),
        requests.node_event(NodePhase.QUEUED, "n1", second=7),
        requests.workflow_event(ExecutionPhase.ABORTED, 8),
    )
    assert [type(error) for error in refused] == [Refused]
    execution, nodes, attempts = await picture(admin)
    assert (execution.closure.phase, execution.closure.abort_metadata.cause) == (ExecutionPhase.ABORTED, "enough")
    assert [node.closure.phase for node in nodes.node_executions] == [NodePhase.ABORTED, NodePhase.QUEUED]
    assert [one.closure.phase for one in attempts.task_executions] == [TaskPhase.ABORTED]


async def test_events_of_nodes_and_attempts_are_refused_as_those_of_executions(admin: AdminPorts) -> None:
    running = event_requests.NodeExecutionEventRequest(event=requests.node_event(NodePhase.RUNNING))
    await events.create_node_event(admin, running)
    with pytest.raises(AlreadyExists):
        await events.create_node_event(admin, running)
    started = event_requests.TaskExecutionEventRequest(event=requests.task_event(TaskPhase.RUNNING))
    await events.create_task_event(admin, started)
    with pytest.raises(AlreadyExists):
        await events.create_task_event(admin, started)
    started.event.phase = TaskPhase.FAILED.value
    await events.create_task_event(admin, started)
    started.event.phase = TaskPhase.RUNNING.value
    with pytest.raises(AlreadyTerminal) as refusal:
        await events.create_task_event(admin, started)
    assert refusal.value.phase == "FAILED"


async def test_data_within_an_event_is_stored_beside_the_record(admin: AdminPorts) -> None:
    values = literals_pb2.LiteralMap()
    values.literals["o0"].scalar.primitive.integer = 3
    event = requests.node_event(NodePhase.SUCCEEDED, input_data=values, output_data=values)
    await events.create_node_event(admin, event_requests.NodeExecutionEventRequest(event=event))
    node = await node_executions.get(admin, node_execution_pb2.NodeExecutionGetRequest(id=requests.node_id()))
    assert node.closure.WhichOneof("output_result") == "output_uri"
    data = await execution_data.of_node(admin, node_execution_pb2.NodeExecutionGetDataRequest(id=requests.node_id()))
    assert (data.full_inputs, data.full_outputs) == (values, values)


async def test_too_much_data_within_an_event_is_refused_and_not_stored(admin: AdminPorts) -> None:
    values = literals_pb2.LiteralMap()
    values.literals["o0"].scalar.primitive.string_value = "x" * admin.settings.inline_data_bytes_max
    event = requests.workflow_event(ExecutionPhase.SUCCEEDED, output_data=values)
    with pytest.raises(LimitReached, match="output_data"):
        await events.create_workflow_event(admin, event_requests.WorkflowExecutionEventRequest(event=event))
    stored = [blob async for blob in admin.blobs.list(admin.blobs.uri(f"metadata/admin/{requests.KEY}/events"))]
    assert stored == []


async def test_an_event_of_no_execution_stores_nothing(admin: AdminPorts) -> None:
    event = requests.node_event(NodePhase.SUCCEEDED, output_data=literals_pb2.LiteralMap())
    event.id.execution_id.name = "ghost"
    with pytest.raises(NotFound):
        await events.create_node_event(admin, event_requests.NodeExecutionEventRequest(event=event))
    prefix = admin.blobs.uri("metadata/admin/flytesnacks/development/ghost")
    assert [blob async for blob in admin.blobs.list(prefix)] == []


async def test_an_execution_that_a_node_says_it_started_must_exist(admin: AdminPorts) -> None:
    event = requests.node_event(NodePhase.RUNNING)
    event.workflow_node_metadata.execution_id.CopyFrom(requests.execution_id("ghost"))
    with pytest.raises(NotFound, match="ghost"):
        await events.create_node_event(admin, event_requests.NodeExecutionEventRequest(event=event))
    await executions.create(admin, requests.create("ghost"))
    await events.create_node_event(admin, event_requests.NodeExecutionEventRequest(event=event))


def message(name: str, *reported: requests.Reported) -> Message:
    return Message(events.TOPIC, name, f"{name}@1", requests.batch(*reported, name=name).SerializeToString())


async def test_several_executions_are_recorded_in_one_commit_and_their_watchers_woken(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create("y"))
    queue = MemoryQueue(ManualClock())
    await queue.publish([message(name, requests.workflow_event(ExecutionPhase.RUNNING)) for name in ("y", "x")])
    writes = CountedWrites(admin.store)
    with admin.changes.watch(requests.KEY) as watch:
        consumer = events.Consumer(replace(admin, store=writes), queue)
        await consumer.record(await queue.receive(events.TOPIC, 10))
        await asyncio.wait_for(watch.changed(), 1)
    assert writes.count == 1
    for name in ("x", "y"):
        assert (await executions.get(admin, requests.get(name))).closure.phase == ExecutionPhase.RUNNING


@pytest.mark.parametrize("error", [Unavailable("the store"), LimitReached("disk space")])
async def test_while_the_store_is_away_events_wait_and_lose_no_tries(admin: AdminPorts, error: SailplaneError) -> None:
    clock = ManualClock(autojump_threshold_s=0.0)
    queue = MemoryQueue(clock)
    writes = CountedWrites(admin.store, fail=[error] * 10)
    consumer = asyncio.create_task(events.Consumer(replace(admin, store=writes, clock=clock), queue).run())
    confirmed = queue.confirmed(events.TOPIC)
    await queue.publish([message("x", *RUN)])
    assert list(await asyncio.wait_for(anext(confirmed), 5)) == ["x@1"]
    assert writes.count == 11
    assert (await executions.get(admin, requests.get())).closure.phase == ExecutionPhase.SUCCEEDED
    consumer.cancel()


class CountedWrites:
    """A store of which the first writes fail."""

    def __init__(self, store: Store, fail: Sequence[Exception] = ()) -> None:
        self._store = store
        self._fail = list(fail)
        self.count = 0

    async def write(self, change: Any) -> Any:
        self.count += 1
        if self._fail:
            raise self._fail.pop()
        return await self._store.write(change)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_one_bad_batch_does_not_hold_up_the_others(admin: AdminPorts) -> None:
    clock = ManualClock(autojump_threshold_s=0.0)
    queue = MemoryQueue(clock)
    confirmed = queue.confirmed(events.TOPIC)
    ghost = queue_pb2.EventBatch(execution_id=requests.execution_id("ghost"))
    ghost.events.add(workflow=RUN[0])
    await queue.publish(
        [
            Message(events.TOPIC, "garbage", "garbage", b"\xff\xff"),
            Message(events.TOPIC, "ghost", "ghost@1", ghost.SerializeToString()),
            message("x", *RUN),
        ]
    )
    consumer = events.Consumer(admin, queue)
    with capture_logs() as logs:
        for _ in range(DELIVERIES_MAX):
            await consumer.record(await queue.receive(events.TOPIC, 10))
    assert list(await anext(confirmed)) == ["x@1"]
    assert (await executions.get(admin, requests.get())).closure.phase == ExecutionPhase.SUCCEEDED
    parked = {letter.message.id: letter.reason for letter in await queue.dead_letters(events.TOPIC)}
    assert parked.keys() == {"garbage", "ghost@1"}
    assert "no EventBatch" in parked["garbage"]
    assert "ghost" in parked["ghost@1"]
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["events_not_recorded"] * 10


async def test_data_is_read_from_where_the_events_say(admin: AdminPorts) -> None:
    uri = admin.blobs.uri("outputs.pb")
    values = literals_pb2.LiteralMap()
    values.literals["o0"].scalar.primitive.integer = 3
    await admin.blobs.put(uri, values.SerializeToString())
    await requests.record(admin, *RUN[:-1], requests.workflow_event(ExecutionPhase.SUCCEEDED, 7, output_uri=uri))
    data = await execution_data.of_execution(
        admin, execution_data.execution_pb2.WorkflowExecutionGetDataRequest(id=requests.execution_id())
    )
    assert data.full_outputs == values
    assert data.full_inputs.literals["a"].scalar.primitive.integer == 1
    assert data.outputs.bytes == len(values.SerializeToString())


async def test_what_an_engine_left_open_ends_with_its_execution(admin: AdminPorts) -> None:
    """It tells no more than the execution's end when its own record makes no sense any more."""
    await requests.record(
        admin,
        requests.workflow_event(ExecutionPhase.RUNNING, second=1),
        requests.node_event(NodePhase.SUCCEEDED, node="n1", second=1),
        requests.node_event(NodePhase.RUNNING, second=2),
        requests.task_event(TaskPhase.FAILED, second=3),
        requests.task_event(TaskPhase.RUNNING, attempt=1, second=4),
    )
    error = core_pb2.ExecutionError(code="Broken", message="it makes no sense", kind="SYSTEM")
    await requests.record(admin, requests.workflow_event(ExecutionPhase.FAILED, second=10, error=error))
    _, listed, attempts = cast("Any", await picture(admin))
    assert {node.id.node_id: node.closure.phase for node in listed.node_executions} == {
        "n0": NodePhase.ABORTED,
        "n1": NodePhase.SUCCEEDED,
    }
    found = {attempt.id.retry_attempt: attempt.closure for attempt in attempts.task_executions}
    assert {number: closure.phase for number, closure in found.items()} == {0: TaskPhase.FAILED, 1: TaskPhase.ABORTED}
    assert (found[1].error, found[1].duration.seconds) == (error, 6)
