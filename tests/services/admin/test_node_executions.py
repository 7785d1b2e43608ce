"""Reading and listing nodes and attempts."""

import pytest
from sailplane_admin import execution_data, executions, node_executions, task_executions
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.phases import NodePhase, TaskPhase
from sailplane_protos.admin import common_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import identifier_pb2

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With an execution of three nodes, the first of which was tried twice, and another execution."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    await executions.create(ports, requests.create("y"))
    await requests.record(
        ports,
        requests.node_event(NodePhase.QUEUED, "start-node", second=0, spec_node_id="start-node"),
        requests.node_event(NodePhase.RUNNING, "n0", second=1),
        requests.node_event(NodePhase.QUEUED, "n1", second=2),
        requests.task_event(TaskPhase.FAILED, attempt=0, second=3),
        requests.task_event(TaskPhase.RUNNING, attempt=1, second=4),
    )
    return ports


def nodes(name: str = "x", limit: int = 10, **more: object) -> node_execution_pb2.NodeExecutionListRequest:
    id = requests.execution_id(name)
    return node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=id, limit=limit, **more)


def attempts(node: str = "n0", **more: object) -> task_execution_pb2.TaskExecutionListRequest:
    return task_execution_pb2.TaskExecutionListRequest(node_execution_id=requests.node_id(node), limit=10, **more)


def attempt_id(attempt: int, node: str = "n0") -> identifier_pb2.TaskExecutionIdentifier:
    return identifier_pb2.TaskExecutionIdentifier(
        task_id=registry.task_id("double"), node_execution_id=requests.node_id(node), retry_attempt=attempt
    )


async def ids(ports: AdminPorts, **more: object) -> list[str]:
    listed = await node_executions.list_nodes(ports, nodes(**more))
    return [node.id.node_id for node in listed.node_executions]


async def test_a_node_by_its_id(admin: AdminPorts) -> None:
    node = await node_executions.get(admin, node_execution_pb2.NodeExecutionGetRequest(id=requests.node_id()))
    assert (node.id, node.closure.phase) == (requests.node_id(), NodePhase.RUNNING)
    with pytest.raises(NotFound):
        await node_executions.get(admin, node_execution_pb2.NodeExecutionGetRequest(id=requests.node_id("ghost")))
    with pytest.raises(InvalidRequest, match="node_id"):
        await node_executions.get(admin, node_execution_pb2.NodeExecutionGetRequest(id=requests.node_id("")))
    with pytest.raises(InvalidRequest, match="execution_id"):
        await node_executions.get(admin, node_execution_pb2.NodeExecutionGetRequest())


async def test_an_attempt_by_its_id(admin: AdminPorts) -> None:
    request = task_execution_pb2.TaskExecutionGetRequest(id=attempt_id(1))
    assert (await task_executions.get(admin, request)).closure.phase == TaskPhase.RUNNING
    with pytest.raises(NotFound):
        await task_executions.get(admin, task_execution_pb2.TaskExecutionGetRequest(id=attempt_id(2)))
    request.id.task_id.resource_type = identifier_pb2.WORKFLOW
    with pytest.raises(InvalidRequest, match="expected TASK"):
        await task_executions.get(admin, request)


async def test_nodes_come_as_they_were_reported_unless_a_key_is_given(admin: AdminPorts) -> None:
    assert await ids(admin) == ["start-node", "n0", "n1"]
    by_id = common_pb2.Sort(key="node_id", direction=common_pb2.Sort.ASCENDING)
    assert await ids(admin, sort_by=by_id) == ["n0", "n1", "start-node"]
    latest = common_pb2.Sort(key="node_execution_created_at", direction=common_pb2.Sort.DESCENDING)
    assert await ids(admin, sort_by=latest) == ["n1", "n0", "start-node"]
    assert await ids(admin, name="y") == []


async def test_nodes_are_filtered_by_their_own_fields_and_their_executions(admin: AdminPorts) -> None:
    assert await ids(admin, filters="eq(phase,QUEUED)") == ["start-node", "n1"]
    assert await ids(admin, filters="eq(execution.phase,UNDEFINED)+ne(node_id,n1)") == ["start-node", "n0"]
    with pytest.raises(InvalidRequest, match="ghost"):
        await ids(admin, filters="eq(ghost,1)")


async def test_nodes_come_in_pages(admin: AdminPorts) -> None:
    first = await node_executions.list_nodes(admin, nodes(limit=2))
    assert len(first.node_executions) == 2
    assert await ids(admin, limit=2, token=first.token) == ["n1"]
    with pytest.raises(InvalidRequest, match="limit"):
        await ids(admin, limit=0)


async def test_attempts_are_filtered_and_sorted(admin: AdminPorts) -> None:
    async def numbers(**more: object) -> list[int]:
        listed = await task_executions.list_attempts(admin, attempts(**more))
        return [one.id.retry_attempt for one in listed.task_executions]

    assert await numbers() == [0, 1]
    assert await numbers(filters="eq(phase,FAILED)") == [0]
    assert await numbers(filters="eq(task.name,double)+eq(node_execution.phase,RUNNING)") == [0, 1]
    assert await numbers(sort_by=common_pb2.Sort(key="retry_attempt")) == [1, 0]
    assert await numbers(node="n1") == []


async def test_no_nodes_belong_to_an_attempt_but_it_must_be_there(admin: AdminPorts) -> None:
    request = node_execution_pb2.NodeExecutionForTaskListRequest(task_execution_id=attempt_id(0), limit=10)
    assert await node_executions.list_for_task(admin, request) == node_execution_pb2.NodeExecutionList()
    request.task_execution_id.CopyFrom(attempt_id(7))
    with pytest.raises(NotFound):
        await node_executions.list_for_task(admin, request)
    request.limit = 0
    with pytest.raises(InvalidRequest, match="limit"):
        await node_executions.list_for_task(admin, request)


async def test_a_dynamic_node_shows_the_workflow_that_it_has_generated(admin: AdminPorts) -> None:
    request = node_execution_pb2.GetDynamicNodeWorkflowRequest(id=requests.node_id())
    with pytest.raises(NotFound, match="dynamic workflow"):
        await node_executions.get_generated(admin, request)
    event = requests.node_event(NodePhase.DYNAMIC_RUNNING, "n0", second=5, is_dynamic=True)
    generated = event.task_node_metadata.dynamic_workflow
    generated.id.CopyFrom(registry.workflow_id("generated"))
    generated.compiled_workflow.primary.template.id.CopyFrom(generated.id)
    await requests.record(admin, event, requests.node_event(NodePhase.SUCCEEDED, "n0", second=6))
    assert (await node_executions.get_generated(admin, request)).compiled_workflow == generated.compiled_workflow
    data = await execution_data.of_node(admin, node_execution_pb2.NodeExecutionGetDataRequest(id=requests.node_id()))
    assert data.dynamic_workflow.id == generated.id


async def test_a_node_that_only_says_to_be_dynamic_has_generated_nothing(admin: AdminPorts) -> None:
    await requests.record(admin, requests.node_event(NodePhase.DYNAMIC_RUNNING, "n0", second=5, is_dynamic=True))
    data = await execution_data.of_node(admin, node_execution_pb2.NodeExecutionGetDataRequest(id=requests.node_id()))
    assert not data.HasField("dynamic_workflow")
