"""GetExecutionMetrics: what it refuses."""

import pytest
from sailplane_admin import execution_spans, executions
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound
from sailplane_protos.admin import execution_pb2

from services.admin import execution_requests as requests

Request = execution_pb2.WorkflowExecutionGetMetricsRequest


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With an execution of which nothing was told yet."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    return ports


async def test_an_execution_that_has_not_begun_is_all_setup(admin: AdminPorts) -> None:
    found = await execution_spans.get(admin, Request(id=requests.execution_id(), depth=3))
    assert found.span.workflow_id == requests.execution_id()
    assert [span.operation_id for span in found.span.spans] == ["WORKFLOW_SETUP"]


async def test_an_execution_that_is_not_there_has_no_spans(admin: AdminPorts) -> None:
    with pytest.raises(NotFound):
        await execution_spans.get(admin, Request(id=requests.execution_id("nobody"), depth=1))
    with pytest.raises(InvalidRequest):
        await execution_spans.get(admin, Request(depth=1))


async def test_too_many_spans_are_refused(admin: AdminPorts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_spans, "NODES_MAX", -1)
    with pytest.raises(LimitReached, match="smaller depth"):
        await execution_spans.get(admin, Request(id=requests.execution_id(), depth=1))
    await execution_spans.get(admin, Request(id=requests.execution_id(), depth=0))
