"""CacheService."""

from typing import Any

from sailplane_protos.cacheservice import cacheservice_pb2 as pb
from sailplane_protos.cacheservice import cacheservice_pb2_grpc

from .. import output_cache
from ..ports import AdminPorts


class CacheServiceHandlers(cacheservice_pb2_grpc.CacheServiceServicer):
    """The handlers."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def Get(self, request: pb.GetCacheRequest, context: Any) -> pb.GetCacheResponse:
        """What is kept under a key."""
        return await output_cache.get(self.ports, request)

    async def Put(self, request: pb.PutCacheRequest, context: Any) -> pb.PutCacheResponse:
        """Keep outputs under a key."""
        return await output_cache.put(self.ports, request)

    async def Delete(self, request: pb.DeleteCacheRequest, context: Any) -> pb.DeleteCacheResponse:
        """Forget what is kept under a key."""
        return await output_cache.remove(self.ports, request)

    async def GetOrExtendReservation(
        self, request: pb.GetOrExtendReservationRequest, context: Any
    ) -> pb.GetOrExtendReservationResponse:
        """Get the right to compute, or keep it."""
        return await output_cache.get_or_extend(self.ports, request)

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, context: Any
    ) -> pb.ReleaseReservationResponse:
        """Give the right back."""
        return await output_cache.release(self.ports, request)
