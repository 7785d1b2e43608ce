"""RPCs of WatchService."""

from collections.abc import AsyncIterator
from typing import Any

from sailplane_protos.watch import service_pb2 as watch_pb2
from sailplane_protos.watch import service_pb2_grpc as watch_grpc

from ..logs import Logs
from ..ports import AdminPorts
from ..watching import Watching


class WatchHandlers(watch_grpc.WatchServiceServicer):
    """The service."""

    def __init__(self, ports: AdminPorts) -> None:
        self._watching = Watching(ports)
        self._logs = Logs(ports)

    def WatchExecution(
        self, request: watch_pb2.WatchExecutionRequest, context: Any
    ) -> AsyncIterator[watch_pb2.WatchExecutionResponse]:
        """An execution, and what becomes of it."""
        return self._watching.watch(request)

    def TailLogs(self, request: watch_pb2.TailLogsRequest, context: Any) -> AsyncIterator[watch_pb2.TailLogsResponse]:
        """What an attempt has written."""
        return self._logs.tail(request)
