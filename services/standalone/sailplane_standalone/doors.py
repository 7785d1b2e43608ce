"""Knocks at the doors of a control plane, as a client would."""

import asyncio
from urllib.parse import urlsplit

from grpc import aio
from grpc_health.v1 import health_pb2
from sailplane_core.errors import Unavailable

TIMEOUT_S = 10.0


async def answer(grpc_target: str, http_url: str) -> None:
    """Return when both doors answer that all is well. Raises `Unavailable` when one does not within `TIMEOUT_S`."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(_grpc(grpc_target), _http(http_url))
    except (OSError, TimeoutError, aio.AioRpcError) as error:
        raise Unavailable(f"the control plane itself ({error})") from error


async def _grpc(target: str) -> None:
    async with aio.insecure_channel(target) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        reply = await check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        raise Unavailable("gRPC")


async def _http(url: str) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET /healthcheck HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    if b" 200 " not in status:
        raise Unavailable("HTTP")
