"""What nodes of every kind report, as clients read it."""

from typing import Any

import pytest
from sailplane_admin import executions, node_executions
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyTerminal
from sailplane_core.phases import NodePhase
from sailplane_protos.admin import node_execution_pb2
from sailplane_protos.core import catalog_pb2
from sailplane_protos.event import event_pb2

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With the execution `x`."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    return ports


async def node(ports: AdminPorts, id: str = "n0") -> node_execution_pb2.NodeExecution:
    return await node_executions.get(ports, node_execution_pb2.NodeExecutionGetRequest(id=requests.node_id(id)))


async def below(ports: AdminPorts, parent: str = "", **more: Any) -> list[str]:
    """The ids of the nodes that lie in a node."""
    request = node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=requests.execution_id(), unique_parent_id=parent, limit=100, **more
    )
    return [found.id.node_id for found in (await node_executions.list_nodes(ports, request)).node_executions]


def cached(phase: NodePhase, second: int, status: int, tag: str = "") -> event_pb2.NodeExecutionEvent:
    event = requests.node_event(phase, second=second)
    event.task_node_metadata.cache_status = catalog_pb2.CatalogCacheStatus.ValueType(status)
    if tag:
        event.task_node_metadata.catalog_key.artifact_tag.name = tag
    return event


@pytest.mark.parametrize("together", [True, False])
async def test_nodes_lie_in_nodes_to_any_depth(admin: AdminPorts, together: bool) -> None:
    reported = [
        requests.node_event(NodePhase.RUNNING, "n0", is_parent=True),
        requests.node_event(NodePhase.QUEUED, "n1"),
        requests.node_event(NodePhase.RUNNING, "n0-0-a", parent="n0", is_parent=True, spec_node_id="a"),
        requests.node_event(NodePhase.RUNNING, "n0-0-a-1-b", parent="n0-0-a", is_array=True, retry_group="1"),
        requests.node_event(NodePhase.QUEUED, "n0-0-c", parent="n0"),
        requests.node_event(NodePhase.QUEUED, "deep", parent="n0-0-a-1-b"),
        requests.node_event(NodePhase.SUCCEEDED, "n0-0-a", parent="n0"),
    ]
    for batch in [reported] if together else [[event] for event in reported]:
        assert await requests.record(admin, *batch) == []
    assert await below(admin) == ["n0", "n1"]
    assert await below(admin, "n0") == ["n0-0-a", "n0-0-c"]
    assert await below(admin, "n0-0-a") == ["n0-0-a-1-b"]
    assert await below(admin, "n0-0-a-1-b") == ["deep"]
    assert await below(admin, "deep") == []
    array = (await node(admin, "n0-0-a-1-b")).metadata
    assert (array.is_array, array.is_parent_node, array.retry_group) == (True, False, "1")


async def test_what_the_cache_had_to_do_with_it(admin: AdminPorts) -> None:
    await requests.record(
        admin,
        requests.node_event(NodePhase.QUEUED),
        cached(NodePhase.RUNNING, 1, catalog_pb2.CACHE_MISS),
        cached(NodePhase.SUCCEEDED, 2, catalog_pb2.CACHE_POPULATED, "flyte_cached-1"),
    )
    told = (await node(admin)).closure.task_node_metadata
    assert (told.cache_status, told.catalog_key.artifact_tag.name) == (catalog_pb2.CACHE_POPULATED, "flyte_cached-1")
    assert await below(admin, filters="eq(cache_status,CACHE_POPULATED)") == ["n0"]
    assert await below(admin, filters="eq(cache_status,CACHE_MISS)") == []


async def test_a_hit_needs_no_attempt(admin: AdminPorts) -> None:
    hit = cached(NodePhase.SUCCEEDED, 1, catalog_pb2.CACHE_HIT, "flyte_cached-1")
    hit.task_node_metadata.catalog_key.source_task_execution.node_execution_id.CopyFrom(requests.node_id("n0", "old"))
    hit.task_node_metadata.reservation_status = catalog_pb2.CatalogReservation.RESERVATION_RELEASED
    hit.output_uri = "outputs"
    assert await requests.record(admin, requests.node_event(NodePhase.QUEUED), hit) == []
    closure = (await node(admin)).closure
    assert (closure.phase, closure.output_uri) == (NodePhase.SUCCEEDED, "outputs")
    assert closure.task_node_metadata.catalog_key == hit.task_node_metadata.catalog_key


async def test_a_dynamic_node_becomes_a_parent_when_it_unfolds(admin: AdminPorts) -> None:
    unfolded = requests.node_event(NodePhase.DYNAMIC_RUNNING, second=2, is_dynamic=True, is_parent=True)
    generated = unfolded.task_node_metadata.dynamic_workflow
    generated.id.CopyFrom(registry.workflow_id("generated"))
    generated.compiled_workflow.primary.template.id.CopyFrom(generated.id)
    generated.dynamic_job_spec_uri = "futures.pb"
    unfolded.task_node_metadata.cache_status = catalog_pb2.CACHE_MISS
    await requests.record(
        admin, requests.node_event(NodePhase.QUEUED), requests.node_event(NodePhase.RUNNING, second=1)
    )
    assert not (await node(admin)).metadata.is_parent_node
    inside = requests.node_event(NodePhase.QUEUED, "n0-0-dn0", second=2, parent="n0")
    assert await requests.record(admin, unfolded, inside, requests.node_event(NodePhase.SUCCEEDED, second=3)) == []
    found = await node(admin)
    assert (found.metadata.is_dynamic, found.metadata.is_parent_node) == (True, True)
    assert found.closure.dynamic_job_spec_uri == "futures.pb"
    assert found.closure.ByteSize() < 200, "the generated workflow is kept beside the closure"
    request = node_execution_pb2.GetDynamicNodeWorkflowRequest(id=requests.node_id())
    assert (await node_executions.get_generated(admin, request)).compiled_workflow == generated.compiled_workflow
    assert await below(admin, "n0") == ["n0-0-dn0"]


async def test_a_launch_plan_node_names_its_execution(admin: AdminPorts) -> None:
    running = requests.node_event(NodePhase.RUNNING, second=1)
    running.workflow_node_metadata.execution_id.CopyFrom(requests.execution_id("child"))
    done = requests.node_event(NodePhase.SUCCEEDED, second=2)
    assert await requests.record(admin, requests.node_event(NodePhase.QUEUED), running, done) == []
    assert (await node(admin)).closure.workflow_node_metadata.executionId == requests.execution_id("child")


async def test_a_recovered_node_has_outputs_and_ends_at_once(admin: AdminPorts) -> None:
    recovered = requests.node_event(NodePhase.RECOVERED, second=1, input_uri="in", output_uri="out")
    assert await requests.record(admin, recovered) == []
    found = await node(admin)
    assert (found.closure.phase, found.input_uri, found.closure.output_uri) == (NodePhase.RECOVERED, "in", "out")
    [refusal] = await requests.record(admin, requests.node_event(NodePhase.RUNNING, second=2))
    assert isinstance(refusal, AlreadyTerminal)
    assert await below(admin, filters="eq(phase,RECOVERED)") == ["n0"]


async def test_what_was_not_taken_is_shown_as_skipped(admin: AdminPorts) -> None:
    branch = requests.node_event(NodePhase.RUNNING, "n0", is_parent=True)
    assert await requests.record(admin, branch, requests.node_event(NodePhase.SKIPPED, "n0-0-b", parent="n0")) == []
    assert (await node(admin, "n0-0-b")).closure.phase == NodePhase.SKIPPED
