"""Executions that tell of their ends, and a notifier that takes messages or does not, as a test says."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from sailplane_admin import executions, notifications
from sailplane_admin.notification_sender import Sender
from sailplane_admin.ports import AdminPorts
from sailplane_core.ids import ExecutionId
from sailplane_core.notifications import Notice
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import common_pb2
from sailplane_protos.notification import channel_pb2
from sailplane_protos.notification import service_pb2 as pb

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

FAILED, SUCCEEDED = ExecutionPhase.FAILED, ExecutionPhase.SUCCEEDED
PENDING, DELIVERED, GIVEN_UP = (
    pb.DELIVERY_STATE_PENDING,
    pb.DELIVERY_STATE_DELIVERED,
    pb.DELIVERY_STATE_GIVEN_UP,
)


class FakeNotifier:
    """Remembers what it was given. `answer` is asked for each message, and may raise or wait."""

    has_mail = True

    def __init__(self) -> None:
        self.channels: Mapping[str, str] = {"oncall": "pager_duty", "audit": "webhook"}
        self.templates = {"default", "short"}
        self.sent: list[Notice] = []
        self.at_once = self.at_once_max = 0
        self.answer: Callable[[Notice], Any] = lambda notice: None

    async def send(self, notice: Notice) -> None:
        """Take it, or not."""
        self.sent.append(notice)
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            waited = self.answer(notice)
            if waited is not None:
                await waited
        finally:
            self.at_once -= 1

    async def close(self) -> None:
        """Nothing is held."""


def mail(*recipients: str, phases: tuple[ExecutionPhase, ...] = (FAILED,)) -> common_pb2.Notification:
    """By mail, to failures unless other phases are named."""
    email = common_pb2.EmailNotification(recipients_email=recipients)
    return common_pb2.Notification(phases=[phase.value for phase in phases], email=email)


def channel(*names: str) -> common_pb2.Notification:
    """Through channels, of failures."""
    return common_pb2.Notification(phases=[FAILED.value], channel=channel_pb2.ChannelNotification(names=names))


async def end(
    ports: AdminPorts,
    name: str,
    *told: common_pb2.Notification,
    phase: ExecutionPhase = FAILED,
    **more: Any,
) -> None:
    """Run an execution that tells of its end, and end it."""
    request = requests.create(name)
    request.spec.notifications.notifications.extend(told)
    await executions.create(ports, request)
    id = ExecutionId(registry.PROJECT, registry.DOMAIN, name)
    assert await requests.record(ports, requests.workflow_event(phase, **more), id=id) == []


async def deliveries(ports: AdminPorts, **asked: Any) -> list[pb.NotificationDelivery]:
    """What is listed, the oldest first."""
    listed = await notifications.list_deliveries(ports, pb.ListDeliveriesRequest(**asked))
    return list(reversed(listed.deliveries))


def with_settings(ports: AdminPorts, **changed: Any) -> AdminPorts:
    """The same with other settings."""
    return replace(ports, settings=replace(ports.settings, **changed))


@asynccontextmanager
async def sending(ports: AdminPorts) -> AsyncGenerator[None]:
    """A sender at work."""
    work = asyncio.create_task(Sender(ports).run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def until(ports: AdminPorts, state: "pb.DeliveryState.ValueType", count: int) -> list[pb.NotificationDelivery]:
    """Wait until so many messages are in a state."""
    while len(found := await deliveries(ports, state=state)) < count:
        await asyncio.sleep(0.005)
    return found


async def at_rest(notifier: FakeNotifier, sent: int) -> None:
    """Wait until so many messages were sent, and what they came to is written down, unless more come."""
    while len(notifier.sent) < sent or notifier.at_once:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    assert len(notifier.sent) == sent
