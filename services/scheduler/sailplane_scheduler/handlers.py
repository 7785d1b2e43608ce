"""SchedulerService: what can be asked of a scheduler."""

from typing import Any

from sailplane_protos.scheduler import service_pb2, service_pb2_grpc

from . import by_hand, fires, schedules
from .ports import SchedulerPorts


class SchedulerHandlers(service_pb2_grpc.SchedulerServiceServicer):
    """Parse, call, reply."""

    def __init__(self, ports: SchedulerPorts) -> None:
        self._ports = ports

    async def ListSchedules(
        self, request: service_pb2.ListSchedulesRequest, context: Any
    ) -> service_pb2.ListSchedulesResponse:
        """A page of the schedules known here."""
        return await schedules.list_page(self._ports, request)

    async def GetSchedule(self, request: service_pb2.GetScheduleRequest, context: Any) -> service_pb2.Schedule:
        """One launch plan's schedule."""
        return await schedules.get(self._ports, request)

    async def ListFires(self, request: service_pb2.ListFiresRequest, context: Any) -> service_pb2.ListFiresResponse:
        """A page of what became of slots."""
        return await fires.list_page(self._ports, request)

    async def ExplainSlot(
        self, request: service_pb2.ExplainSlotRequest, context: Any
    ) -> service_pb2.ExplainSlotResponse:
        """Why it did or did not fire."""
        return await fires.explain(self._ports, request)

    async def TriggerSchedule(
        self, request: service_pb2.TriggerScheduleRequest, context: Any
    ) -> service_pb2.TriggerScheduleResponse:
        """Start an execution now."""
        return await by_hand.trigger(self._ports, request)

    async def PauseSchedule(
        self, request: service_pb2.PauseScheduleRequest, context: Any
    ) -> service_pb2.PauseScheduleResponse:
        """Pause a schedule."""
        await by_hand.pause(self._ports, request)
        return service_pb2.PauseScheduleResponse()

    async def ResumeSchedule(
        self, request: service_pb2.ResumeScheduleRequest, context: Any
    ) -> service_pb2.ResumeScheduleResponse:
        """Let a schedule go on."""
        await by_hand.resume(self._ports, request)
        return service_pb2.ResumeScheduleResponse()
