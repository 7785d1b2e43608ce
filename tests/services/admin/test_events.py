"""What becomes of the engine's reports: order, repetition, the end, and bad batches."""

import asyncio

import pytest
from google.protobuf.message import Message as Proto
from sailplane_admin import events, execution_data, executions, node_executions, task_executions
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyExists, AlreadyTerminal, NotFound
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_core.ports import Message
from sailplane_protos.admin import event_pb2 as event_requests
from sailplane_protos.admin import node_execution_pb2, task_execution_pb2
from sailplane_protos.core import literals_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.queue.memory import MemoryQueue

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


async def record(ports: AdminPorts, *reported: requests.Reported) -> list[Exception]:
    made = requests.batch(*reported)
    return list(await ports.store.write(lambda tx: events.fold(tx.connection, requests.KEY, made.events)))


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
    assert await record(admin, *RUN) == []
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
        assert await record(admin, event) == []
    one_by_one = await picture(admin)
    await executions.create(admin, requests.create("y"))
    assert one_by_one[0].closure.phase == ExecutionPhase.SUCCEEDED
    assert await record(admin, *RUN) != []
    assert await picture(admin) == one_by_one


async def test_everything_twice_and_backwards_changes_nothing(admin: AdminPorts) -> None:
    await record(admin, *RUN)
    before = await picture(admin)
    refused = await record(admin, *RUN, *reversed(RUN))
    assert len(refused) == 2 * len(RUN)
    assert await picture(admin) == before


async def test_attempts_are_recorded_side_by_side(admin: AdminPorts) -> None:
    await record(
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
    await record(
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
        await record(admin, requests.node_event(NodePhase.QUEUED, "a", parent="ghost"))
    with pytest.raises(NotFound):
        await record(admin, requests.task_event(TaskPhase.QUEUED, "ghost"))


async def test_an_rpc_is_told_what_the_queue_swallows(admin: AdminPorts) -> None:
    running = event_requests.WorkflowExecutionEventRequest(event=requests.workflow_event(ExecutionPhase.RUNNING))
    await events.create_workflow_event(admin, running)
    with pytest.raises(AlreadyExists):
        await events.create_workflow_event(admin, running)
    done = event_requests.WorkflowExecutionEventRequest(event=requests.workflow_event(ExecutionPhase.FAILED, 1))
    await events.create_workflow_event(admin, done)
    with pytest.raises(AlreadyTerminal):
        await events.create_workflow_event(admin, running)


async def test_one_bad_batch_does_not_hold_up_the_others(admin: AdminPorts) -> None:
    queue = MemoryQueue(ManualClock(autojump_threshold_s=0.0))
    consumer = asyncio.create_task(events.Consumer(admin, queue).run())
    ghost = queue_pb2.EventBatch(execution_id=requests.execution_id("ghost"))
    ghost.events.add(workflow=RUN[0])
    good = requests.batch(*RUN)
    confirmed = queue.confirmed(events.TOPIC)
    await queue.publish(
        [
            Message(events.TOPIC, "garbage", "garbage", b"\xff\xff"),
            Message(events.TOPIC, "ghost", "ghost@1", ghost.SerializeToString()),
            Message(events.TOPIC, "x", "x@1", good.SerializeToString()),
        ]
    )
    assert list(await anext(confirmed)) == ["x@1"]
    async with asyncio.timeout(5):
        while len(await queue.dead_letters(events.TOPIC)) < 2:
            await asyncio.sleep(0.001)
    assert (await executions.get(admin, requests.get())).closure.phase == ExecutionPhase.SUCCEEDED
    consumer.cancel()


async def test_data_is_read_from_where_the_events_say(admin: AdminPorts) -> None:
    uri = admin.blobs.uri("outputs.pb")
    values = literals_pb2.LiteralMap()
    values.literals["o0"].scalar.primitive.integer = 3
    await admin.blobs.put(uri, values.SerializeToString())
    await record(admin, *RUN[:-1], requests.workflow_event(ExecutionPhase.SUCCEEDED, 7, output_uri=uri))
    data = await execution_data.of_execution(
        admin, execution_data.execution_pb2.WorkflowExecutionGetDataRequest(id=requests.execution_id())
    )
    assert data.full_outputs == values
    assert data.full_inputs.literals["a"].scalar.primitive.integer == 1
    assert data.outputs.bytes == len(values.SerializeToString())
