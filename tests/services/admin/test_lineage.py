"""Executions that another one's node has started: the parent is told of the end, and leaves no live child."""

import pytest
from sailplane_admin import execution_orders, executions
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyTerminal, InvalidRequest
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import ExecutionPhase, NodePhase
from sailplane_protos.admin import common_pb2, execution_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_protos.propeller import queue_pb2

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

PARENT = requests.KEY


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With the execution `x`, and `child`, which node `n0` of `x` has started; no node is recorded yet."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    await executions.create(ports, child_of_x())
    return ports


def child_of_x(name: str = "child") -> execution_pb2.ExecutionCreateRequest:
    request = requests.create(name)
    request.spec.metadata.mode = execution_pb2.ExecutionMetadata.CHILD_WORKFLOW
    request.spec.metadata.parent_node_execution.CopyFrom(requests.node_id())
    return request


def key(name: str) -> ExecutionId:
    return ExecutionId(registry.PROJECT, registry.DOMAIN, name)


async def record(ports: AdminPorts, name: str, *reported: requests.Reported) -> None:
    await requests.record(ports, *reported, id=key(name))


async def sent(ports: AdminPorts, kind: str) -> list[tuple[str, queue_pb2.ExecutionCommand]]:
    """The orders of a kind in the outbox, with the execution they go to."""
    pending = await ports.store.pending(execution_orders.TOPIC)
    orders = [(message.key, queue_pb2.ExecutionCommand.FromString(message.payload)) for message in pending]
    return [(to, order) for to, order in orders if order.WhichOneof("command") == kind]


async def end_of_child(ports: AdminPorts) -> queue_pb2.ChildEnded:
    """The one message that the parent got."""
    [(to, order)] = await sent(ports, "child_ended")
    assert (to, order.execution_id) == (str(PARENT), PARENT.to_message())
    assert (order.child_ended.node_id, order.child_ended.child) == ("n0", key("child").to_message())
    return order.child_ended


async def test_the_parent_learns_where_the_outputs_are(admin: AdminPorts) -> None:
    await record(admin, "child", requests.workflow_event(ExecutionPhase.RUNNING))
    assert await sent(admin, "child_ended") == []
    done = requests.workflow_event(ExecutionPhase.SUCCEEDED, 1, output_uri="result")
    await record(admin, "child", done)
    ended = await end_of_child(admin)
    assert (ended.phase, ended.outputs_uri) == (ExecutionPhase.SUCCEEDED, "result")
    assert not ended.HasField("error")
    await record(admin, "child", done)
    assert await end_of_child(admin) == ended


async def test_the_parent_learns_why_the_child_failed(admin: AdminPorts) -> None:
    error = phases_pb2.ExecutionError(code="USER:ValueError", message="no", kind=phases_pb2.ExecutionError.USER)
    await record(admin, "child", requests.workflow_event(ExecutionPhase.FAILED, 1, error=error))
    ended = await end_of_child(admin)
    assert (ended.phase, ended.outputs_uri, ended.error) == (ExecutionPhase.FAILED, "", error)


async def test_the_parent_learns_why_the_child_was_aborted(admin: AdminPorts) -> None:
    terminate = execution_pb2.ExecutionTerminateRequest(id=requests.execution_id("child"), cause="enough")
    await executions.terminate(admin, terminate)
    assert await sent(admin, "child_ended") == []
    await record(admin, "child", requests.workflow_event(ExecutionPhase.ABORTED, 1))
    ended = await end_of_child(admin)
    assert (ended.phase, ended.error.code, ended.error.message) == (
        ExecutionPhase.ABORTED,
        "ExecutionAborted",
        "enough",
    )
    assert ended.error.kind == phases_pb2.ExecutionError.USER


async def test_an_engine_that_aborts_by_itself_says_why(admin: AdminPorts) -> None:
    error = phases_pb2.ExecutionError(code="ExecutionAborted", message="the parent ended")
    await record(admin, "child", requests.workflow_event(ExecutionPhase.ABORTED, 1, error=error))
    assert (await end_of_child(admin)).error == error


async def test_an_execution_without_a_parent_tells_nobody(admin: AdminPorts) -> None:
    await record(admin, "x", requests.workflow_event(ExecutionPhase.SUCCEEDED))
    assert await sent(admin, "child_ended") == []


async def test_children_that_outlive_their_parent_are_aborted(admin: AdminPorts) -> None:
    await executions.create(admin, child_of_x("other"))
    await executions.create(admin, requests.create("stranger"))
    await record(admin, "child", requests.workflow_event(ExecutionPhase.FAILED))
    await record(admin, "x", requests.workflow_event(ExecutionPhase.RUNNING))
    assert await sent(admin, "abort") == []
    await record(admin, "x", requests.workflow_event(ExecutionPhase.FAILED, 1))
    [(to, order)] = await sent(admin, "abort")
    assert to == str(key("other"))
    assert str(PARENT) in order.abort.cause


@pytest.mark.parametrize("phase", [ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED])
async def test_a_parent_that_has_ended_gets_no_more_children(admin: AdminPorts, phase: ExecutionPhase) -> None:
    await record(admin, "x", requests.workflow_event(phase))
    with pytest.raises(AlreadyTerminal, match="n0"):
        await executions.create(admin, child_of_x("late"))
    assert [to for to, _ in await sent(admin, "start")] == [str(PARENT), str(key("child"))]


async def test_a_child_names_its_node(admin: AdminPorts) -> None:
    request = child_of_x("other")
    request.spec.metadata.parent_node_execution.node_id = ""
    with pytest.raises(InvalidRequest, match="missing node_id"):
        await executions.create(admin, request)


async def test_executions_are_found_by_the_row_of_their_node_once_it_is_recorded(admin: AdminPorts) -> None:
    id = common_pb2.NamedEntityIdentifier(project=registry.PROJECT, domain=registry.DOMAIN)
    request = common_pb2.ResourceListRequest(id=id, limit=10, filters="eq(parent_node_execution,1)")
    assert list((await executions.list_executions(admin, request)).executions) == []
    await record(admin, "x", requests.node_event(NodePhase.QUEUED))
    [found] = (await executions.list_executions(admin, request)).executions
    assert found.id.name == "child"
