"""SignalService."""

from typing import Any

from sailplane_protos.admin import signal_pb2
from sailplane_protos.service import signal_pb2_grpc

from .. import signals
from ..ports import AdminPorts


class SignalHandlers(signal_pb2_grpc.SignalServiceServicer):
    """The handlers."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def GetOrCreateSignal(self, request: signal_pb2.SignalGetOrCreateRequest, context: Any) -> signal_pb2.Signal:
        """The signal of an id."""
        return await signals.get_or_create(self.ports, request)

    async def ListSignals(self, request: signal_pb2.SignalListRequest, context: Any) -> signal_pb2.SignalList:
        """The signals of an execution."""
        return await signals.list_signals(self.ports, request)

    async def SetSignal(self, request: signal_pb2.SignalSetRequest, context: Any) -> signal_pb2.SignalSetResponse:
        """Give a signal its value."""
        return await signals.set_value(self.ports, request)
