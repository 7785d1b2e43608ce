"""The record of who has done what: complete, bounded, and without what it is none of its business."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_admin import audit
from sailplane_admin.audit import Audit
from sailplane_admin.handlers.admin_service import AdminHandlers
from sailplane_admin.handlers.audit import audited
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import InvalidRequest, NotFound, Unavailable
from sailplane_protos.admin import common_pb2, event_pb2, project_pb2
from sailplane_protos.governance import audit_pb2 as pb
from sailplane_runtime.clock import ManualClock
from services.admin.calls import PEER, REQUEST_ID, Call

from services.admin import registry_requests as registry

CALL: Any = Call()


@pytest.fixture
def record(ports: AdminPorts) -> Audit:
    return Audit(ports)


@pytest.fixture
def admin(ports: AdminPorts, record: Audit) -> AdminHandlers:
    return audited(AdminHandlers, record)(ports)


async def events(ports: AdminPorts, record: Audit, **asked: Any) -> list[pb.AuditEvent]:
    await record.write()
    return list((await audit.list_events(ports, pb.ListAuditEventsRequest(**asked))).events)


async def test_what_would_change_something_is_recorded_with_its_outcome(
    ports: AdminPorts, record: Audit, admin: AdminHandlers
) -> None:
    await admin.CreateTask(registry.task(), CALL)
    with pytest.raises(NotFound):
        await admin.UpdateLaunchPlan(
            registry.launch_plan_pb2.LaunchPlanUpdateRequest(id=registry.plan_id("none")), CALL
        )
    with pytest.raises(InvalidRequest):
        await admin.RegisterProject(project_pb2.ProjectRegisterRequest(), CALL)
    await admin.GetTask(common_pb2.ObjectGetRequest(id=registry.task_id("double")), CALL)
    with pytest.raises(InvalidRequest):
        await admin.CreateNodeEvent(event_pb2.NodeExecutionEventRequest(), CALL)
    found = await events(ports, record)
    assert [(one.rpc, one.code, one.entity) for one in found] == [
        ("RegisterProject", "INVALID_ARGUMENT", ""),
        ("UpdateLaunchPlan", "NOT_FOUND", "none:v1:INACTIVE"),
        ("CreateTask", "OK", "double:v1"),
    ]
    task = found[-1]
    assert (task.project, task.domain) == (registry.PROJECT, registry.DOMAIN)
    assert (task.peer, task.request_id, task.principal) == (PEER, REQUEST_ID, "")
    assert task.occurred_at.ToDatetime(tzinfo=ports.clock.now().tzinfo) == ports.clock.now()
    assert task.duration.ToTimedelta() > timedelta()


async def test_calls_are_found_by_all_that_is_known_of_them(
    ports: AdminPorts, record: Audit, admin: AdminHandlers, clock: ManualClock
) -> None:
    for name in ("a", "b", "c"):
        await admin.CreateTask(registry.task(name), CALL)
        clock.advance(10)
    since, until = clock.now() - timedelta(seconds=25), clock.now() - timedelta(seconds=5)
    assert [one.entity for one in await events(ports, record, since=since, until=until)] == ["c:v1", "b:v1"]
    assert len(await events(ports, record, project=registry.PROJECT, domain=registry.DOMAIN, rpc="CreateTask")) == 3
    assert not await events(ports, record, code="NOT_FOUND")
    assert not await events(ports, record, principal="somebody")
    first = await audit.list_events(ports, pb.ListAuditEventsRequest(limit=2))
    rest = await audit.list_events(ports, pb.ListAuditEventsRequest(limit=2, token=first.token))
    assert [one.entity for one in (*first.events, *rest.events)] == ["c:v1", "b:v1", "a:v1"]


async def test_there_are_never_more_rows_than_may_be(ports: AdminPorts) -> None:
    few = replace(ports, settings=replace(ports.settings, audit_rows_max=5))
    record = Audit(few)
    admin = audited(AdminHandlers, record)(few)
    for name in "abcdefgh":
        await admin.CreateTask(registry.task(name), CALL)
        await record.write()
    assert [one.entity[0] for one in await events(few, record)] == list("hgfed")


async def test_what_could_not_be_written_is_written_later(
    ports: AdminPorts, record: Audit, admin: AdminHandlers, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ports.store.write
    await admin.CreateTask(registry.task(), CALL)

    async def fail(change: Any) -> Any:
        raise Unavailable("the store")

    monkeypatch.setattr(ports.store, "write", fail)
    with pytest.raises(Unavailable):
        await record.write()
    monkeypatch.setattr(ports.store, "write", write)
    running = asyncio.create_task(record.run())
    await asyncio.sleep(0)
    clock.advance(audit.WRITE_DELAY_S)
    async with asyncio.timeout(5):
        while not (await audit.list_events(ports, pb.ListAuditEventsRequest())).events:
            await asyncio.sleep(0.001)
    running.cancel()


async def test_a_call_that_its_caller_gave_up_is_no_fault_of_ours(ports: AdminPorts, record: Audit) -> None:
    class Slow:
        async def UpdateProject(self, request: project_pb2.Project, context: Any) -> None:  # noqa: N802 - the RPC's name
            await asyncio.Event().wait()

    call = asyncio.create_task(audited(Slow, record)().UpdateProject(project_pb2.Project(id="p"), CALL))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    [one] = await events(ports, record)
    assert (one.rpc, one.code, one.project) == ("UpdateProject", "CANCELLED", "p")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"code": "nope"}, "code"),
        ({"code": "5"}, "code"),
        ({"since": Timestamp(seconds=2**62)}, "since"),
        ({"until": Timestamp(nanos=-1)}, "until"),
    ],
)
async def test_what_no_call_can_have_is_not_asked_for(ports: AdminPorts, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"invalid value for {field}"):
        await audit.list_events(ports, pb.ListAuditEventsRequest(**asked))
