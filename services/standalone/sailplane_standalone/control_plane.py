"""Admin, propeller and scheduler in one process, each with its own database, connected as on a cluster.

They share what a cluster would give them: the queue, the blob store, the clock, and one port for gRPC. Propeller asks
admin over gRPC like any other client.
"""

import asyncio
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import sailplane_admin
import sailplane_propeller
import sailplane_scheduler
from sailplane_admin import tables as admin_tables
from sailplane_admin.ports import AdminPorts
from sailplane_admin.propeller_client import PropellerClient
from sailplane_admin.service import Admin
from sailplane_core.ports import Clock
from sailplane_propeller import tables as propeller_tables
from sailplane_propeller.admin_client import AdminClient
from sailplane_propeller.ports import PropellerPorts
from sailplane_propeller.service import Propeller
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.http import blob_routes
from sailplane_runtime.blobs.signed_urls import UrlSigner, load_secret
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.gateway.door import Gateway
from sailplane_runtime.grpc_server import GrpcServer
from sailplane_runtime.http_server import HttpServer
from sailplane_runtime.notifiers.router import Notifiers
from sailplane_runtime.pods.process import ProcessLauncher
from sailplane_runtime.progress import Progress
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.sql import SqlStore
from sailplane_runtime.turns import Turns
from sailplane_scheduler import tables as scheduler_tables
from sailplane_scheduler.admin_client import AdminClient as SchedulersAdmin
from sailplane_scheduler.ports import SchedulerPorts
from sailplane_scheduler.service import Scheduler
from sqlalchemy import MetaData, select

from . import doors, files
from .data_dir import DataDir
from .options import Addresses, Options, addresses, local_target

DATABASES: dict[str, tuple[MetaData, ModuleType]] = {
    "admin": (admin_tables.metadata, sailplane_admin),
    "propeller": (propeller_tables.metadata, sailplane_propeller),
    "scheduler": (scheduler_tables.metadata, sailplane_scheduler),
}
"""The tables of each service, and the package that keeps their migrations."""


WITH_LOGIN_ONLY = ("sailplane.service.AuthMetadataService", "sailplane.service.IdentityService")
"""Nobody logs in here. Over HTTP, as over gRPC, a client that asks about it hears UNIMPLEMENTED."""


class ControlPlane:
    """Start it once; what `start` got done is undone in reverse order by `stop`, also when it did not get through."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._data = DataDir(options.data_dir.expanduser().absolute())
        self._clock: Clock = SystemClock()
        self._undo = AsyncExitStack()

    async def start(self) -> Addresses:
        """Open the data directory, take up what was under way, and answer. Returns once every door does.

        Raises `Refused` when the directory or a port is somebody else's.
        """
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop at once. Tasks that run go on, and are taken up again by the next start."""
        await self._undo.aclose()

    @property
    def client_config(self) -> Path:
        """Where the configuration for stock clients lies."""
        return self._data.client_config

    async def _start(self) -> Addresses:
        self._undo.callback(self._data.lock().release)
        options, clock, undo = self._options, self._clock, self._undo
        secret = load_secret(self._data.secret)
        progress = Progress(clock)

        # Ports first: what runs has to know them, and nothing should run if they cannot be had.
        grpc = GrpcServer(options.grpc, progress)
        undo.push_async_callback(grpc.stop)
        blobs = FileBlobs(self._data.blobs, UrlSigner(secret), clock)
        gateway = Gateway(options.grpc.message_bytes_max, options.grpc.slow_call_s, options.http.cors_origins)
        routes = [*blob_routes(blobs), *gateway.routes()]
        http = HttpServer(options.http, progress, routes, [socket.gethostname().lower()])
        undo.push_async_callback(http.stop)
        grpc_port = grpc.bind()
        found = addresses(options.grpc.host, grpc_port, http.bind())
        blobs.public_base_url = found.http

        stores = await self._open_stores(progress)
        queue = MemoryQueue(clock)
        undo.push_async_callback(queue.close)
        target = local_target(options.grpc.host, grpc_port)
        admin_client = AdminClient.connect(target)
        undo.push_async_callback(admin_client.close)
        launcher = ProcessLauncher(
            self._data.path, clock, python_envs=options.python_envs, warm=options.warm, blobs=blobs
        )
        turns = Turns()
        logs = PropellerClient.connect(target)
        undo.push_async_callback(logs.close)
        link = options.notifications.link_template or f"{found.http}/api/v1/executions/{{project}}/{{domain}}/{{name}}"
        notifier = Notifiers(replace(options.notifications, link_template=link), clock)
        undo.push_async_callback(notifier.close)
        ports = AdminPorts(stores["admin"], blobs, clock, options.admin, turns=turns, logs=logs, notifier=notifier)
        admin = Admin(ports, queue)
        task_envs = {"FLYTE_PLATFORM_URL": found.grpc, "FLYTE_PLATFORM_INSECURE": "true"}
        log_links = {"log": f"{self._data.path.as_uri()}/pods/{{{{.namespace}}}}/{{{{.podName}}}}/log"}
        settings = replace(
            options.propeller,
            task_envs=task_envs | options.propeller.task_envs,
            log_links=options.propeller.log_links or log_links,
        )
        propeller = Propeller(
            PropellerPorts(stores["propeller"], queue, blobs, launcher, clock, admin_client, settings, turns)
        )
        scheduler_admin = SchedulersAdmin.connect(target)
        undo.push_async_callback(scheduler_admin.close)
        scheduler = Scheduler(
            SchedulerPorts(stores["scheduler"], queue, clock, scheduler_admin, "standalone", options.scheduler)
        )
        for service, servicer in (*admin.grpc_services(), *propeller.grpc_services(), *scheduler.grpc_services()):
            grpc.add(service, servicer)
            gateway.add(service, servicer)
        for service in WITH_LOGIN_ONLY:
            gateway.add(service, None)

        # Propeller takes up old work as it starts, and asks admin about it.
        for part in (launcher, admin, grpc, http, propeller, scheduler, progress):
            await part.start()
            if part not in (grpc, http):  # pushed where their ports were taken
                undo.push_async_callback(part.stop)
        await doors.answer(target, found.http)
        files.write_client_config(self._data.client_config, found)
        return found

    async def _open_stores(self, progress: Progress) -> dict[str, SqlStore]:
        async def open_store(service: str) -> SqlStore:
            metadata, package = DATABASES[service]
            url = self._data.database_url(service)
            store = await SqlStore.open(url, metadata, migrations=Path(str(package.__file__)).parent / "migrations")
            self._undo.push_async_callback(store.close)
            progress.watch(f"{service} store", lambda: store.read(lambda connection: connection.execute(select(1))))
            return store

        opened = await asyncio.gather(*map(open_store, DATABASES))
        return dict(zip(DATABASES, opened, strict=True))
