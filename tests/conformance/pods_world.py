"""A world of pods for the conformance suite: launchers on one directory, and a Python environment that starts fast.

The environment holds a stand-in for flytekit whose `pyflyte-execute` runs the Python code of its first argument, so
that each test runs the same program once as a process of its own and once as a fork of a zygote.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.conftest import PATIENCE_S, soon
from sailplane_core.ports import ContainerStatus, Pod, PodLauncher, PodPhase, PodStatus
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.pods.capacity import Capacity
from sailplane_runtime.pods.process import ProcessLauncher

NAMESPACE = "flytesnacks-development"
OVER = (PodPhase.SUCCEEDED, PodPhase.FAILED, PodPhase.MISSING)

STAND_IN = {
    "__init__.py": "",
    "configuration.py": """
class Config:
    local_sandbox_path = "/nowhere"
    def __init__(self, local_sandbox_path="/nowhere"): self.path = local_sandbox_path
class DataConfig:
    @classmethod
    def auto(cls): return cls()
""",
    "loggers.py": """
import logging
LOGGING_RICH_FMT_ENV_VAR = "FLYTE_SDK_RICH_TRACEBACKS"
logger, user_space_logger, developer_logger = (logging.getLogger(each) for each in ("a", "b", "c"))
def initialize_global_loggers(): pass
""",
    "core/__init__.py": "",
    "core/data_persistence.py": """
class FileAccessProvider:
    def __init__(self, **given): self.given = given
""",
    "core/context_manager.py": """
class FlyteContextManager:
    @staticmethod
    def initialize(): pass
""",
    "bin/__init__.py": "",
    "bin/entrypoint.py": """
import os, subprocess, sys
def _run_subprocess(cmd, env=None): return subprocess.call(cmd, env=env)
def execute_task_cmd():
    names = {"__name__": "task"}
    exec(compile(sys.argv[1], "task.py", "exec"), names)
def fast_execute_task_cmd():
    command = sys.argv[sys.argv.index("--") + 1:]
    env = dict(os.environ, PYTHONPATH=os.path.join(os.getcwd(), "unpacked"))
    sys.exit(_run_subprocess(command, env))
""",
}

CONSOLE_SCRIPT = """#!{python}
import sys
from flytekit.bin.entrypoint import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""


def make_python_env(prefix: Path, stand_in: dict[str, str] = STAND_IN) -> Path:
    """A virtual environment with the stand-in installed in it."""
    packages = prefix / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    for name, source in stand_in.items():
        path = packages / "flytekit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    (prefix / "bin").mkdir()
    python = prefix / "bin/python"
    python.symlink_to(os.path.realpath(sys.executable))
    home = Path(os.path.realpath(sys.executable)).parent
    (prefix / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    for program, function in (
        ("pyflyte-execute", "execute_task_cmd"),
        ("pyflyte-fast-execute", "fast_execute_task_cmd"),
    ):
        script = prefix / "bin" / program
        script.write_text(CONSOLE_SCRIPT.format(python=python, function=function))
        script.chmod(0o755)
    return prefix


def pod(name: str, *argv: str, env: dict[str, str] | None = None, **container: Any) -> Pod:
    """A Pod with one container."""
    variables = [{"name": variable, "value": value} for variable, value in (env or {}).items()]
    spec = {"containers": [{"name": name, "image": "any", "command": list(argv), "env": variables, **container}]}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"node-id": name}}
    return Pod(name, NAMESPACE, name, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def python(name: str, code: str, **more: Any) -> Pod:
    """A Pod that runs Python code."""
    return pod(name, "pyflyte-execute", code, **more)


def needing(cpu: str = "0", memory: str = "0") -> dict[str, Any]:
    """The resources of a container that requests this much."""
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}}


@dataclass
class Watcher:
    """Follows a launcher's stream and remembers every status."""

    launcher: PodLauncher
    history: dict[str, list[PodStatus]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for status in self.launcher.observe():
            async with self._news:
                self.history.setdefault(status.name, []).append(status)
                self._news.notify_all()

    async def until(self, name: str, wanted: Callable[[PodStatus], bool]) -> PodStatus:
        """The first status of this Pod that is as wanted."""

        async def find() -> PodStatus:
            async with self._news:
                while True:
                    for status in self.history.get(name, []):
                        if wanted(status):
                            return status
                    await self._news.wait()

        return await soon(find())

    async def ended(self, name: str) -> PodStatus:
        return await self.until(name, lambda status: status.phase in OVER)

    async def running(self, name: str) -> PodStatus:
        return await self.until(name, lambda status: status.phase is PodPhase.RUNNING)

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


@dataclass
class PodWorld:
    """Launchers on one directory, one at a time."""

    directory: Path
    python_env: Path
    warm: bool
    traits: frozenset[str]
    opened: list[tuple[ProcessLauncher, Watcher]] = field(default_factory=list)

    async def start(self, **settings: Any) -> tuple[ProcessLauncher, Watcher]:
        """A launcher, and somebody who watches it."""
        launcher = ProcessLauncher(
            self.directory / "data",
            SystemClock(),
            python_envs={"*": self.python_env},
            warm=self.warm,
            **{"termination_grace_s": PATIENCE_S, "capacity": Capacity.of_this_machine(), **settings},
        )
        await launcher.start()
        self.opened.append((launcher, Watcher(launcher)))
        return self.opened[-1]

    async def stop(self) -> None:
        """What the death of the control plane is to the launcher: it keeps nothing that it does not have on disk."""
        while self.opened:
            launcher, watcher = self.opened.pop()
            await watcher.close()
            await launcher.stop()

    async def restart(self, **settings: Any) -> tuple[ProcessLauncher, Watcher]:
        await self.stop()
        return await self.start(**settings)

    async def close(self) -> None:
        """Leave no process behind."""
        for launcher, watcher in self.opened:
            for name in list(watcher.history):
                await launcher.remove(NAMESPACE, name)
        await self.stop()

    def attempt(self, name: str) -> Path:
        """The directory of an attempt."""
        return self.directory / "data/pods" / NAMESPACE / name

    async def claim(self, name: str) -> tuple[int, int]:
        """The processes of an attempt: the one that started it, and its own."""

        async def wait() -> tuple[int, int]:
            while len(lines := (self.attempt(name) / "claim").read_text().splitlines()) < 2:
                await asyncio.sleep(0.01)
            return int(lines[0].split()[1]), int(lines[1].split()[1])

        return await soon(wait())


def only(status: PodStatus) -> ContainerStatus:
    """Its one container."""
    (container,) = status.containers
    return container


async def read_log(chunks: AsyncIterator[bytes]) -> str:
    return b"".join([chunk async for chunk in chunks]).decode()


def is_running(pid: int) -> bool:
    """Whether this process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


async def gone(pid: int) -> None:
    """Wait until this process does not run any more."""

    async def wait() -> None:
        while is_running(pid):
            await asyncio.sleep(0.01)

    await soon(wait())


async def number_in(path: Path) -> int:
    """The number that a task writes into a file, with a newline at its end."""

    async def wait() -> int:
        while not (text := _text(path)).endswith("\n"):
            await asyncio.sleep(0.01)
        return int(text)

    return await soon(wait())


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
