"""Who is told how executions have ended, as stock flytekit says it, on a control plane with a mail server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
import trustme
from compat.plane import Plane
from compat.raw import DOMAIN, PROJECT, admin, identifier
from compat.runs import VERSION, Runs, phase
from conformance.notifier_servers import MailServer
from flyteidl.admin import execution_pb2
from flyteidl.core import execution_pb2 as core_pb2
from flyteidl.core.identifier_pb2 import LAUNCH_PLAN
from flytekit import Options
from flytekit.remote.executions import FlyteWorkflowExecution
from sailplane_protos.notification import service_pb2, service_pb2_grpc

PREFIX = "SAILPLANE_NOTIFICATIONS_"
LONG_S = 30.0


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    server = await MailServer("none", trustme.CA()).start()
    yield server
    await server.stop()


@pytest.fixture
async def runs(mail_server: MailServer, own_plane: Callable[..., Plane], monkeypatch: pytest.MonkeyPatch) -> Runs:
    """A control plane with that mail server and the program."""
    for name, value in {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail_server.port),
        "SMTP_TLS": "none",
        "SENDER": "sailplane@example.org",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    runs = Runs(await asyncio.to_thread(own_plane))
    await asyncio.to_thread(runs.register, "notifications.py")
    return runs


async def run(runs: Runs, x: int, options: Options | None = None) -> FlyteWorkflowExecution:
    def start_and_wait() -> FlyteWorkflowExecution:
        plan = runs.remote.fetch_launch_plan(name="notifications.telling", version=VERSION)
        return runs.end(runs.remote.execute(plan, inputs={"x": x}, options=options))

    return await asyncio.to_thread(start_and_wait)


async def mailed(server: MailServer, count: int) -> list[tuple[str, str]]:
    """Who got which subject, once so many mails are there."""
    deadline = time.monotonic() + LONG_S
    while len(server.handler.taken) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    taken, server.handler.taken = server.handler.taken, []
    return sorted((mail.recipients[0], str(mail.message["Subject"])) for mail in taken)


async def test_email_pager_duty_and_slack_are_told_by_mail(runs: Runs, mail_server: MailServer) -> None:
    glad = await run(runs, 4)
    subject = f"notifications.divided succeeded: flytesnacks/development/{glad.id.name}"
    assert phase(glad) == "SUCCEEDED"
    assert await mailed(mail_server, 2) == [("both@example.org", subject), ("glad@example.org", subject)]

    failed = await run(runs, 0)
    subject = f"notifications.divided failed: flytesnacks/development/{failed.id.name}"
    told = [f"{name}@example.org" for name in ("both", "channel", "page")]
    deadline = time.monotonic() + LONG_S
    while len(mail_server.handler.taken) < 3:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    text = mail_server.handler.taken[0].message.get_body(("plain",))
    assert text is not None
    assert "division by zero" in text.get_content()
    assert f"{runs.plane.http}/api/v1/executions/flytesnacks/development/{failed.id.name}" in text.get_content()
    assert await mailed(mail_server, 3) == [(who, subject) for who in told]

    silent = await run(runs, 0, Options(disable_notifications=True))
    # By the stubs: flytekit always says disable_all beside a list, which then wins.
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, name="instead")
    request.spec.launch_plan.CopyFrom(identifier(LAUNCH_PLAN, "notifications.telling", VERSION))
    request.inputs.literals["x"].scalar.primitive.integer = 0
    own = request.spec.notifications.notifications.add(phases=[core_pb2.WorkflowExecution.FAILED])
    own.email.recipients_email.append("own@example.org")
    admin(runs.plane).CreateExecution(request)
    subject = f"notifications.divided failed: flytesnacks/development/{request.name}"
    assert await mailed(mail_server, 1) == [("own@example.org", subject)]

    with grpc.insecure_channel(runs.plane.grpc) as channel:
        service = service_pb2_grpc.NotificationServiceStub(channel)
        listed = service.ListDeliveries(service_pb2.ListDeliveriesRequest(project="flytesnacks")).deliveries
        assert service.ListChannels(service_pb2.ListChannelsRequest()).has_mail
        with pytest.raises(grpc.RpcError, match="was delivered"):
            service.RetryDelivery(service_pb2.RetryDeliveryRequest(id=listed[0].id))
    assert [one.state for one in listed] == [service_pb2.DELIVERY_STATE_DELIVERED] * 6
    assert {one.execution.name for one in listed} == {glad.id.name, failed.id.name, request.name}
    assert silent.id.name not in {one.execution.name for one in listed}


async def test_a_mail_server_that_is_away_delays_no_execution(runs: Runs, mail_server: MailServer) -> None:
    await mail_server.stop()
    assert phase(await run(runs, 4)) == "SUCCEEDED"
    await asyncio.to_thread(runs.plane.kill)
    await mail_server.start()
    await asyncio.to_thread(runs.plane.start)
    assert [who for who, _ in await mailed(mail_server, 2)] == ["both@example.org", "glad@example.org"]
