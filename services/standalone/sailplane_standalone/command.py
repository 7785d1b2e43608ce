"""The command `sailplane up`.

What only a running control plane needs is imported when it runs, so that `--help` and a wrong option answer at once.
"""

import gc
import importlib
import sys
from pathlib import Path
from types import ModuleType

import click
from sailplane_core.errors import SailplaneError

from .data_dir import DEFAULT


class PythonEnv(click.ParamType[tuple[str, Path]]):
    """`IMAGE_GLOB=VENV`."""

    name = "IMAGE_GLOB=VENV"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """The glob and the virtual environment, which must have a Python."""
        glob, equals, venv = str(value).partition("=")
        if not equals or not glob:
            self.fail(f"{value!r} is not of the form IMAGE_GLOB=VENV", param, ctx)
        path = Path(venv).expanduser().absolute()
        if not (path / "bin" / "python").exists():
            self.fail(f"{path} is no Python environment: it has no bin/python", param, ctx)
        return glob, path


@click.command()
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT, show_default=True)
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="0 takes any free port.  [default: 8089]")
@click.option("--http-port", type=click.IntRange(0, 65535), help="0 takes any free port.  [default: 8088]")
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the addresses there, as JSON, once every door answers. Removed at the end.",
)
@click.option(
    "--python-env",
    "python_envs",
    type=PythonEnv(),
    multiple=True,
    help="Run containers with such images in this virtual environment. May be given several times; the first match "
    "counts. Others run in the environment of this command.",
)
@click.option("--cold", is_flag=True, help="Start Python tasks from nothing, not from a process with flytekit loaded.")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--insecure-bind", is_flag=True, help="Permit an address that others can reach. Nobody is asked to log in."
)
def up(
    *,
    data_dir: Path,
    grpc_port: int | None,
    http_port: int | None,
    ready_file: Path | None,
    python_envs: tuple[tuple[str, Path], ...],
    cold: bool,
    host: str | None,
    insecure_bind: bool,
) -> None:
    """Run the whole control plane in this process, until Ctrl-C.

    Tasks run as processes of this machine. They go on when the control plane stops, and it takes them up again when it
    is started anew.
    """
    run = _import_run()
    try:
        options = run.options(
            data_dir,
            grpc_port=grpc_port,
            http_port=http_port,
            host=host,
            insecure_bind=insecure_bind,
            python_envs=dict(python_envs),
            warm=not cold,
        )
        run.up(options, ready_file)
    except SailplaneError as error:
        raise click.ClickException(str(error)) from error


def _import_run() -> ModuleType:
    """`run` and all below it, imported as quickly as can be: that is most of what starting takes.

    Nothing that an import makes is garbage, so the collector rests until `run` wakes it. And structlog imports rich, if
    it is there, to print tracebacks in colours, which our log does not have; without, it imports in half of the time.
    """
    gc.disable()
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # pyright: ignore[reportArgumentType]
    try:
        return importlib.import_module(".run", __package__)
    finally:
        if hidden:
            del sys.modules["rich"]
