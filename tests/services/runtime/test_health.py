"""Health over gRPC: what it knows, and that it proves progress."""

import asyncio
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.grpc_server import GrpcServer
from sailplane_runtime.progress import Progress
from sailplane_runtime.settings import GrpcSettings
from services.runtime.serving import ADMIN, FLYTE_ADMIN, Admin, failure, serving, unary


async def health(channel: aio.Channel, service: str) -> str:
    reply = await unary(channel, "/grpc.health.v1.Health/Check", health_pb2.HealthCheckResponse)(
        health_pb2.HealthCheckRequest(service=service).SerializeToString()
    )
    return health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


async def test_health_knows_the_server_flytes_name_and_the_services() -> None:
    async with serving(Admin()) as channel:
        for service in ("", "flyteadmin", ADMIN, FLYTE_ADMIN):
            assert await health(channel, service) == "SERVING"
        request = health_pb2.HealthCheckRequest(service="nobody").SerializeToString()
        assert (await failure(channel, "/grpc.health.v1.Health/Check", request)).code() is grpc.StatusCode.NOT_FOUND


async def test_health_tells_when_progress_has_ceased_and_when_it_is_back() -> None:
    clock = ManualClock()
    progress = Progress(clock, interval_s=5, stale_after_s=20)
    is_well = True
    probes = 0

    async def probe() -> None:
        nonlocal probes
        probes += 1
        if not is_well:
            raise RuntimeError("the store is away")

    async def pass_time(seconds: float) -> None:
        for _ in range(int(seconds / 5)):
            before = probes
            clock.advance(5)
            while probes == before:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    progress.watch("store", probe)
    await progress.start()
    async with serving(Admin(), progress=progress) as channel:
        await pass_time(100)
        assert await health(channel, "") == "SERVING"
        is_well = False
        await pass_time(20)
        assert await health(channel, "") == "SERVING"
        await pass_time(5)
        assert await health(channel, "") == "NOT_SERVING"
        assert progress.stale() == ["store"]
        is_well = True
        await pass_time(5)
        assert await health(channel, "") == "SERVING"
    await progress.stop()


async def test_watchers_of_health_hear_of_the_end() -> None:
    server = GrpcServer(GrpcSettings(port=0), Progress(ManualClock()))
    server.add(ADMIN, Admin())
    port = server.bind()
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        watching: Any = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        known = watching(health_pb2.HealthCheckRequest(service="flyteadmin"))
        assert (await known.read()).status == health_pb2.HealthCheckResponse.SERVING
        unknown = watching(health_pb2.HealthCheckRequest(service="nobody"))
        assert (await unknown.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        stopping = asyncio.ensure_future(server.stop())
        assert (await known.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await known.read() is aio.EOF
        await stopping
