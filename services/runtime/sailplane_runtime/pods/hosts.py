"""Which supervisor starts what: one plain one for every command, and a zygote for each Python environment in use."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from .command import Command
from .python_envs import Installed, PythonEnv
from .supervisors import SupervisorProcess, clear, own_python

log = structlog.get_logger(__name__)

ZYGOTE_READY_TIMEOUT_S = 60.0
"""A zygote that hasn't imported flytekit by then is given up. Until then, waiting for it is quicker than importing
the same again in the attempt's own process."""

ZYGOTE_DEATHS_MAX = 3
"""A zygote that died so often is not started again for the same installed packages."""


class _ZygoteOf:
    """The zygote of one Python environment, and whether it's worth having one."""

    def __init__(self, env: PythonEnv) -> None:
        self.env = env
        self.installed = Installed.of(env)
        self.process: SupervisorProcess | None = None
        self.is_unfit = not env.can_fork()
        self.deaths = 0


class Hosts:
    """The supervisors of this launcher.

    `on_event` gets what they say about attempts; `on_gone` is called when one can't be heard any more: what it
    started goes on, and its outcome has to be read from the attempts' directories.
    """

    def __init__(
        self,
        directory: Path,
        path: str,
        warm: bool,
        on_event: Callable[[SupervisorProcess, dict[str, Any]], None],
        on_gone: Callable[[SupervisorProcess], None],
    ) -> None:
        self._directory = directory
        self._path = path
        self._warm = warm
        self._on_event = on_event
        self._on_gone = on_gone
        self._plain: SupervisorProcess | None = None
        self._zygotes: dict[Path, _ZygoteOf] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def start(self, default_env: PythonEnv) -> None:
        """Start the plain supervisor, and the zygote of the environment that most attempts will want."""
        clear(self._directory)
        self._plain_host()
        if self._warm:
            self._zygote_host(default_env)

    async def close(self) -> None:
        """Let go of all of them; they stay until what they have started has ended."""
        for timer in self._timers:
            timer.cancel()
        processes = [self._plain, *(zygote.process for zygote in self._zygotes.values())]
        for process in processes:
            if process is not None:
                process.close()
                await process.closed()

    def of(self, command: Command) -> tuple[SupervisorProcess, str]:
        """Who starts this command, and the script to run by fork, "" to execute it. Raises `OSError`."""
        if self._warm and command.warm_script:
            zygote = self._zygote_host(command.python)
            if zygote is not None:
                return zygote, command.warm_script
        return self._plain_host(), ""

    def _plain_host(self) -> SupervisorProcess:
        if self._plain is None or self._plain.is_gone:
            self._plain = SupervisorProcess(self._on_event, self._plain_gone)
            self._plain.start(own_python(), self._directory, zygote=False, path=self._path)
        return self._plain

    def _plain_gone(self, process: SupervisorProcess) -> None:
        log.error("supervisor_died", pid=process.pid)
        self._on_gone(process)

    def _zygote_host(self, env: PythonEnv) -> SupervisorProcess | None:
        zygote = self._zygotes.get(env.prefix)
        if zygote is not None and not zygote.installed.is_so_still():
            self._retire(zygote)
            zygote = None
        if zygote is None:
            zygote = self._zygotes[env.prefix] = _ZygoteOf(env)
        if zygote.is_unfit:
            return None
        if zygote.process is None:
            self._start_zygote(zygote)
        return zygote.process

    def _retire(self, zygote: _ZygoteOf) -> None:
        """Its imports are out of date; its attempts go on."""
        process, zygote.process = zygote.process, None
        if process is not None:
            process.close()
            self._on_gone(process)

    def _start_zygote(self, zygote: _ZygoteOf) -> None:
        process = SupervisorProcess(
            lambda process, event: self._zygote_event(zygote, process, event),
            lambda process: self._zygote_gone(zygote, process),
        )
        process.start(zygote.env.python, self._directory, zygote=True, path=self._path)
        zygote.process = process
        timer = asyncio.get_running_loop().call_later(ZYGOTE_READY_TIMEOUT_S, self._check_ready, zygote, process)
        self._timers.add(timer)

    def _check_ready(self, zygote: _ZygoteOf, process: SupervisorProcess) -> None:
        self._timers = {timer for timer in self._timers if timer.when() > asyncio.get_running_loop().time()}
        if not process.is_ready and not zygote.is_unfit:
            log.warning("zygote_late", env=str(zygote.env.prefix), timeout_s=ZYGOTE_READY_TIMEOUT_S)
            zygote.is_unfit = True
            process.kill(signal.SIGKILL)

    def _zygote_event(self, zygote: _ZygoteOf, process: SupervisorProcess, event: dict[str, Any]) -> None:
        if event["event"] == "unfit":
            zygote.is_unfit = True
            log.warning("zygote_unfit", env=str(zygote.env.prefix), log=str(self._directory / "supervisor.log"))
        self._on_event(process, event)

    def _zygote_gone(self, zygote: _ZygoteOf, process: SupervisorProcess) -> None:
        zygote.process = None
        zygote.deaths += 1
        zygote.is_unfit |= zygote.deaths >= ZYGOTE_DEATHS_MAX or not process.is_ready
        log.error("zygote_died", env=str(zygote.env.prefix), pid=process.pid, deaths=zygote.deaths)
        self._on_gone(process)
