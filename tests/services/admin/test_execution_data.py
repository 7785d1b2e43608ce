"""Inputs and outputs of executions, nodes and attempts, as replies carry them."""

import pytest
from sailplane_admin import execution_data, executions
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import NotFound
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import literals_pb2

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry


def text(value: str) -> literals_pb2.LiteralMap:
    made = literals_pb2.LiteralMap()
    made.literals["o0"].scalar.primitive.string_value = value
    return made


OF_EXECUTION = execution_pb2.WorkflowExecutionGetDataRequest(id=requests.execution_id())
OF_NODE = node_execution_pb2.NodeExecutionGetDataRequest(id=requests.node_id())
OF_TASK = task_execution_pb2.TaskExecutionGetDataRequest()
OF_TASK.id.task_id.CopyFrom(registry.task_id("double"))
OF_TASK.id.node_execution_id.CopyFrom(requests.node_id())


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With one execution, `x`."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    return ports


async def finish(ports: AdminPorts, output_uri: str) -> None:
    """Everything succeeds, with outputs at `output_uri`."""
    await requests.record(
        ports,
        requests.node_event(NodePhase.RUNNING, input_uri=output_uri),
        requests.task_event(TaskPhase.SUCCEEDED, output_uri=output_uri),
        requests.node_event(NodePhase.SUCCEEDED, output_uri=output_uri),
        requests.workflow_event(ExecutionPhase.SUCCEEDED, output_uri=output_uri),
    )


async def put(ports: AdminPorts, data: bytes) -> str:
    uri = ports.blobs.uri(f"metadata/{requests.KEY}/outputs.pb")
    await ports.blobs.put(uri, data)
    return uri


async def test_a_run_that_goes_on_has_inputs_only(admin: AdminPorts) -> None:
    data = await execution_data.of_execution(admin, OF_EXECUTION)
    assert data.full_inputs.literals["a"].scalar.primitive.integer == 1
    assert data.inputs.bytes == data.full_inputs.ByteSize()
    assert (data.full_outputs, data.outputs.url) == (literals_pb2.LiteralMap(), "")


async def test_data_of_nodes_and_attempts_with_their_urls(admin: AdminPorts) -> None:
    await finish(admin, await put(admin, text("done").SerializeToString()))
    node = await execution_data.of_node(admin, OF_NODE)
    assert (node.full_inputs, node.full_outputs) == (text("done"), text("done"))
    assert node.flyte_urls.outputs == "flyte://v1/flytesnacks/development/x/n0/o"
    assert node.flyte_urls.deck == ""
    task = await execution_data.of_task(admin, OF_TASK)
    assert task.full_outputs == text("done")
    assert task.flyte_urls.inputs == "flyte://v1/flytesnacks/development/x/n0/0/i"


async def test_what_is_large_comes_by_url_alone(admin: AdminPorts) -> None:
    large = text("x" * admin.settings.inline_data_bytes_max).SerializeToString()
    await finish(admin, await put(admin, large))
    for data in (
        await execution_data.of_execution(admin, OF_EXECUTION),
        await execution_data.of_node(admin, OF_NODE),
        await execution_data.of_task(admin, OF_TASK),
    ):
        assert data.full_outputs == literals_pb2.LiteralMap()
        assert data.outputs.bytes == len(large)
        assert data.outputs.url.startswith("http://localhost:8088/blobs/")


@pytest.mark.parametrize("uri", ["/etc/passwd", "s3://elsewhere/outputs.pb", "{root}/never/written", "{root}/../x"])
async def test_what_cannot_be_read_is_left_out(admin: AdminPorts, uri: str) -> None:
    await finish(admin, uri.format(root=admin.blobs.uri("").rstrip("/")))
    data = await execution_data.of_execution(admin, OF_EXECUTION)
    assert (data.full_outputs, data.outputs.url) == (literals_pb2.LiteralMap(), "")


async def test_what_is_no_literal_map_comes_by_url_for_people_to_look_at(admin: AdminPorts) -> None:
    await finish(admin, await put(admin, b"\xff\xffgarbage"))
    data = await execution_data.of_node(admin, OF_NODE)
    assert data.full_outputs == literals_pb2.LiteralMap()
    assert data.outputs.bytes == 9
    assert data.outputs.url


async def test_data_of_what_is_not_there(admin: AdminPorts) -> None:
    ghost = execution_pb2.WorkflowExecutionGetDataRequest(id=requests.execution_id("ghost"))
    with pytest.raises(NotFound):
        await execution_data.of_execution(admin, ghost)
    with pytest.raises(NotFound):
        await execution_data.of_node(admin, OF_NODE)
    with pytest.raises(NotFound):
        await execution_data.of_task(admin, OF_TASK)
