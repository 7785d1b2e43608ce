"""`grpc.health.v1.Health`: SERVING as long as the process makes progress.

It answers for the server as a whole (""), for `flyteadmin`, the name that Flyte's deployments ask for, and for every
registered service. Other names are NOT_FOUND, and to a watcher SERVICE_UNKNOWN, as the protocol has it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

from grpc_health.v1 import health_pb2
from sailplane_core.errors import NotFound

from .progress import Progress

SERVICE = "grpc.health.v1.Health"
ALWAYS = ("", "flyteadmin")
WATCH_INTERVAL_S = 1.0
"""How late a watcher may hear of a change. Nothing announces that something has ceased to happen."""

_Response = health_pb2.HealthCheckResponse


class Health:
    """The servicer. `services` are the names, besides `ALWAYS`, that it answers for."""

    def __init__(self, progress: Progress, services: Collection[str]) -> None:
        self._progress = progress
        self._services = services
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Tell watchers that it is over, and let them go."""
        self._closing.set()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> _Response:  # noqa: N802
        """The status now."""
        if not self._knows(request.service):
            raise NotFound("service", request.service)
        return _Response(status=self._status())

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[_Response]:
        """The status now, and each time that it changes."""
        known = self._knows(request.service)
        told = None
        while True:
            status = self._status() if known else _Response.SERVICE_UNKNOWN
            if status != told:
                told = status
                yield _Response(status=status)
            if self._closing.is_set():
                return
            try:
                async with asyncio.timeout(WATCH_INTERVAL_S):
                    await self._closing.wait()
            except TimeoutError:
                continue

    def _knows(self, service: str) -> bool:
        return service in ALWAYS or service in self._services

    def _status(self) -> "_Response.ServingStatus.ValueType":
        is_well = not self._closing.is_set() and not self._progress.stale()
        return _Response.SERVING if is_well else _Response.NOT_SERVING
