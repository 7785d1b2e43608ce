"""Takes what admin says of schedules from the queue, and acknowledges it once it is stored."""

import asyncio
from collections.abc import Sequence

import structlog
from google.protobuf.message import DecodeError
from sailplane_core.ports import Delivery
from sailplane_protos.scheduler import queue_pb2

from . import schedules
from .ports import SchedulerPorts

TOPIC = "schedules"

log = structlog.get_logger(__name__)


async def run(ports: SchedulerPorts, learned: asyncio.Event) -> None:
    """For ever. `learned` is set whenever something was stored."""
    while True:
        await take(ports, await ports.queue.receive(TOPIC, ports.settings.deliveries_at_once))
        learned.set()


async def take(ports: SchedulerPorts, deliveries: Sequence[Delivery]) -> None:
    """Store what these deliveries say. One that says nothing sensible is sent back alone, and parked in the end."""
    readable: list[Delivery] = []
    changes: list[queue_pb2.ScheduleChange] = []
    for delivery in deliveries:
        try:
            changes.append(queue_pb2.ScheduleChange.FromString(delivery.message.payload))
            readable.append(delivery)
        except DecodeError as error:
            await ports.queue.nack(delivery, f"not a ScheduleChange: {error}")
    if not changes:
        return
    try:
        await schedules.learn(ports, changes)
    except Exception as error:
        log.warning("changes of schedules not stored", changes=len(changes), error=str(error))
        for delivery in readable:
            await ports.queue.nack(delivery, str(error), ports.settings.retry_delay_s)
    else:
        await ports.queue.ack(readable)
