"""One directory per attempt, and what can be learnt from it after any crash.

    <data directory>/pods/<namespace>/<name>/
        pod.json   the Pod, put there by rename: from then on it's ensured
        claim      who may start it, then which process it is; created once, by whoever starts it
        exit       how it ended, put there by rename
        log        its standard output and errors
        work/      its working directory and home
        inputs/ outputs/   the files of a container without an SDK
    <data directory>/tmp/<hash of both names>/
                   its temporary files; the path is short, because sockets are made there, whose path may have no
                   more than 107 characters

Nothing here is flushed to the disk: the directory has to outlive processes, not the machine, whose end ends the
attempts too.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sailplane_core.ports import Pod

from . import sailplane_supervisor as supervisor

_REMOVED_PREFIX = ".removed-"
_BEFORE_ENSURED = frozenset({"work", "pod.json.tmp"})
_TMP_NAME = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told from a later one of the same number by its start (clock ticks since boot; 0 is unknown)."""

    pid: int
    start: int

    def is_alive(self) -> bool:
        """Whether it still runs; one that has ended and waits for its parent to notice doesn't."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        if not self.start:
            return True
        return supervisor.process_start(self.pid) == self.start and not _is_zombie(self.pid)

    def signal_group(self, signal: int) -> None:
        """Send a signal to its process group, what it started and left behind included.

        A group's number isn't given to another process while the group has a member, so if the leader is gone the
        group is still ours; if another process has the number, the group is gone.
        """
        now = supervisor.process_start(self.pid)
        if self.start and now and now != self.start:
            return
        try:
            os.killpg(self.pid, signal)
        except (ProcessLookupError, PermissionError):
            return


@dataclass(frozen=True, slots=True)
class Claim:
    """Who took the attempt, and as which process it runs. Both are None in a claim that nobody shall start."""

    supervisor: ProcessId | None
    process: ProcessId | None


@dataclass(frozen=True, slots=True)
class Exit:
    """How an attempt ended. `code` of a process killed by a signal is 128 and the signal, as with containers."""

    code: int
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cpu_s: float = 0.0
    memory_bytes_max: int = 0

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Exit":
        """From a supervisor's exit record, whose times are seconds since the epoch."""
        return cls(
            code=record["code"],
            signal=record.get("signal", 0),
            reason=record.get("reason", ""),
            message=record.get("message", ""),
            started_at=_time(record.get("started_at")),
            finished_at=_time(record.get("finished_at")),
            cpu_s=record.get("cpu_s", 0.0),
            memory_bytes_max=record.get("memory_bytes_max", 0),
        )


@dataclass(frozen=True, slots=True)
class AttemptFiles:
    """The directory of one attempt."""

    path: Path

    @property
    def work(self) -> Path:
        """Working directory of the process."""
        return self.path / "work"

    @property
    def tmp(self) -> Path:
        """Its TMPDIR."""
        name = f"{self.path.parent.name}/{self.path.name}"
        return self.path.parents[2] / "tmp" / hashlib.sha256(name.encode()).hexdigest()[:16]

    @property
    def log(self) -> Path:
        """Its output."""
        return self.path / supervisor.LOG

    @property
    def inputs(self) -> Path:
        """Stands for the input path of a container without an SDK."""
        return self.path / "inputs"

    @property
    def outputs(self) -> Path:
        """Stands for its output path."""
        return self.path / "outputs"

    @property
    def delivered(self) -> Path:
        """There once the outputs of a container without an SDK are stored."""
        return self.path / "delivered"

    def create(self, pod: Pod, ensured_at: datetime) -> None:
        """Take the Pod over. Raises `OSError`."""
        self.work.mkdir(parents=True, exist_ok=True)
        self.tmp.mkdir(parents=True, exist_ok=True)
        content = {
            "name": pod.name,
            "namespace": pod.namespace,
            "primary_container": pod.primary_container,
            "manifest": pod.manifest,
            "ensured_at": ensured_at.timestamp(),
        }
        incoming = self.path / "pod.json.tmp"
        incoming.write_text(json.dumps(content), encoding="utf-8")
        incoming.replace(self.path / "pod.json")

    def read(self) -> tuple[Pod, datetime] | None:
        """The Pod and when it was ensured; None when it never was, or a power cut left nothing legible."""
        try:
            content = json.loads((self.path / "pod.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        pod = Pod(content["name"], content["namespace"], content["primary_container"], content["manifest"])
        return pod, datetime.fromtimestamp(content["ensured_at"], UTC)

    def is_unfinished(self) -> bool:
        """Whether there is nothing in it but what `create` makes before the Pod is taken over."""
        return {entry.name for entry in self.path.iterdir()} <= _BEFORE_ENSURED

    def read_exit(self) -> Exit | None:
        """How it ended, as far as anybody wrote it down."""
        try:
            return Exit.of(json.loads((self.path / supervisor.EXIT).read_bytes()))
        except (FileNotFoundError, ValueError):
            return None

    def write_exit(self, record: dict[str, Any]) -> None:
        """Write down how it ended, in the supervisors' place."""
        supervisor.write_exit(str(self.path), record)

    def read_claim(self) -> Claim | None:
        """Who took it; None if it's free to be started."""
        try:
            lines = (self.path / supervisor.CLAIM).read_text().splitlines()
        except FileNotFoundError:
            return None
        found: dict[str, ProcessId] = {}
        for line in lines:
            kind, _, rest = line.partition(" ")
            pid, _, start = rest.partition(" ")
            if pid.isdecimal() and start.isdecimal():
                found[kind] = ProcessId(int(pid), int(start))
        return Claim(found.get("supervisor"), found.get("process"))

    def forbid(self) -> bool:
        """Take the claim so that nobody can start it. False if somebody has it already."""
        try:
            fd = os.open(self.path / supervisor.CLAIM, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        except FileNotFoundError:
            return True
        os.close(fd)
        return True

    def discard(self) -> list[Path]:
        """Take the directory out of sight at once; what is to be deleted now."""
        target = self.path.with_name(f"{_REMOVED_PREFIX}{self.path.name}-{os.getpid()}")
        try:
            self.path.replace(target)
        except FileNotFoundError:
            return [self.tmp]
        return [self.tmp, target]

    def log_tail(self, bytes_max: int) -> str:
        """The end of its output, from the beginning of a line where it is cut."""
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - bytes_max))
                tail = file.read(bytes_max)
        except FileNotFoundError:
            return ""
        if size > bytes_max:
            tail = tail.partition(b"\n")[2] or tail
        return tail.decode(errors="replace").strip()


def scan(root: Path) -> Iterator[AttemptFiles]:
    """Every attempt directory below `root`; leftovers of unfinished removals are deleted on the way."""
    for namespace in _directories(root):
        for entry in _directories(namespace):
            if entry.name.startswith(_REMOVED_PREFIX):
                shutil.rmtree(entry, ignore_errors=True)
            else:
                yield AttemptFiles(entry)


def clear_tmp(root: Path, kept: Iterable[AttemptFiles]) -> None:
    """Delete the temporary files of attempts that were removed."""
    wanted = {files.tmp for files in kept}
    for entry in _directories(root.parent / "tmp"):
        if entry not in wanted and _TMP_NAME.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)


def _directories(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b")")[2].split()[0] in (b"Z", b"X")


def _time(seconds: object) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(cast("float", seconds), UTC)
