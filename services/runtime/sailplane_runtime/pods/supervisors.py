"""The control plane's end of the supervisor processes that start task processes for it."""

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import structlog

from . import sailplane_supervisor

log = structlog.get_logger(__name__)

SCRIPT = Path(sailplane_supervisor.__file__)

ZYGOTE_PREFIX = "zygote-"

ZYGOTE_ENV = {
    # One thread only, or it could not fork: a forked attempt gets OpenBLAS's threads back, and Arrow's allocator
    # needs none.
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


@dataclass(frozen=True, slots=True)
class StartRequest:
    """One attempt to start; the fields are explained in `sailplane_supervisor`."""

    id: str
    dir: str
    argv: tuple[str, ...]
    path: str
    env: Mapping[str, str]
    cwd: str
    script: str
    log_bytes_max: int

    def line(self) -> bytes:
        """As it goes over the socket."""
        content = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(content).encode() + b"\n"


class SupervisorProcess(asyncio.Protocol):
    """One running supervisor, or zygote.

    `on_event` gets each of its messages; `on_gone` is called once, when its socket closes for whatever reason.
    """

    def __init__(
        self,
        on_event: Callable[["SupervisorProcess", dict[str, Any]], None],
        on_gone: Callable[["SupervisorProcess"], None],
    ) -> None:
        self._on_event = on_event
        self._on_gone = on_gone
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._unsent: list[bytes] = []
        self._closing = False
        self._connecting: asyncio.Task[Any] | None = None
        self._lost = asyncio.Event()
        self.pid = 0
        self.is_ready = False
        self.is_gone = False

    def start(self, python: Path, directory: Path, *, zygote: bool, path: str) -> None:
        """Start the process in a session of its own, so that it stays when this one is stopped. Raises `OSError`."""
        ours, theirs = socket.socketpair()
        try:
            theirs.set_inheritable(True)
            argv = [str(python), *([] if zygote else ["-I", "-S"]), str(SCRIPT), str(theirs.fileno())]
            self.pid = os.posix_spawn(
                python,
                [*argv, "zygote"] if zygote else argv,
                _zygote_env(directory, path) if zygote else {"LANG": "C.UTF-8", "PATH": path},
                file_actions=_stdio(directory / "supervisor.log"),
                setsid=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(loop.create_unix_connection(lambda: self, sock=ours))

    def send(self, request: StartRequest) -> None:
        """Ask it to start an attempt; what the answer is comes as an event."""
        if self._transport is None:
            self._unsent.append(request.line())
        else:
            self._transport.write(request.line())

    def close(self) -> None:
        """Let go of it: it stays until its processes have ended, and tells nobody any more."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    async def closed(self) -> None:
        """Return once nothing of `close` is left to be done."""
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        await self._lost.wait()

    def kill(self, signal: int) -> None:
        """Send it a signal, if it is still there to be waited for."""
        if not self.is_gone:
            os.kill(self.pid, signal)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop has taken over the socket."""
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=1 << 30)
        if self._unsent:
            transport.write(b"".join(self._unsent))
            self._unsent.clear()
        if self._closing:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Hand on each whole message."""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] == "ready":
                self.is_ready = True
            self._on_event(self, event)

    def connection_lost(self, exc: Exception | None) -> None:
        """It died, or we let go of it."""
        self.is_gone = True
        self._lost.set()
        threading.Thread(target=_reap, args=(self.pid,), daemon=True).start()
        if not self._closing:
            self._on_gone(self)


def _zygote_env(directory: Path, path: str) -> dict[str, str]:
    home = tempfile.mkdtemp(prefix=ZYGOTE_PREFIX, dir=directory)
    return {"HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "PATH": path, **ZYGOTE_ENV}


def _stdio(log_file: Path) -> list[tuple[Any, ...]]:
    return [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log_file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return


def clear(directory: Path) -> None:
    """Make the directory of the supervisors' own files, without the temporary ones of earlier zygotes."""
    directory.mkdir(parents=True, exist_ok=True)
    for left_over in directory.glob(f"{ZYGOTE_PREFIX}*"):
        shutil.rmtree(left_over, ignore_errors=True)


def own_python() -> Path:
    """The interpreter that this process runs on."""
    return Path(sys.executable)
