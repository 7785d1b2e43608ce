"""A control plane from its start to the signal that ends it."""

import asyncio
import gc
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import click
import structlog
import uvloop
from sailplane_admin.ports import AdminSettings
from sailplane_propeller.ports import PropellerSettings
from sailplane_runtime import telemetry
from sailplane_runtime.notifiers.settings import NotificationSettings
from sailplane_runtime.settings import GrpcSettings, HttpSettings, LogSettings, read
from sailplane_scheduler.ports import SchedulerSettings

from . import files
from .control_plane import ControlPlane
from .options import Addresses, Options, require_safe

log = structlog.get_logger(__name__)

READY = """\
Sailplane is ready.

  gRPC  {grpc}
  HTTP  {http}
  data  {data_dir}

In another terminal, with flytekit installed:

  export FLYTECTL_CONFIG={config}
  pyflyte run --remote FILE.py WORKFLOW      run a workflow, or a task, of a file of yours
  pyflyte register FOLDER                    register all of them, to be run by name

Ctrl-C stops it."""


def options(
    data_dir: Path,
    *,
    grpc_port: int | None,
    http_port: int | None,
    host: str | None,
    insecure_bind: bool,
    python_envs: Mapping[str, Path],
    warm: bool,
) -> Options:
    """From the environment, where the command line does not say otherwise (None). Raises `InvalidRequest`."""
    env = os.environ
    chosen = Options(
        data_dir=data_dir,
        grpc=read(GrpcSettings, "grpc", env, port=grpc_port, host=host),
        http=read(HttpSettings, "http", env, port=http_port, host=host),
        admin=read(AdminSettings, "admin", env),
        propeller=read(PropellerSettings, "propeller", env),
        scheduler=read(SchedulerSettings, "scheduler", env),
        notifications=read(NotificationSettings, "notifications", env),
        python_envs=python_envs,
        warm=warm,
    )
    for door in (chosen.grpc, chosen.http):
        require_safe(door.host, insecure_bind=insecure_bind)
    return chosen


def up(options: Options, ready_file: Path | None) -> None:
    """Run until SIGINT or SIGTERM. Raises what `ControlPlane.start` raises."""
    telemetry.configure(read(LogSettings, "log", os.environ))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options, ready_file))


async def _serve(options: Options, ready_file: Path | None) -> None:
    ended = _ended_by_signal()
    plane = ControlPlane(options)
    if ready_file is not None:
        files.remove_ready_file(ready_file)  # of a process that was killed
    starting = asyncio.ensure_future(plane.start())
    await asyncio.wait((starting, ended), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    addresses = starting.result()
    try:
        # What has been made by now stays, so the collector need not look at it again.
        gc.freeze()
        gc.enable()
        if ready_file is not None:
            files.write_ready_file(ready_file, addresses)
        _tell(addresses, plane.client_config)
        await ended
    finally:
        if ready_file is not None:
            files.remove_ready_file(ready_file)
        await plane.stop()
    log.info("stopped")


def _ended_by_signal() -> asyncio.Future[None]:
    """Done at the first signal to end; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def end(number: int) -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        if not ended.done():
            ended.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    return ended


def _tell(addresses: Addresses, client_config: Path) -> None:
    log.info("started", grpc=addresses.grpc, http=addresses.http)
    click.echo(
        READY.format(grpc=addresses.grpc, http=addresses.http, data_dir=client_config.parent, config=client_config)
    )
