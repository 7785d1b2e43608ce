"""A server with one service, and a connection to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from grpc import aio
from sailplane_protos.admin import version_pb2, workflow_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.grpc_server import GrpcServer
from sailplane_runtime.progress import Progress
from sailplane_runtime.settings import GrpcSettings

ADMIN = "sailplane.service.AdminService"
FLYTE_ADMIN = "flyteidl.service.AdminService"


class Admin:
    """Does what a test gives it to do."""

    def __init__(self, act: Callable[[], Any] = lambda: None) -> None:
        self._act = act

    async def GetVersion(self, request: version_pb2.GetVersionRequest, context: Any) -> Any:  # noqa: N802
        """The outcome of the act, or a version."""
        found = self._act()
        if asyncio.iscoroutine(found):
            found = await found
        return version_pb2.GetVersionResponse() if found is None else found

    async def CreateWorkflow(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The same with a request that has an id."""
        self._act()
        return workflow_pb2.WorkflowCreateResponse()


@asynccontextmanager
async def serving(
    servicer: object, service: str = ADMIN, *, progress: Progress | None = None, **settings: Any
) -> AsyncIterator[aio.Channel]:
    """A channel to a server that offers one servicer."""
    server = GrpcServer(GrpcSettings(port=0, **settings), progress or Progress(ManualClock()))
    server.add(service, servicer)
    port = server.bind()
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop()


def unary(channel: aio.Channel, method: str, response: Any = None) -> Any:
    """A call that sends bytes."""
    return channel.unary_unary(
        method,
        request_serializer=lambda data: data,
        response_deserializer=response.FromString if response else None,
    )


async def failure(channel: aio.Channel, method: str, data: bytes = b"") -> aio.AioRpcError:
    """How a call fails."""
    with pytest.raises(aio.AioRpcError) as caught:
        await unary(channel, method)(data)
    return caught.value
