"""Which messages ended executions owe, when that is written down, and what operators see of it."""

from dataclasses import replace

import pytest
from sailplane_admin import events, executions, launch_plans, notifications
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyExists, InvalidRequest, NotFound, Refused
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import common_pb2, execution_pb2, launch_plan_pb2
from sailplane_protos.core import execution_pb2 as core_pb2
from sailplane_protos.notification import service_pb2 as pb
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.port import Transaction
from services.admin.notified import FAILED, GIVEN_UP, PENDING, SUCCEEDED, FakeNotifier

from services.admin import execution_requests as requests
from services.admin import notified
from services.admin import registry_requests as registry


@pytest.fixture
def notifier() -> FakeNotifier:
    return FakeNotifier()


@pytest.fixture
async def admin(ports: AdminPorts, notifier: FakeNotifier) -> AdminPorts:
    await requests.register(ports)
    return replace(ports, notifier=notifier)


async def test_an_end_that_was_asked_for_is_owed_to_each_once(admin: AdminPorts) -> None:
    told = (notified.mail("a@x", "b@x", "a@x"), notified.mail("c@x", phases=(SUCCEEDED,)), notified.channel("oncall"))
    await notified.end(admin, "x", *told)
    found = await notified.deliveries(admin)
    assert [(one.kind, one.target) for one in found] == [("email", "a@x"), ("email", "b@x"), ("channel", "oncall")]
    assert {(one.state, one.phase, one.execution.name) for one in found} == {(PENDING, FAILED.value, "x")}
    assert {one.created_at.ToMicroseconds() for one in found} == {one.next_try_at.ToMicroseconds() for one in found}
    assert len({one.id for one in found}) == 3


async def test_an_end_that_was_not_asked_for_is_owed_to_nobody(admin: AdminPorts) -> None:
    await notified.end(admin, "x", notified.mail("a@x"), phase=SUCCEEDED)
    await notified.end(admin, "y")
    assert await notified.deliveries(admin) == []


async def test_a_repeated_report_of_the_end_is_owed_once(admin: AdminPorts) -> None:
    await notified.end(admin, "x", notified.mail("a@x"))
    assert await requests.record(admin, requests.workflow_event(FAILED))
    assert len(await notified.deliveries(admin)) == 1


async def test_what_is_owed_stands_and_falls_with_the_end(admin: AdminPorts) -> None:
    request = requests.create("x")
    request.spec.notifications.notifications.append(notified.mail("a@x"))
    await executions.create(admin, request)

    class Crash(Exception):
        pass

    batch = requests.batch(requests.workflow_event(FAILED))

    def change(transaction: Transaction) -> None:
        assert events.fold(transaction, requests.KEY, batch.events, admin.clock.now()).owes_messages
        raise Crash

    with pytest.raises(Crash):
        await admin.store.write(change)
    assert await notified.deliveries(admin) == []
    assert (await executions.get(admin, requests.get())).closure.phase == core_pb2.WorkflowExecution.UNDEFINED


async def test_an_aborted_execution_tells_why(admin: AdminPorts, notifier: FakeNotifier) -> None:
    request = requests.create("x")
    request.spec.notifications.notifications.append(notified.mail("a@x", phases=(ExecutionPhase.ABORTED,)))
    await executions.create(admin, request)
    terminate = execution_pb2.ExecutionTerminateRequest(id=requests.execution_id(), cause="too slow")
    await executions.terminate(admin, terminate)
    assert await notified.deliveries(admin) == [], "it is ABORTING, and has not ended"
    await requests.record(admin, requests.workflow_event(ExecutionPhase.ABORTED, 1))
    async with notified.sending(admin):
        await notified.until(admin, notified.DELIVERED, 1)
    [notice] = notifier.sent
    assert (notice.values["phase"], notice.values["error"]) == ("ABORTED", "too slow")


async def test_a_message_names_what_has_ended_and_why(admin: AdminPorts, notifier: FakeNotifier) -> None:
    error = core_pb2.ExecutionError(code="Boom", message="it\0broke" + "x" * 5000)
    await notified.end(admin, "x", notified.mail("a@x"), error=error)
    async with notified.sending(admin):
        await notified.until(admin, notified.DELIVERED, 1)
    [notice] = notifier.sent
    version = {"project": registry.PROJECT, "domain": registry.DOMAIN, "name": "chain", "version": "v1"}
    assert notice.values == {
        "project": registry.PROJECT,
        "domain": registry.DOMAIN,
        "name": "x",
        "phase": "FAILED",
        "error": ("itbroke" + "x" * 5000)[:4096],
        **{f"workflow.{part}": value for part, value in version.items()},
        **{f"launch_plan.{part}": value for part, value in version.items()},
    }


async def test_messages_are_listed_by_what_is_asked_for(admin: AdminPorts) -> None:
    for name in ("x", "y"):
        await notified.end(admin, name, notified.mail("a@x", "b@x"))
    assert [one.execution.name for one in await notified.deliveries(admin)] == ["x", "x", "y", "y"]
    assert [one.target for one in await notified.deliveries(admin, execution="y")] == ["a@x", "b@x"]
    assert len(await notified.deliveries(admin, project=registry.PROJECT, domain=registry.DOMAIN)) == 4
    assert await notified.deliveries(admin, domain="production") == []
    assert await notified.deliveries(admin, state=GIVEN_UP) == []
    first = await notifications.list_deliveries(admin, pb.ListDeliveriesRequest(limit=3))
    await notified.end(admin, "z", notified.mail("c@x"))
    rest = await notifications.list_deliveries(admin, pb.ListDeliveriesRequest(limit=3, token=first.token))
    assert [one.execution.name for one in (*first.deliveries, *rest.deliveries)] == ["y", "y", "x", "x"]
    with pytest.raises(InvalidRequest, match="invalid value for state"):
        await notified.deliveries(admin, state=9)


async def test_channels_are_listed_by_name(admin: AdminPorts) -> None:
    listed = notifications.list_channels(admin)
    assert [(one.name, one.kind) for one in listed.channels] == [("audit", "webhook"), ("oncall", "pager_duty")]
    assert (list(listed.templates), listed.has_mail) == (["default", "short"], True)


async def test_only_what_waits_or_was_given_up_is_tried_again(admin: AdminPorts, clock: ManualClock) -> None:
    with pytest.raises(InvalidRequest, match="missing id"):
        await notifications.retry(admin, pb.RetryDeliveryRequest())
    with pytest.raises(NotFound):
        await notifications.retry(admin, pb.RetryDeliveryRequest(id="none"))
    await notified.end(admin, "x", notified.mail("a@x"))
    async with notified.sending(admin):
        [delivered] = await notified.until(admin, notified.DELIVERED, 1)
    with pytest.raises(Refused, match="was delivered"):
        await notifications.retry(admin, pb.RetryDeliveryRequest(id=delivered.id))


def wrong() -> list[tuple[common_pb2.Notification, str]]:
    template = notified.mail("a@x")
    template.email.template = "none"
    return [
        (notified.channel("oncall", "none"), r"notifications\[0\].channel.names: there is no channel \[none\]"),
        (template, r"notifications\[0\].email.template: there is no template \[none\]"),
    ]


@pytest.mark.parametrize(("told", "says"), wrong())
async def test_names_that_nobody_has_configured_are_refused(
    admin: AdminPorts, told: common_pb2.Notification, says: str
) -> None:
    execution = requests.create("x")
    execution.spec.notifications.notifications.append(told)
    with pytest.raises(InvalidRequest, match=says):
        await executions.create(admin, execution)
    with pytest.raises(NotFound):
        await executions.get(admin, requests.get())
    with pytest.raises(InvalidRequest, match=says):
        await launch_plans.create(admin, plan(told))


def plan(told: common_pb2.Notification) -> launch_plan_pb2.LaunchPlanCreateRequest:
    request = launch_plan_pb2.LaunchPlanCreateRequest(id=registry.plan_id("telling"))
    request.spec.workflow_id.CopyFrom(registry.workflow_id("chain"))
    request.spec.entity_metadata.notifications.append(told)
    return request


async def test_a_channel_that_is_gone_disturbs_nothing_that_there_is(admin: AdminPorts, notifier: FakeNotifier) -> None:
    await launch_plans.create(admin, plan(notified.channel("oncall")))
    await notified.end(admin, "x", notified.channel("oncall"))
    notifier.channels = {}
    with pytest.raises(AlreadyExists):
        await launch_plans.create(admin, plan(notified.channel("oncall")))
    await executions.create(admin, requests.create("y", plan="telling"))
    await executions.relaunch(
        admin, execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id("x"), name="again")
    )
