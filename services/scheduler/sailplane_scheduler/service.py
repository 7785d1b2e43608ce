"""The scheduler, wired: from the ports to a service with a beginning and an end.

It learns schedules and tells of them. It fires none yet, so `next_fires` and `last_fired_at` stay empty.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from sailplane_protos.scheduler import service_pb2, service_pb2_grpc
from sailplane_runtime.loops import keep_running

from . import intake, schedules
from .ports import SchedulerPorts


class SchedulerHandlers(service_pb2_grpc.SchedulerServiceServicer):
    """SchedulerService: what operators can ask."""

    def __init__(self, ports: SchedulerPorts) -> None:
        self._ports = ports

    async def ListSchedules(  # noqa: N802
        self, request: service_pb2.ListSchedulesRequest, context: Any
    ) -> service_pb2.ListSchedulesResponse:
        """A page of the schedules known here."""
        return await schedules.list_page(self._ports, request)

    async def GetSchedule(  # noqa: N802
        self, request: service_pb2.GetScheduleRequest, context: Any
    ) -> service_pb2.Schedule:
        """One launch plan's schedule."""
        return await schedules.get(self._ports, request)


class Scheduler:
    """The clock as a service."""

    def __init__(self, ports: SchedulerPorts) -> None:
        self._ports = ports
        self._intake: asyncio.Task[None] | None = None

    def grpc_services(self) -> Sequence[tuple[str, object]]:
        """Full service names and their servicers."""
        return [("sailplane.scheduler.SchedulerService", SchedulerHandlers(self._ports))]

    async def start(self) -> None:
        """Take changes of schedules."""
        self._intake = asyncio.create_task(
            keep_running("scheduler-intake", lambda: intake.run(self._ports), self._ports.clock),
            name="scheduler-intake",
        )

    async def stop(self) -> None:
        """Stop at once. A change that is not stored comes again after the next start."""
        if self._intake is not None:
            self._intake.cancel()
            await asyncio.gather(self._intake, return_exceptions=True)
