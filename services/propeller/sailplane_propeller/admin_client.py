"""Admin as propeller sees it: over gRPC, for what it reads."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from grpc import aio
from sailplane_core.errors import InvalidRequest, NotFound, Unavailable
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import common_pb2, launch_plan_pb2
from sailplane_protos.core import compiler_pb2
from sailplane_protos.service import admin_pb2_grpc

T = TypeVar("T")

TIMEOUT_S = 10.0
MESSAGE_BYTES_MAX = 256 * 1024 * 1024
"""A workflow of tens of thousands of nodes is one message."""


class AdminClient:
    """Implements `DefinitionSource` and `dynamic.Registry` with admin's own RPCs."""

    def __init__(self, channel: aio.Channel) -> None:
        self._channel = channel
        self._admin = admin_pb2_grpc.AdminServiceStub(channel)

    @classmethod
    def connect(cls, target: str) -> "AdminClient":
        """A client of the admin at `host:port`, without TLS. Connects when first used, and again whenever needed."""
        return cls(aio.insecure_channel(target, options=[("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]))

    async def close(self) -> None:
        """Let go of the connection. Calls under way fail."""
        await self._channel.close()

    async def compiled_workflow(self, id: EntityId) -> compiler_pb2.CompiledWorkflowClosure:
        """The closure as registered."""
        return (await self._get(self._admin.GetWorkflow, id)).closure.compiled_workflow

    async def get_task(self, id: EntityId) -> compiler_pb2.CompiledTask:
        """The task as registered. Raises `NotFound`, `InvalidRequest` for an id that cannot be, `Unavailable`."""
        return (await self._get(self._admin.GetTask, id)).closure.compiled_task

    async def get_launch_plan(self, id: EntityId) -> launch_plan_pb2.LaunchPlan:
        """The launch plan with what it expects and gives. Raises the same."""
        return await self._get(self._admin.GetLaunchPlan, id)

    async def _get(self, call: Callable[..., Awaitable[T]], id: EntityId) -> T:
        try:
            return await call(common_pb2.ObjectGetRequest(id=id.to_message()), timeout=TIMEOUT_S)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NotFound(ResourceType.Name(id.kind), str(id)) from error
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise InvalidRequest(error.details() or "") from error
            raise Unavailable(f"admin ({error.code().name}: {error.details()})") from error
