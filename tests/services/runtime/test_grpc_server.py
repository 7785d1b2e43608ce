"""What the gRPC server does around every RPC, seen over real connections."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import status_pb2
from grpc import aio
from sailplane_core import errors
from sailplane_protos.admin import event_pb2, project_pb2, version_pb2, workflow_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.grpc_errors import CODES
from sailplane_runtime.grpc_server import GrpcServer
from sailplane_runtime.progress import Progress
from sailplane_runtime.settings import GrpcSettings
from services.runtime.serving import ADMIN, FLYTE_ADMIN, Admin, failure, serving, unary

DETAILS = "grpc-status-details-bin"


class Agents:
    """Streams both ways."""

    async def ExecuteTaskSync(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Repeats what it is sent, and fails at the third message."""
        from sailplane_protos.admin import agent_pb2

        count = 0
        async for _ in requests:
            count += 1
            if count == 3:
                raise errors.LimitReached("two messages")
            yield agent_pb2.ExecuteTaskSyncResponse()


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def subclasses(of: type) -> set[type]:
    return {of}.union(*(subclasses(one) for one in of.__subclasses__()))


def detail_of(error: aio.AioRpcError) -> AnyMessage:
    """The one detail of a status, after a look at its agreement with the plain status."""
    encoded = dict(error.trailing_metadata() or ())[DETAILS]
    status = status_pb2.Status.FromString(encoded)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    (detail,) = status.details
    return detail


# Names


@pytest.mark.parametrize("service", [ADMIN, FLYTE_ADMIN])
async def test_a_service_answers_under_our_name_and_flytes(service: str) -> None:
    async with serving(Admin()) as channel:
        assert await unary(channel, f"/{service}/GetVersion")(b"") == b""


async def test_datacatalog_has_flytes_odd_name() -> None:
    async with serving(object(), "sailplane.datacatalog.DataCatalog") as channel:
        error = await failure(channel, "/datacatalog.DataCatalog/CreateDataset")
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.details() == "this server does not offer datacatalog.DataCatalog.CreateDataset"


# Errors


def test_every_error_has_a_code_of_its_own_choosing() -> None:
    assert set(CODES) | {errors.SailplaneError} == subclasses(errors.SailplaneError)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.InvalidRequest.missing("id.name"), "INVALID_ARGUMENT", "missing id.name"),
        (errors.NotFound("TASK", "p:d:n:v"), "NOT_FOUND", "missing entity of type TASK with identifier p:d:n:v"),
        (errors.AlreadyExists("project", "p"), "ALREADY_EXISTS", "project p already exists"),
        (errors.Refused("not now"), "FAILED_PRECONDITION", "not now"),
        (errors.LimitReached("4 MiB"), "RESOURCE_EXHAUSTED", "limit reached: 4 MiB"),
        (errors.StaleVersion("x"), "ABORTED", "x was changed by somebody else"),
        (errors.Unavailable("the store"), "UNAVAILABLE", "the store is not available, try again"),
        (errors.Refused("Umlaut ü, Zeile\nzwei, 100 %"), "FAILED_PRECONDITION", "Umlaut ü, Zeile\nzwei, 100 %"),
        (errors.Refused("half a \ud800 pair"), "FAILED_PRECONDITION", "half a ? pair"),
    ],
)
async def test_an_error_leaves_as_its_code_and_text(error: Exception, code: str, message: str) -> None:
    async with serving(Admin(raising(error))) as channel:
        seen = await failure(channel, f"/{FLYTE_ADMIN}/GetVersion")
    assert (seen.code().name, seen.details()) == (code, message)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password=hunter2"),
        errors.InvariantBroken("password=hunter2"),
        errors.SailplaneError("a class without a code"),
        NotImplementedError(),
        StopAsyncIteration(),
        TimeoutError(),
    ],
)
async def test_a_fault_of_ours_is_internal_with_an_id_that_the_log_explains(error: Exception) -> None:
    with structlog.testing.capture_logs() as logs:
        async with serving(Admin(raising(error))) as channel:
            seen = await failure(channel, f"/{ADMIN}/GetVersion")
    assert seen.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in (seen.details() or "")
    (entry,) = [log for log in logs if log["event"] == "internal error"]
    assert entry["id"] in (seen.details() or "")
    assert entry["exc_info"] is error


@pytest.mark.parametrize("reply", ["not a message", version_pb2.GetVersionRequest])
async def test_a_reply_that_is_no_message_is_internal(reply: object) -> None:
    async with serving(Admin(lambda: reply)) as channel:
        assert (await failure(channel, f"/{ADMIN}/GetVersion")).code() is grpc.StatusCode.INTERNAL


async def test_a_malformed_request_is_the_callers_fault() -> None:
    async with serving(Admin()) as channel:
        error = await failure(channel, f"/{FLYTE_ADMIN}/CreateWorkflow", b"\xff\xff\xff")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "the request is not a well-formed sailplane.admin.WorkflowCreateRequest"


async def test_unknown_and_unoffered_methods_are_unimplemented() -> None:
    async with serving(Admin()) as channel:
        for method in (f"/{ADMIN}/GetTask", f"/{ADMIN}/Nonsense", "/no.Service/GetVersion"):
            assert (await failure(channel, method)).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_methods_of_generated_code_count_as_not_offered() -> None:
    from sailplane_protos.service import admin_pb2_grpc

    async with serving(admin_pb2_grpc.AdminServiceServicer()) as channel:
        error = await failure(channel, f"/{ADMIN}/GetTask")
    assert (error.code(), error.details()) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "this server does not offer sailplane.service.AdminService.GetTask",
    )


async def test_a_long_message_arrives_cut_instead_of_not_at_all() -> None:
    for text in ("plain " * 5000, "ü%\n" * 5000):
        async with serving(Admin(raising(errors.Refused(text)))) as channel:
            error = await failure(channel, f"/{ADMIN}/GetVersion")
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        message = error.details() or ""
        assert text.startswith(message.removesuffix(" [the rest is cut off]"))
        assert len(message) > 700


async def test_a_call_that_its_client_gave_up_is_no_error() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with structlog.testing.capture_logs() as logs:
        async with serving(Admin(wait)) as channel:
            call = unary(channel, f"/{ADMIN}/GetVersion")(b"")
            asking = asyncio.ensure_future(call.code())
            await begun.wait()
            call.cancel()
            await asyncio.wait_for(ended.wait(), 10)
            await asking
    assert [log for log in logs if log["log_level"] != "debug"] == []


async def test_slow_calls_are_logged_without_their_request() -> None:
    with structlog.testing.capture_logs() as logs:
        async with serving(Admin(), slow_call_s=0.0) as channel:
            await unary(channel, f"/{ADMIN}/GetVersion")(b"")
    (entry,) = logs
    assert set(entry) == {"event", "method", "ms", "log_level"}
    assert (entry["event"], entry["method"]) == ("slow call", f"/{ADMIN}/GetVersion")


async def test_errors_in_the_middle_of_a_stream() -> None:
    from sailplane_protos.admin import agent_pb2

    async with serving(Agents(), "sailplane.service.SyncAgentService") as channel:
        call: Any = channel.stream_stream(
            "/flyteidl.service.SyncAgentService/ExecuteTaskSync",
            request_serializer=agent_pb2.ExecuteTaskSyncRequest.SerializeToString,
            response_deserializer=agent_pb2.ExecuteTaskSyncResponse.FromString,
        )([agent_pb2.ExecuteTaskSyncRequest()] * 5)
        replies = 0
        with pytest.raises(aio.AioRpcError) as caught:  # noqa: PT012
            async for _ in call:
                replies += 1
    assert replies == 2
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


# Details


@pytest.mark.parametrize(("service", "package"), [(ADMIN, "sailplane"), (FLYTE_ADMIN, "flyteidl")])
async def test_details_go_by_the_name_that_the_call_came_in_by(service: str, package: str) -> None:
    async with serving(Admin(raising(errors.InactiveProject("p")))) as channel:
        detail = detail_of(await failure(channel, f"/{service}/GetVersion"))
    assert detail.type_url == f"type.googleapis.com/{package}.admin.InactiveProject"
    assert project_pb2.InactiveProject.FromString(detail.value).id == "p"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            errors.AlreadyTerminal("SUCCEEDED"),
            event_pb2.EventFailureReason(
                already_in_terminal_state=event_pb2.EventErrorAlreadyInTerminalState(current_phase="SUCCEEDED")
            ),
        ),
        (
            errors.WrongCluster("west", "east"),
            event_pb2.EventFailureReason(incompatible_cluster=event_pb2.EventErrorIncompatibleCluster(cluster="east")),
        ),
    ],
)
async def test_events_that_are_refused_say_why(error: Exception, expected: Any) -> None:
    async with serving(Admin(raising(error))) as channel:
        detail = detail_of(await failure(channel, f"/{FLYTE_ADMIN}/GetVersion"))
    assert event_pb2.EventFailureReason.FromString(detail.value) == expected


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.DifferentStructure("workflow", "p:d:n:v", "diff\n" * 9999), "exists_different_structure"),
        (errors.IdenticalStructure("workflow", "p:d:n:v"), "exists_identical_structure"),
    ],
)
async def test_a_workflow_that_exists_is_named_in_the_details(error: Exception, reason: str) -> None:
    id = identifier_pb2.Identifier(project="p", domain="d", name="n:m", version="v")
    request = workflow_pb2.WorkflowCreateRequest(id=id)
    async with serving(Admin(raising(error))) as channel:
        seen = await failure(channel, f"/{FLYTE_ADMIN}/CreateWorkflow", request.SerializeToString())
        other = await failure(channel, f"/{FLYTE_ADMIN}/GetVersion")
    found = workflow_pb2.CreateWorkflowFailureReason.FromString(detail_of(seen).value)
    assert found.WhichOneof("reason") == reason
    assert getattr(found, reason).id == id
    assert DETAILS not in dict(other.trailing_metadata() or ())


# The wire


async def test_large_requests_are_taken_up_to_the_limit() -> None:
    async with serving(Admin(), message_bytes_max=6 * 1024 * 1024) as channel:
        for mib, code in ((5, grpc.StatusCode.OK), (7, grpc.StatusCode.RESOURCE_EXHAUSTED)):
            # An unknown field of the request, of that size.
            name = version_pb2.GetVersionResponse()
            name.control_plane_version.Version = "x" * (mib * 1024 * 1024)
            call = unary(channel, f"/{ADMIN}/GetVersion")(name.SerializeToString())
            assert await call.code() is code


async def test_clients_that_ping_while_idle_are_not_cut_off() -> None:
    server = GrpcServer(GrpcSettings(port=0), Progress(ManualClock()))
    server.add(ADMIN, Admin())
    port = server.bind()
    await server.start()
    options = [
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    async with aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        await unary(channel, f"/{ADMIN}/GetVersion")(b"")
        changed = asyncio.ensure_future(channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
        # gRPC pings once a second at most, and would be cut off with the fourth.
        done, _ = await asyncio.wait({changed}, timeout=6.0)
        assert not done, "the connection was closed"
        changed.cancel()
    await server.stop()


async def test_a_port_in_use_is_refused_with_words() -> None:
    first = GrpcServer(GrpcSettings(port=0), Progress(ManualClock()))
    port = first.bind()
    await first.start()
    second = GrpcServer(GrpcSettings(port=port), Progress(ManualClock()))
    with pytest.raises(errors.Refused, match=f"port {port} of 127.0.0.1 is in use"):
        second.bind()
    await first.stop()
    with pytest.raises(errors.Refused, match="cannot listen on port 0 of"):
        GrpcServer(GrpcSettings(host="192.0.2.1", port=0), Progress(ManualClock())).bind()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """gRPC's own words about handlers that raise, of which there must be none."""
    caplog.set_level(logging.ERROR, logger="grpc._cython.cygrpc")
