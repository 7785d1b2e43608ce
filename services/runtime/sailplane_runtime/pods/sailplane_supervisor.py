"""The parent of task processes: starts them, waits for them, and writes down how they ended.

A program of its own, run by path with the standard library alone, because it must outlive the control plane: task
processes go on while the control plane restarts, and only a parent can learn a process's exit code. It stays single-
threaded, since as a zygote (`sailplane_zygote`) it forks itself.

    python sailplane_supervisor.py SOCKET_FD [zygote]

As a zygote it imports flytekit first, and then runs Python entry points by fork. It speaks lines of JSON over the
socket it was given:

    in   {"id", "dir", "argv", "path", "env", "cwd", "script", "log_bytes_max"}
                                                     start this; `script` is an entry point to run by fork
    out  {"event": "ready"}                          modules are imported
         {"event": "unfit"}                          forking this process is not safe, so it executes what it is asked
         {"event": "started", "id", "pid", "start", "at"}
         {"event": "claimed", "id"}                  somebody else has started it or will never let it start
         {"event": "refused", "id", "message"}       its directory is not usable; nothing was started
         {"event": "ended", "id", …exit record}

Each attempt has a directory `dir`. Whoever creates its file `claim` may start it, nobody else ever: so however often
a start is asked for, and by however many control planes, there's one process. When the other side of the socket
closes, the supervisor takes no more requests, stays until its last process has ended, and exits.

An attempt writes to its log by itself, so that nothing of it ever waits for a supervisor. A log that grew beyond its
limit is cut back to it now and then, with a line that says so at its end.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and sys.path and not sys.flags.isolated:
    # A script's own directory comes first in `sys.path`; a task must not find our modules in place of its own.
    _own_directory = sys.path.pop(0)

import contextlib
import errno
import json
import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resource import struct_rusage

    from .sailplane_zygote import Zygote

CLAIM, EXIT, LOG = "claim", "exit", "log"
COMMAND_NOT_FOUND = "CommandNotFound"
READ_BYTES = 1 << 18

LOG_CUT = b"\n[sailplane: the log has reached its limit, nothing after this is kept]\n"
LOG_LOOK_INTERVAL_S = 0.5
"""Between two looks at the sizes of logs. What is written in between is on the disk until the next."""

NICENESS = 5
"""Of tasks: however many want to run, the control plane still answers, and so does the machine."""


def process_start(pid: int) -> int:
    """When the process started, in clock ticks since boot: with its id, an identity. 0 where /proc does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def claim(directory: str) -> int:
    """Create the claim, with this process in it, and give its open file. Raises `FileExistsError`."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
    fd = os.open(os.path.join(directory, CLAIM), flags, 0o600)
    os.write(fd, f"supervisor {os.getpid()} {process_start(os.getpid())}\n".encode())
    return fd


def write_exit(directory: str, record: dict[str, Any]) -> None:
    """Write the exit record, whole or not at all. A directory that was removed meanwhile needs none."""
    path = os.path.join(directory, EXIT)
    with contextlib.suppress(FileNotFoundError):
        with open(f"{path}.tmp", "w") as file:
            file.write(json.dumps(record) + "\n")
        os.replace(f"{path}.tmp", path)


def bound_log(directory: str, bytes_max: int) -> None:
    """Cut the log back to its limit if it grew beyond it. Who appends to it goes on behind what is left."""
    path = os.path.join(directory, LOG)
    with contextlib.suppress(OSError):
        if os.lstat(path).st_size <= bytes_max + len(LOG_CUT):
            return
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            os.ftruncate(fd, bytes_max)
            os.write(fd, LOG_CUT)
        finally:
            os.close(fd)


def spawn(request: dict[str, Any]) -> int:
    """Execute the command in a session of its own and return its process id. Raises `OSError`."""
    os.chdir(request["cwd"])
    log = os.path.join(request["dir"], LOG)
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # What Python ignores or handles here would stay ignored in the program.
    defaults = [signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM]
    options: dict[str, Any] = {"file_actions": actions, "setsigdef": defaults, "setsigmask": [], "setsid": True}
    try:
        return os.posix_spawn(request["path"], request["argv"], request["env"], **options)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without `#!` line: the shell's, by POSIX.
    argv = ["sh", request["path"], *request["argv"][1:]]
    return os.posix_spawn("/bin/sh", argv, request["env"], **options)


class Supervisor:
    """One event loop over the socket and the ends of child processes."""

    def __init__(self, sock: socket.socket, zygote: Zygote | None = None) -> None:
        self.sock: socket.socket | None = sock
        self.zygote = zygote
        self.running: dict[int, tuple[dict[str, Any], float]] = {}
        self.received = b""
        self.unsent = b""
        self.look_at = 0.0
        self.wakeup, self.wakeup_in = os.pipe()
        for fd in (self.wakeup, self.wakeup_in):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, wake_only)
        signal.set_wakeup_fd(self.wakeup_in, warn_on_full_buffer=False)
        sock.setblocking(False)

    def serve(self) -> None:
        """Until the other side has gone and every process has ended."""
        while self.sock is not None or self.running:
            for fd, happened in self.wait():
                if fd == self.wakeup:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.wakeup, 4096)
                elif self.sock is not None:
                    if happened & select.POLLOUT:
                        self.flush()
                    if happened & ~select.POLLOUT:
                        self.receive()
            self.reap()
            self.bound_logs()

    def bound_logs(self) -> None:
        """Keep the logs of what is running within their limits, one look every `LOG_LOOK_INTERVAL_S`."""
        if time.monotonic() >= self.look_at:
            self.look_at = time.monotonic() + LOG_LOOK_INTERVAL_S
            for request, _ in self.running.values():
                bound_log(request["dir"], request["log_bytes_max"])

    def wait(self) -> list[tuple[int, int]]:
        """What happened: pairs of descriptor and poll mask. An idle zygote uses the time to import a little more."""
        poll = select.poll()
        poll.register(self.wakeup, select.POLLIN)
        if self.sock is not None:
            poll.register(self.sock, select.POLLIN | (select.POLLOUT if self.unsent else 0))
        while self.zygote is not None and self.sock is not None and self.zygote.has_more():
            happened = poll.poll(0)
            if happened:
                return happened
            if not self.zygote.import_more():
                self.zygote = None
                self.send(event="unfit")
        return poll.poll(LOG_LOOK_INTERVAL_S * 1000 if self.running else None)

    def receive(self) -> None:
        """Read what came and carry out each whole line of it."""
        if self.sock is None:
            return
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        *lines, self.received = (self.received + data).split(b"\n")
        for line in lines:
            self.start(json.loads(line))

    def close(self) -> None:
        """The other side is gone: what it has not sent completely, somebody else will ask for."""
        if self.sock is not None:
            self.sock.close()
        self.sock, self.unsent = None, b""

    def send(self, **message: object) -> None:
        """Say something to the other side, if it is there. Never waits for it."""
        if self.sock is None:
            return
        self.unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send as much of the backlog as the socket takes."""
        try:
            while self.unsent and self.sock is not None:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def start(self, request: dict[str, Any]) -> None:
        """Start an attempt, unless it was started before."""
        try:
            claimed = claim(request["dir"])
        except FileExistsError:
            self.send(event="claimed", id=request["id"])
            return
        except OSError as error:
            self.send(event="refused", id=request["id"], message=str(error))
            return
        at = time.time()
        try:
            if request["script"] and self.zygote is not None:
                pid, start = self.fork(self.zygote, request, claimed), 0
            else:
                pid = spawn(request)
                start = process_start(pid)
                os.write(claimed, f"process {pid} {start}\n".encode())
        except (OSError, ValueError) as error:  # ValueError: what Python can tell that no process can be given
            self.ended(request, dict(not_started(request, error), started_at=at, finished_at=at))
            return
        finally:
            os.close(claimed)
        self.running[pid] = (request, at)
        self.send(event="started", id=request["id"], pid=pid, start=start or process_start(pid), at=at)

    def fork(self, zygote: Zygote, request: dict[str, Any], claimed: int) -> int:
        """Run a Python entry point in a fork of this process, and return the fork's id."""
        pid = os.fork()
        if pid:
            return pid
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):  # as a program of its own would find them
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.write(claimed, f"process {os.getpid()} {process_start(os.getpid())}\n".encode())
            for fd in (claimed, self.wakeup, self.wakeup_in):
                os.close(fd)
            if self.sock is not None:
                self.sock.close()
            zygote.run(request)
        finally:
            os._exit(70)

    def reap(self) -> None:
        """Write down every process that ended, after killing what it left behind in its group."""
        while self.running:
            try:
                if hasattr(os, "waitid"):
                    # Unreaped, its id cannot be taken by another process, so the kill hits nobody else.
                    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                    if ended is None:
                        return
                    kill_group(ended.si_pid)
                    pid, status, usage = os.wait4(ended.si_pid, 0)
                else:
                    pid, status, usage = os.wait4(-1, os.WNOHANG)
                    if pid == 0:
                        return
                    kill_group(pid)
            except ChildProcessError:
                return
            if pid in self.running:
                request, at = self.running.pop(pid)
                self.ended(request, dict(how_it_ended(status, usage), started_at=at, finished_at=time.time()))

    def ended(self, request: dict[str, Any], record: dict[str, Any]) -> None:
        """Write the exit record, then tell."""
        bound_log(request["dir"], request["log_bytes_max"])
        try:
            write_exit(request["dir"], record)
        except OSError as error:
            print(f"exit of {request['id']} not written: {error}", file=sys.stderr, flush=True)
        self.send(event="ended", id=request["id"], **record)


def wake_only(number: int, frame: object) -> None:
    """SIGCHLD's handler: the number arriving at the wake-up descriptor is all that is wanted."""


def kill_group(pid: int) -> None:
    """Kill what is left of the process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def how_it_ended(status: int, usage: struct_rusage) -> dict[str, Any]:
    """The exit record of a process; like a container's, the code of one killed by a signal is 128 and the signal."""
    code = os.waitstatus_to_exitcode(status)
    memory_unit_bytes = 1 if sys.platform == "darwin" else 1024
    return {
        "code": code if code >= 0 else 128 - code,
        "signal": max(0, -code),
        "reason": "",
        "message": "",
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 6),
        "memory_bytes_max": usage.ru_maxrss * memory_unit_bytes,
    }


def not_started(request: dict[str, Any], error: OSError | ValueError) -> dict[str, Any]:
    """The exit record of a command that could not be executed."""
    command = request["argv"][0]
    why = error.strerror if isinstance(error, OSError) else error
    if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ENOTDIR):
        message = f"command {command!r} ({request['path']}) or the interpreter it names does not exist"
        return {"code": 127, "signal": 0, "reason": COMMAND_NOT_FOUND, "message": message}
    message = f"command {command!r} ({request['path']}) cannot be executed: {why}"
    return {"code": 126, "signal": 0, "reason": "ContainerCannotRun", "message": message}


def close_all_but(kept: int) -> None:
    """Close what leaked in from whoever started the control plane, so that no task gets hold of it."""
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        if fd > 2 and fd != kept:
            with contextlib.suppress(OSError):
                os.close(fd)


def load_zygote() -> Zygote:
    """The module beside this one, which is not on `sys.path`."""
    import importlib.util

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sailplane_zygote.py")
    spec = importlib.util.spec_from_file_location("sailplane_zygote", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Zygote()


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    fd = int(sys.argv[1])
    close_all_but(fd)
    os.nice(NICENESS)
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    zygote = load_zygote() if "zygote" in sys.argv[2:] else None
    fit = zygote is None or zygote.import_first()
    supervisor = Supervisor(sock, zygote if fit else None)
    supervisor.send(event="ready" if fit else "unfit")
    supervisor.serve()


if __name__ == "__main__":
    main()
