"""Propeller as admin sees it: over gRPC, for the logs of Pods that are there."""

from collections.abc import AsyncGenerator

from grpc import aio
from sailplane_protos.propeller import service_pb2, service_pb2_grpc
from sailplane_runtime.grpc_errors import error_of


class PropellerClient:
    """Implements `LogSource` with propeller's own RPC."""

    def __init__(self, channel: aio.Channel) -> None:
        self._channel = channel
        self._propeller = service_pb2_grpc.PropellerServiceStub(channel)

    @classmethod
    def connect(cls, target: str) -> "PropellerClient":
        """A client of the propeller at `host:port`, without TLS. Connects when first used, and again when needed."""
        return cls(aio.insecure_channel(target))

    async def close(self) -> None:
        """Let go of the connection. Calls under way fail."""
        await self._channel.close()

    async def log(self, namespace: str, pod: str, offset: int, *, follow: bool) -> AsyncGenerator[bytes]:
        """See `LogSource.log`."""
        request = service_pb2.ReadLogRequest(namespace=namespace, pod_name=pod, offset=offset, follow=follow)
        call = self._propeller.ReadLog(request)
        try:
            async for chunk in call:
                yield chunk.data
        except aio.AioRpcError as error:
            raise error_of(error.code(), error.details() or "", asked="propeller", kind="pod", id=pod) from error
        finally:
            call.cancel()
