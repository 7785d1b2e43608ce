"""The same services and bytes under Flyte's names as under ours, and what every gRPC server should be able to."""

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from compat.plane import Plane
from flyteidl.admin import version_pb2
from flyteidl.cacheservice import cacheservice_pb2
from flyteidl.service import admin_pb2, admin_pb2_grpc, dataproxy_pb2, signal_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from wire import good

NAMES = ("flyteidl", "sailplane")
PUBLISHED = {
    "service.AdminService": admin_pb2,
    "service.DataProxyService": dataproxy_pb2,
    "service.SignalService": signal_pb2,
    "cacheservice.CacheService": cacheservice_pb2,
}
"""What is offered under both packages, and where Flyte publishes it."""
CATALOG = ("datacatalog.DataCatalog", "sailplane.datacatalog.DataCatalog")
"""The one service that Flyte has outside of its package."""
OFFERED = [*(f"{package}.{name}" for package in NAMES for name in PUBLISHED), *CATALOG]
OURS_ALONE = {
    "sailplane.governance.AuditService",
    "sailplane.governance.QuotaService",
    "sailplane.governance.RetentionService",
    "sailplane.notification.NotificationService",
    "sailplane.propeller.PropellerService",
    "sailplane.scheduler.BackfillService",
    "sailplane.scheduler.SchedulerService",
    "sailplane.watch.WatchService",
}
PROTOCOL = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
FLYTEKITS = [
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_metadata_size", 32 * 1024),
]
"""What flytekit says of its channel, but for the time between pings, which is 30 s."""
ENDS = ("Terminate", "Delete")
"""What these have ended is not there for the others."""
MESSAGE_BYTES_MAX = 16 * 1024 * 1024


@pytest.fixture(scope="module")
def channel(world: Plane) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(world.grpc) as opened:
        yield opened


def outcome(channel: grpc.Channel, path: str, data: bytes) -> tuple[StatusCode, bytes | str]:
    call: Any = channel.unary_unary(path)
    try:
        return StatusCode.OK, call(data, timeout=20)
    except grpc.RpcError as error:
        known: Any = error
        return known.code(), known.details()


# Health


@pytest.mark.parametrize("service", ["", "flyteadmin", *OURS_ALONE, *OFFERED])
def test_health_is_told_of_the_whole_and_of_every_service(channel: grpc.Channel, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    reply = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    watched = stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=20)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    watched.cancel()


@pytest.mark.parametrize("service", ["none", "flyteidl.service.IdentityService", "FlyteAdmin"])
def test_health_of_others_is_not_known(channel: grpc.Channel, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
    error: Any = caught.value
    assert error.code() is StatusCode.NOT_FOUND
    assert service in error.details()


# Reflection


def ask(channel: grpc.Channel, version: str, **question: Any) -> reflection_pb2.ServerReflectionResponse:
    call: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return next(call(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=20))


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_both_names(channel: grpc.Channel, version: str) -> None:
    reply = ask(channel, version, list_services="*").list_services_response
    assert {service.name for service in reply.service} == {*OFFERED} | OURS_ALONE | PROTOCOL


def pool_of(files: list[FileDescriptorProto]) -> DescriptorPool:
    """A pool of nothing but these, dependencies first."""
    pool = DescriptorPool()
    waiting = {file.name: file for file in files}

    def add(name: str) -> None:
        file = waiting.pop(name, None)
        if file is not None:
            for dependency in file.dependency:
                add(dependency)
            pool.Add(file)

    while waiting:
        add(next(iter(waiting)))
    return pool


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize("package", NAMES)
@pytest.mark.parametrize("service", PUBLISHED)
def test_who_has_only_reflection_can_call(channel: grpc.Channel, version: str, package: str, service: str) -> None:
    name = f"{package}.{service}"
    reply = ask(channel, version, file_containing_symbol=name).file_descriptor_response
    pool = pool_of([FileDescriptorProto.FromString(data) for data in reply.file_descriptor_proto])
    described = pool.FindServiceByName(name)
    assert {method.name for method in described.methods} == _methods(PUBLISHED[service], service)
    for method in described.methods:
        if method.name not in good.REQUESTS or method.name in good.CREATES or method.name.startswith(ENDS):
            continue
        # The good request, as somebody writes it who knows nothing but these descriptors.
        request = GetMessageClass(method.input_type).FromString(good.REQUESTS[method.name]().SerializeToString())
        assert not _unknown(request)
        code, answer = outcome(channel, f"/{name}/{method.name}", request.SerializeToString())
        assert (code, type(answer)) == (StatusCode.OK, bytes), answer
        assert not _unknown(GetMessageClass(method.output_type).FromString(answer))


def _methods(file: Any, service: str) -> set[str]:
    """The RPCs of a service in the published package."""
    return {method.name for method in file.DESCRIPTOR.services_by_name[service.split(".")[1]].methods}


def _unknown(message: Any) -> bool:
    copy = type(message)()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    return copy.ByteSize() != message.ByteSize()


# The same bytes


READS = [name for name in good.REQUESTS if name.startswith(("Get", "List"))]


@pytest.mark.parametrize("method", READS)
def test_both_names_give_the_same_bytes(channel: grpc.Channel, method: str) -> None:
    [service] = [name for name, file in PUBLISHED.items() if method in _methods(file, name)]
    data = good.REQUESTS[method]().SerializeToString()
    outcomes = [outcome(channel, f"/{package}.{service}/{method}", data) for package in NAMES]
    assert outcomes[0][0] is StatusCode.OK
    if "Data" in method:  # it has signed URLs, and time goes on
        assert [len(answer) for _, answer in outcomes] == [len(outcomes[0][1])] * 2
    else:
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "path",
    [
        "/flyteidl.service.AdminService/Nonsense",
        "/sailplane.service.AdminService/Nonsense",
        "/flyteidl.service.Nonsense/GetVersion",
        "/flyteidl.service.IdentityService/UserInfo",
        "/flyteidl.service.AuthMetadataService/GetOAuth2Metadata",
        "/flyteidl.propeller.PropellerService/Drain",
        "/",
        "//",
    ],
)
def test_what_is_not_offered_is_unimplemented(channel: grpc.Channel, path: str) -> None:
    # Not UNKNOWN or UNAUTHENTICATED: flytekit would try to log in.
    assert outcome(channel, path, b"")[0] is StatusCode.UNIMPLEMENTED


# The connection


def test_pings_without_calls_are_tolerated(world: Plane) -> None:
    # gRPC pings once a second at most; a server that minds cuts the connection at the third.
    with grpc.insecure_channel(world.grpc, options=[*FLYTEKITS, ("grpc.keepalive_time_ms", 1000)]) as pinging:
        stub = admin_pb2_grpc.AdminServiceStub(pinging)
        stub.GetVersion(version_pb2.GetVersionRequest(), timeout=20)
        seen: list[grpc.ChannelConnectivity] = []
        pinging.subscribe(seen.append)
        time.sleep(4.5)
        assert set(seen) <= {grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.READY}
        assert seen[-1] is grpc.ChannelConnectivity.READY
        stub.GetVersion(version_pb2.GetVersionRequest(), timeout=20)


def test_messages_are_taken_up_to_the_limit(channel: grpc.Channel) -> None:
    def of(size: int) -> bytes:
        """A request with an unknown field, so that it has that size."""
        request = version_pb2.GetVersionResponse()
        request.control_plane_version.Version = "x" * (size - 20)
        return request.SerializeToString()

    path = "/flyteidl.service.AdminService/GetVersion"
    assert outcome(channel, path, of(MESSAGE_BYTES_MAX))[0] is StatusCode.OK
    assert outcome(channel, path, of(MESSAGE_BYTES_MAX + 1024))[0] is StatusCode.RESOURCE_EXHAUSTED
    assert outcome(channel, path, b"")[0] is StatusCode.OK


def test_requests_may_be_compressed(channel: grpc.Channel) -> None:
    call: Any = channel.unary_unary("/flyteidl.service.AdminService/ListTasks")
    data = good.listing().SerializeToString()
    assert call(data, timeout=20, compression=grpc.Compression.Gzip) == call(data, timeout=20)


def test_the_version_is_told(channel: grpc.Channel) -> None:
    reply = admin_pb2_grpc.AdminServiceStub(channel).GetVersion(version_pb2.GetVersionRequest(), timeout=20)
    assert reply.control_plane_version.Version.count(".") == 2
