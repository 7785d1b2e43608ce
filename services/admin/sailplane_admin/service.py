"""Admin, wired: from the ports to a service with a beginning and an end."""

import asyncio
from collections.abc import Sequence

from sailplane_core.ports import Queue
from sailplane_protos.cacheservice import cacheservice_pb2
from sailplane_protos.datacatalog import datacatalog_pb2
from sailplane_protos.governance import quotas_pb2
from sailplane_protos.service import admin_pb2, dataproxy_pb2, signal_pb2
from sailplane_protos.watch import service_pb2 as watch_pb2
from sailplane_runtime.loops import keep_running
from sailplane_runtime.outbox import Relay

from . import execution_orders, projects, schedules
from .events import Consumer
from .handlers.admin_service import AdminHandlers
from .handlers.cache_service import CacheServiceHandlers
from .handlers.data_catalog import DataCatalogHandlers
from .handlers.data_proxy import DataProxyHandlers
from .handlers.quotas import QuotaHandlers
from .handlers.signals import SignalHandlers
from .handlers.watch import WatchHandlers
from .ports import AdminPorts

ADMIN_SERVICE = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
DATA_PROXY_SERVICE = dataproxy_pb2.DESCRIPTOR.services_by_name["DataProxyService"].full_name
CACHE_SERVICE = cacheservice_pb2.DESCRIPTOR.services_by_name["CacheService"].full_name
CATALOG_SERVICE = datacatalog_pb2.DESCRIPTOR.services_by_name["DataCatalog"].full_name
QUOTA_SERVICE = quotas_pb2.DESCRIPTOR.services_by_name["QuotaService"].full_name
SIGNAL_SERVICE = signal_pb2.DESCRIPTOR.services_by_name["SignalService"].full_name
WATCH_SERVICE = watch_pb2.DESCRIPTOR.services_by_name["WatchService"].full_name


class Admin:
    """The system of record and front door, as a service."""

    def __init__(self, ports: AdminPorts, queue: Queue) -> None:
        self._ports = ports
        self._consumer = Consumer(ports, queue)
        topics = (execution_orders.TOPIC, schedules.TOPIC)
        self._relays = [Relay(ports.store, queue, topic, clock=ports.clock) for topic in topics]
        self._consuming: asyncio.Task[None] | None = None

    def grpc_services(self) -> Sequence[tuple[str, object]]:
        """Full service names and their servicers."""
        return [
            (ADMIN_SERVICE, AdminHandlers(self._ports)),
            (DATA_PROXY_SERVICE, DataProxyHandlers(self._ports)),
            (SIGNAL_SERVICE, SignalHandlers(self._ports)),
            (CATALOG_SERVICE, DataCatalogHandlers(self._ports)),
            (CACHE_SERVICE, CacheServiceHandlers(self._ports)),
            (QUOTA_SERVICE, QuotaHandlers(self._ports)),
            (WATCH_SERVICE, WatchHandlers(self._ports)),
        ]

    async def start(self) -> None:
        """Tell what was not confirmed, then take reports."""
        await projects.ensure_defaults(self._ports)
        for relay in self._relays:
            await relay.start()
        self._consuming = asyncio.create_task(
            keep_running("admin-events", self._consumer.run, self._ports.clock), name="admin-events"
        )

    async def stop(self) -> None:
        """Stop at once. What is not committed is reported again after the next start."""
        if self._consuming is not None:
            self._consuming.cancel()
            await asyncio.gather(self._consuming, return_exceptions=True)
        for relay in self._relays:
            await relay.stop()
