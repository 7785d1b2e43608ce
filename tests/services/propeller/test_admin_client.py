"""What propeller reads from admin over gRPC, and what each of admin's answers means to it."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio
from sailplane_core.errors import InvalidRequest, NotFound, Unavailable
from sailplane_core.ids import EntityId, ResourceType
from sailplane_propeller.admin_client import AdminClient
from sailplane_protos.admin import common_pb2, launch_plan_pb2, task_pb2
from sailplane_protos.service import admin_pb2_grpc

TASK = EntityId(ResourceType.TASK, "p", "development", "t", "1")
PLAN = EntityId(ResourceType.LAUNCH_PLAN, "p", "development", "plan", "1")


class Admin(admin_pb2_grpc.AdminServiceServicer):
    """Answers with what it was asked for, or with a status."""

    def __init__(self) -> None:
        self.status: grpc.StatusCode | None = None

    async def _answer(self, context: Any) -> None:
        if self.status is not None:
            await context.abort(self.status, "because")

    async def GetTask(self, request: common_pb2.ObjectGetRequest, context: Any) -> task_pb2.Task:  # noqa: N802
        await self._answer(context)
        task = task_pb2.Task(id=request.id)
        task.closure.compiled_task.template.id.CopyFrom(request.id)
        return task

    async def GetLaunchPlan(self, request: common_pb2.ObjectGetRequest, context: Any) -> launch_plan_pb2.LaunchPlan:  # noqa: N802
        await self._answer(context)
        return launch_plan_pb2.LaunchPlan(id=request.id)


@pytest.fixture
def admin() -> Admin:
    """The other side."""
    return Admin()


@pytest.fixture
async def client(admin: Admin) -> AsyncIterator[AdminClient]:
    """Connected to `admin`."""
    server = aio.server()
    admin_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    made = AdminClient.connect(f"127.0.0.1:{port}")
    yield made
    await made.close()
    await server.stop(None)


async def test_registered_things_are_fetched_by_their_ids(client: AdminClient) -> None:
    assert EntityId.of((await client.get_task(TASK)).template.id) == TASK
    assert EntityId.of((await client.get_launch_plan(PLAN)).id) == PLAN


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.INTERNAL, Unavailable),
    ],
)
async def test_each_answer_has_its_error(
    client: AdminClient, admin: Admin, status: grpc.StatusCode, error: type[Exception]
) -> None:
    admin.status = status
    with pytest.raises(error):
        await client.get_task(TASK)
    with pytest.raises(error):
        await client.get_launch_plan(PLAN)
