"""SchedulerService and BackfillService: what can be asked of a scheduler."""

import asyncio
from typing import Any

from sailplane_protos.scheduler import backfill_pb2, backfill_pb2_grpc, service_pb2, service_pb2_grpc

from . import backfills, by_hand, fires, schedules
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


class BackfillHandlers(backfill_pb2_grpc.BackfillServiceServicer):
    """The same for backfills. `changed` is set whenever there may be something to do."""

    def __init__(self, ports: SchedulerPorts, changed: asyncio.Event) -> None:
        self._ports = ports
        self._changed = changed

    async def CreateBackfill(self, request: backfill_pb2.CreateBackfillRequest, context: Any) -> backfill_pb2.Backfill:
        """Begin one."""
        begun = await backfills.create(self._ports, request)
        self._changed.set()
        return begun

    async def GetBackfill(self, request: backfill_pb2.GetBackfillRequest, context: Any) -> backfill_pb2.Backfill:
        """One."""
        return await backfills.get(self._ports, request.id)

    async def ListBackfills(
        self, request: backfill_pb2.ListBackfillsRequest, context: Any
    ) -> backfill_pb2.ListBackfillsResponse:
        """A page of them."""
        return await backfills.list_page(self._ports, request)

    async def ListBackfillSlots(
        self, request: backfill_pb2.ListBackfillSlotsRequest, context: Any
    ) -> backfill_pb2.ListBackfillSlotsResponse:
        """A page of the slots of one."""
        return await backfills.list_slots(self._ports, request)

    async def PauseBackfill(self, request: backfill_pb2.PauseBackfillRequest, context: Any) -> backfill_pb2.Backfill:
        """Start nothing more."""
        return await backfills.set_state(self._ports, request.id, backfills.State.PAUSED)

    async def ResumeBackfill(self, request: backfill_pb2.ResumeBackfillRequest, context: Any) -> backfill_pb2.Backfill:
        """Go on."""
        resumed = await backfills.set_state(self._ports, request.id, backfills.State.RUNNING)
        self._changed.set()
        return resumed

    async def CancelBackfill(self, request: backfill_pb2.CancelBackfillRequest, context: Any) -> backfill_pb2.Backfill:
        """End it."""
        return await backfills.cancel(self._ports, request)
