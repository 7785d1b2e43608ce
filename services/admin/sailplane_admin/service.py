"""Admin, wired: from the ports to a service with a beginning and an end."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from sailplane_core.errors import SailplaneError
from sailplane_core.ports import Queue
from sailplane_protos.cacheservice import cacheservice_pb2
from sailplane_protos.datacatalog import datacatalog_pb2
from sailplane_protos.governance import audit_pb2, quotas_pb2, retention_pb2
from sailplane_protos.notification import service_pb2 as notification_pb2
from sailplane_protos.service import admin_pb2, dataproxy_pb2, signal_pb2
from sailplane_protos.watch import service_pb2 as watch_pb2
from sailplane_runtime.loops import keep_running
from sailplane_runtime.outbox import Relay

from . import execution_orders, projects, retention, schedules
from .audit import Audit
from .events import Consumer
from .handlers.admin_service import AdminHandlers
from .handlers.audit import AuditHandlers, audited
from .handlers.cache_service import CacheServiceHandlers
from .handlers.data_catalog import DataCatalogHandlers
from .handlers.data_proxy import DataProxyHandlers
from .handlers.notifications import NotificationHandlers
from .handlers.quotas import QuotaHandlers
from .handlers.retention import RetentionHandlers
from .handlers.signals import SignalHandlers
from .handlers.watch import WatchHandlers
from .notification_sender import Sender
from .ports import AdminPorts

ADMIN_SERVICE = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
DATA_PROXY_SERVICE = dataproxy_pb2.DESCRIPTOR.services_by_name["DataProxyService"].full_name
AUDIT_SERVICE = audit_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name
CACHE_SERVICE = cacheservice_pb2.DESCRIPTOR.services_by_name["CacheService"].full_name
CATALOG_SERVICE = datacatalog_pb2.DESCRIPTOR.services_by_name["DataCatalog"].full_name
NOTIFICATION_SERVICE = notification_pb2.DESCRIPTOR.services_by_name["NotificationService"].full_name
QUOTA_SERVICE = quotas_pb2.DESCRIPTOR.services_by_name["QuotaService"].full_name
RETENTION_SERVICE = retention_pb2.DESCRIPTOR.services_by_name["RetentionService"].full_name
SIGNAL_SERVICE = signal_pb2.DESCRIPTOR.services_by_name["SignalService"].full_name
WATCH_SERVICE = watch_pb2.DESCRIPTOR.services_by_name["WatchService"].full_name


class Admin:
    """The system of record and front door, as a service."""

    def __init__(self, ports: AdminPorts, queue: Queue) -> None:
        self._ports = ports
        self._consumer = Consumer(ports, queue)
        topics = (execution_orders.TOPIC, schedules.TOPIC)
        self._relays = [Relay(ports.store, queue, topic, clock=ports.clock) for topic in topics]
        self._audit = Audit(ports)
        self._sender = Sender(ports)
        self._loops: list[asyncio.Task[None]] = []

    def grpc_services(self) -> Sequence[tuple[str, object]]:
        """Full service names and their servicers."""
        return [
            (ADMIN_SERVICE, audited(AdminHandlers, self._audit)(self._ports)),
            (DATA_PROXY_SERVICE, audited(DataProxyHandlers, self._audit)(self._ports)),
            (SIGNAL_SERVICE, audited(SignalHandlers, self._audit)(self._ports)),
            (CATALOG_SERVICE, DataCatalogHandlers(self._ports)),
            (CACHE_SERVICE, CacheServiceHandlers(self._ports)),
            (QUOTA_SERVICE, audited(QuotaHandlers, self._audit)(self._ports)),
            (RETENTION_SERVICE, audited(RetentionHandlers, self._audit)(self._ports)),
            (NOTIFICATION_SERVICE, audited(NotificationHandlers, self._audit)(self._ports)),
            (AUDIT_SERVICE, AuditHandlers(self._ports)),
            (WATCH_SERVICE, WatchHandlers(self._ports)),
        ]

    async def start(self) -> None:
        """Tell what was not confirmed, then take reports."""
        await projects.ensure_defaults(self._ports)
        for relay in self._relays:
            await relay.start()
        loops = {
            "admin-events": self._consumer.run,
            "admin-audit": self._audit.run,
            "admin-notifications": self._sender.run,
            "admin-retention": partial(retention.keep, self._ports),
        }
        self._loops = [
            asyncio.create_task(keep_running(name, run, self._ports.clock), name=name) for name, run in loops.items()
        ]

    async def stop(self) -> None:
        """Stop at once. What is not committed is reported again after the next start."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        with suppress(SailplaneError):  # what cannot be written is in the log
            await self._audit.write()
        for relay in self._relays:
            await relay.stop()
