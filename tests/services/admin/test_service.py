"""Admin as a whole: from a request to the engine's order, from its report to the answer; and again after a kill."""

import asyncio
from typing import Any

from sailplane_admin import events, execution_orders
from sailplane_admin.handlers.admin_service import AdminHandlers
from sailplane_admin.ports import AdminPorts
from sailplane_admin.service import ADMIN_SERVICE, DATA_PROXY_SERVICE, SIGNAL_SERVICE, Admin
from sailplane_core.phases import ExecutionPhase
from sailplane_core.ports import Message
from sailplane_protos.admin import execution_pb2, version_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_protos.service import admin_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.queue.memory import MemoryQueue
from services.admin.calls import Call

from services.admin import execution_requests as requests

NOBODY: Any = Call()


def handlers(admin: Admin) -> AdminHandlers:
    servicer = dict(admin.grpc_services())[ADMIN_SERVICE]
    assert isinstance(servicer, AdminHandlers)
    return servicer


async def test_a_request_becomes_an_order_and_a_report_becomes_the_answer(ports: AdminPorts) -> None:
    queue = MemoryQueue(ManualClock())
    admin = Admin(ports, queue)
    await admin.start()
    await requests.register(ports)
    door = handlers(admin)
    await door.CreateExecution(requests.create(), NOBODY)
    [ordered] = await asyncio.wait_for(queue.receive(execution_orders.TOPIC, 10), 5)
    order = queue_pb2.ExecutionCommand.FromString(ordered.message.payload)
    assert order.execution_id == requests.execution_id()
    with ports.changes.watch(requests.KEY) as watch:
        report = requests.batch(requests.workflow_event(ExecutionPhase.SUCCEEDED))
        await queue.publish([Message(events.TOPIC, str(requests.KEY), "x@1", report.SerializeToString())])
        await asyncio.wait_for(watch.changed(), 5)
    answer = await door.GetExecution(requests.get(), NOBODY)
    assert answer.closure.phase == ExecutionPhase.SUCCEEDED
    await admin.stop()


async def test_an_order_that_was_not_carried_out_is_given_again_by_the_next_start(ports: AdminPorts) -> None:
    first = Admin(ports, MemoryQueue(ManualClock()))
    await first.start()
    await requests.register(ports)
    await handlers(first).CreateExecution(requests.create(), NOBODY)
    await handlers(first).TerminateExecution(
        execution_pb2.ExecutionTerminateRequest(id=requests.execution_id()), NOBODY
    )
    await first.stop()

    queue = MemoryQueue(ManualClock())
    second = Admin(ports, queue)
    await second.start()
    given: list[str | None] = []
    for _ in range(2):
        [delivery] = await asyncio.wait_for(queue.receive(execution_orders.TOPIC, 10), 5)
        given.append(queue_pb2.ExecutionCommand.FromString(delivery.message.payload).WhichOneof("command"))
        await queue.ack([delivery])
    assert given == ["start", "abort"]
    await second.stop()


async def test_the_version_and_the_services_are_told(ports: AdminPorts) -> None:
    admin = Admin(ports, MemoryQueue(ManualClock()))
    assert {ADMIN_SERVICE, DATA_PROXY_SERVICE, SIGNAL_SERVICE} <= {name for name, _ in admin.grpc_services()}
    version = await handlers(admin).GetVersion(version_pb2.GetVersionRequest(), NOBODY)
    assert version.control_plane_version.Version == ports.settings.version


def test_every_handler_is_an_rpc() -> None:
    known = {method.name for method in admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods}
    assert {name for name in dir(AdminHandlers) if name[0].isupper()} <= known
