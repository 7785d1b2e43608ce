"""Pods as local processes: the embedded side of the PodLauncher port.

An attempt is a directory (`attempt_files`) and a process. The launcher decides when one may start (`capacity`), has a
supervisor start it (`hosts`, `sailplane_supervisor`), and learns its end from that supervisor or, after a restart,
from the directory. Whatever dies and whenever: the claim file lets at most one process be started per attempt, an
attempt without a claim is started again, and one whose process ended without an exit record is reported as lost.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, cast

import structlog
from sailplane_core.errors import InvalidRequest, NotFound, SailplaneError, Unavailable
from sailplane_core.ports import BlobStore, Clock, Pod, PodStatus

from . import copilot, liveness
from .attempt import Attempt, Stage
from .attempt_files import AttemptFiles, Exit, ProcessId, clear_tmp, scan
from .capacity import Admission, Capacity, Share
from .changes import Changes
from .command import Command, command_of
from .hosts import Hosts
from .python_envs import PythonEnvs
from .sailplane_supervisor import COMMAND_NOT_FOUND, LOG_CUT
from .supervisors import StartRequest, SupervisorProcess

log = structlog.get_logger(__name__)

LOG_BYTES_MAX = 64 * 1024 * 1024
LOG_CHUNK_BYTES = 64 * 1024
LOG_POLL_INTERVAL_S = 0.1
SETTLE_INTERVAL_S = 0.02
SETTLE_TIMEOUT_S = 30.0
"""How long a supervisor that lives is given to write how its process ended."""
RESTART_PAUSE_S = 1.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_Key = tuple[str, str]
P = ParamSpec("P")


class ProcessLauncher:
    """Runs Pods as processes of this machine.

    `python_envs` maps globs of images to Python environments; `*` is the default, without which it is the
    environment of this process. `warm` permits starting Python entry points by fork. `blobs` is needed for
    containers that read their inputs from files. `path` is searched for programs after the Python environment's own.
    Of the output of an attempt the first `log_bytes_max` bytes are kept.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        *,
        python_envs: Mapping[str, Path] | None = None,
        capacity: Capacity | None = None,
        warm: bool = True,
        blobs: BlobStore | None = None,
        termination_grace_s: float = 30.0,
        path: str | None = None,
        log_bytes_max: int = LOG_BYTES_MAX,
    ) -> None:
        self._root = data_dir.absolute() / "pods"
        self._clock = clock
        self._envs = PythonEnvs(python_envs or {})
        self._admission = Admission(capacity or Capacity.of_this_machine())
        self._blobs = blobs
        self._termination_grace_s = termination_grace_s
        self._path = path or os.environ.get("PATH", os.defpath)
        self._log_bytes_max = log_bytes_max
        self._node_name = socket.gethostname()
        self._attempts: dict[_Key, Attempt] = {}
        self._waiting: deque[Attempt] = deque()
        self._shares: dict[_Key, Share] = {}
        self._changes: Changes[_Key] = Changes()
        self._timers: set[asyncio.TimerHandle] = set()
        self._hosts = Hosts(self._root.parent / "supervisors", self._path, warm, self._heard, self._unheard)
        self._closing = False

    async def start(self) -> None:
        """Take up the attempts of an earlier launcher on this directory, and be ready for new ones."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._hosts.start(self._envs.default)
        for attempt in await asyncio.to_thread(self._scan):
            self._attempts[attempt.namespace, attempt.name] = attempt
            if attempt.is_over:
                attempt.ended.set()
            else:
                self._resume(attempt)
        self._admit()

    async def stop(self) -> None:
        """Let go of everything; processes go on and are taken up by the next launcher on this directory."""
        self._closing = True
        await self._hosts.close()
        for timer in self._timers:
            timer.cancel()
        tasks = [task for attempt in self._attempts.values() for task in attempt.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ensure(self, pod: Pod) -> None:
        """See `PodLauncher.ensure`."""
        for what, text in (("pod name", pod.name), ("pod namespace", pod.namespace)):
            if not _NAME.fullmatch(text):
                raise InvalidRequest.invalid(what, f"{text!r} cannot be a directory's name")
        key = (pod.namespace, pod.name)
        known = self._attempts.get(key)
        if known is not None and known.removal is not None:
            await asyncio.shield(known.removal)
        elif known is not None:
            return
        files = AttemptFiles(self._root / pod.namespace / pod.name)
        command = command_of(pod, files, self._envs, self._path)
        if command.data_config is not None and self._blobs is None:
            raise InvalidRequest("the container reads its inputs from files, and this launcher has no blob store")
        attempt = _attempt(pod, files, self._clock.now(), command)
        try:
            files.create(pod, attempt.ensured_at)
        except OSError as error:
            raise Unavailable(f"the directory of attempts ({error})") from error
        self._attempts[key] = attempt
        self._waiting.append(attempt)
        self._admit()

    async def remove(self, namespace: str, name: str) -> None:
        """See `PodLauncher.remove`. Returns when every process of it is gone."""
        attempt = self._attempts.get((namespace, name))
        if attempt is None:
            return
        if attempt.removal is None:
            attempt.removal = self._spawn(attempt, self._remove(attempt))
        await asyncio.shield(attempt.removal)

    async def observe(self) -> AsyncIterator[PodStatus]:
        """See `PodLauncher.observe`."""
        for key in self._attempts:
            self._changes.add(key)
        async for key in self._changes.stream():
            attempt = self._attempts.get(key)
            if attempt is not None and attempt.removal is None:
                yield attempt.status(self._node_name)

    async def log(self, namespace: str, name: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        """See `PodLauncher.log`."""
        attempt = self._attempts.get((namespace, name))
        if attempt is None:
            raise NotFound("pod", f"{namespace}/{name}")
        if container and container != attempt.container:
            raise NotFound("container", f"{namespace}/{name}/{container}")
        position, end = 0, self._log_bytes_max + len(LOG_CUT)
        while True:
            is_over = attempt.ended.is_set()
            while chunk := _read(attempt.files.log, position, min(LOG_CHUNK_BYTES, end - position)):
                position += len(chunk)
                yield chunk
            if is_over or not follow:
                return
            try:
                async with asyncio.timeout(LOG_POLL_INTERVAL_S):
                    await attempt.ended.wait()
            except TimeoutError:
                continue

    def _scan(self) -> list[Attempt]:
        """What earlier launchers left, in the order in which it was ensured."""
        present = list(scan(self._root))
        clear_tmp(self._root, present)
        found = [attempt for files in present if (attempt := self._recall(files)) is not None]
        return sorted(found, key=lambda attempt: attempt.ensured_at)

    def _recall(self, files: AttemptFiles) -> Attempt | None:
        """The attempt of a directory. None if it has no readable Pod: whoever wants it has to ensure it again."""
        read = files.read()
        if read is None:
            if files.is_unfinished():
                shutil.rmtree(files.path, ignore_errors=True)
            return None
        pod, ensured_at = read
        end = files.read_exit()
        if end is not None and copilot.is_delivered(pod, files):
            attempt = _attempt(pod, files, ensured_at, None)
            attempt.stage, attempt.exit = Stage.ENDED, end
            return attempt
        try:
            return _attempt(pod, files, ensured_at, command_of(pod, files, self._envs, self._path))
        except InvalidRequest as error:
            log.error("attempt_unreadable", path=str(files.path), reason=str(error))
            return None

    def _resume(self, attempt: Attempt) -> None:
        """Go on with an attempt of which only the directory is known."""
        if attempt.files.read_claim() is None:
            self._waiting.append(attempt)
            return
        self._take_share(attempt)
        attempt.stage = Stage.STARTING
        self._spawn(attempt, self._watch(attempt))

    def _admit(self) -> None:
        """Start what there is room for, in order, and say of the rest what it waits for."""
        while self._waiting and not self._closing:
            attempt = self._waiting[0]
            if attempt.command is None or attempt.removal is not None:
                self._waiting.popleft()
                continue
            share, note = self._admission.fitted(attempt.command.share)
            lacking = self._admission.lacking(share)
            if lacking:
                break
            self._waiting.popleft()
            attempt.note = note
            if note:
                log.warning("pod_larger_than_machine", pod=attempt.id, note=note)
            self._take_share(attempt)
            if attempt.command.data_config is not None:
                self._spawn(attempt, self._prepare(attempt))
            else:
                self._start(attempt)
        else:
            return
        for index, attempt in enumerate(self._waiting):
            note = lacking if index == 0 else attempt.note or f"waits behind others, the first of them for {lacking}"
            if note != attempt.note:
                attempt.note = note
                self._changed(attempt)

    def _take_share(self, attempt: Attempt) -> None:
        key = (attempt.namespace, attempt.name)
        share, _ = self._admission.fitted(attempt.command.share if attempt.command else Share())
        if key not in self._shares:
            self._shares[key] = share
            self._admission.take(share)

    def _give_back(self, attempt: Attempt) -> None:
        share = self._shares.pop((attempt.namespace, attempt.name), None)
        if share is not None:
            self._admission.give_back([share])
            self._admit()

    async def _prepare(self, attempt: Attempt) -> None:
        """Put the inputs of a container without an SDK where it looks for them, then start it."""
        config = attempt.command.data_config if attempt.command is not None else None
        if config is None or self._blobs is None:
            return
        attempt.stage = Stage.STARTING
        self._changed(attempt)
        try:
            await self._patiently(copilot.download, self._blobs, config, attempt.files)
        except (SailplaneError, OSError) as error:
            await self._patiently(copilot.report_download_failure, self._blobs, config, error)
            self._refuse(attempt, 1, copilot.DOWNLOAD_FAILED, str(error))
            return
        self._start(attempt)

    def _start(self, attempt: Attempt) -> None:
        """Ask a supervisor to start it."""
        command = attempt.command
        if command is None or attempt.removal is not None or self._closing:
            return
        if not command.program:
            self._refuse(attempt, 127, COMMAND_NOT_FOUND, command.not_found)
            return
        try:
            host, script = self._hosts.of(command)
        except OSError as error:
            log.error("supervisor_not_started", pod=attempt.id, reason=str(error))
            self._later(attempt)
            return
        attempt.stage, attempt.host = Stage.STARTING, host
        files = attempt.files
        host.send(
            StartRequest(
                attempt.id,
                str(files.path),
                command.argv,
                command.program,
                command.env,
                str(files.work),
                script,
                self._log_bytes_max,
            )
        )

    def _later(self, attempt: Attempt) -> None:
        loop = asyncio.get_running_loop()
        self._timers = {timer for timer in self._timers if timer.when() > loop.time()}
        self._timers.add(loop.call_later(RESTART_PAUSE_S, self._start, attempt))

    def _refuse(self, attempt: Attempt, code: int, reason: str, message: str) -> None:
        """Let it have ended without having been started."""
        if not attempt.files.forbid():
            self._spawn(attempt, self._watch(attempt))
            return
        at = datetime.now(UTC).timestamp()
        record = {"code": code, "reason": reason, "message": message, "started_at": at, "finished_at": at}
        attempt.files.write_exit(record)
        attempt.files.delivered.touch()
        self._over(attempt, Stage.ENDED, Exit.of(record))

    def _heard(self, host: SupervisorProcess, event: dict[str, Any]) -> None:
        """A supervisor's message."""
        if "id" not in event:
            return
        namespace, _, name = event["id"].partition("/")
        attempt = self._attempts.get((namespace, name))
        if attempt is None or attempt.host is not host or attempt.is_over:
            return
        match event["event"]:
            case "started":
                attempt.process = ProcessId(event["pid"], event["start"])
                self._running(attempt, datetime.fromtimestamp(event["at"], UTC))
            case "ended":
                self._ended(attempt, Exit.of(event))
            case "claimed":
                self._unheard_attempt(attempt)
            case "refused":
                log.error("attempt_refused", pod=attempt.id, reason=event["message"])
                self._lost(attempt)
            case _:
                pass

    def _unheard(self, host: SupervisorProcess) -> None:
        """A supervisor can't be heard any more: look into the directories of what it was asked to start."""
        for attempt in [each for each in self._attempts.values() if each.host is host and not each.is_over]:
            self._unheard_attempt(attempt)

    def _unheard_attempt(self, attempt: Attempt) -> None:
        attempt.host = None
        if attempt.files.read_claim() is None and attempt.removal is None:
            self._later(attempt)
        else:
            self._spawn(attempt, self._watch(attempt))

    async def _watch(self, attempt: Attempt) -> None:
        """Follow an attempt that somebody else's supervisor started, until it has ended."""
        files, waited_s = attempt.files, 0.0
        while not attempt.is_over:
            claim = files.read_claim()
            supervised = claim is not None and claim.supervisor is not None and claim.supervisor.is_alive()
            end = files.read_exit()
            if end is not None:
                self._ended(attempt, end)
                return
            if claim is not None and claim.process is not None and claim.process.is_alive():
                attempt.process = claim.process
                self._running(attempt, _claimed_at(files))
                await liveness.ended(claim.process)
                continue
            fresh = claim is not None and claim.supervisor is None and waited_s == 0
            if not (supervised or fresh) or waited_s >= SETTLE_TIMEOUT_S:
                self._lost(attempt)
                return
            await asyncio.sleep(SETTLE_INTERVAL_S)
            waited_s += SETTLE_INTERVAL_S

    def _running(self, attempt: Attempt, started_at: datetime) -> None:
        if attempt.stage is not Stage.RUNNING and not attempt.is_over:
            attempt.stage, attempt.started_at = Stage.RUNNING, started_at
            self._changed(attempt)

    def _ended(self, attempt: Attempt, end: Exit) -> None:
        command = attempt.command
        if command is not None and command.data_config is not None and attempt.removal is None:
            self._spawn(attempt, self._deliver(attempt, end))
            return
        self._over(attempt, Stage.ENDED, end)

    def _lost(self, attempt: Attempt) -> None:
        log.warning("attempt_lost", pod=attempt.id)
        self._over(attempt, Stage.LOST, None)

    def _over(self, attempt: Attempt, stage: Stage, end: Exit | None) -> None:
        if attempt.is_over:
            return
        attempt.stage, attempt.exit, attempt.command, attempt.host = stage, end, None, None
        attempt.ended.set()
        self._changed(attempt)
        self._give_back(attempt)

    async def _deliver(self, attempt: Attempt, end: Exit) -> None:
        """Store what a container without an SDK left in its output directory, then let it have ended."""
        config = attempt.command.data_config if attempt.command is not None else None
        if config is not None and self._blobs is not None:
            await self._patiently(copilot.deliver, self._blobs, config, attempt.files, end.code)
        self._over(attempt, Stage.ENDED, end)

    async def _patiently(self, act: "Callable[P, Awaitable[None]]", *args: "P.args", **kwargs: "P.kwargs") -> None:
        """Do it, as often as the blob store isn't available."""
        while True:
            try:
                return await act(*args, **kwargs)
            except Unavailable as error:
                log.warning("attempt_waits", reason=str(error))
                await self._clock.sleep_until(self._clock.now() + timedelta(seconds=RESTART_PAUSE_S))

    async def _remove(self, attempt: Attempt) -> None:
        files = attempt.files
        if attempt in self._waiting:
            self._waiting.remove(attempt)
        if not attempt.is_over:
            if files.forbid():
                self._over(attempt, Stage.LOST, None)
            else:
                await self._terminate(attempt)
        leftovers = files.discard()
        del self._attempts[attempt.namespace, attempt.name]
        for path in leftovers:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    async def _terminate(self, attempt: Attempt) -> None:
        """SIGTERM to the whole group, then SIGKILL after the grace, until it has ended."""
        while attempt.process is None and not attempt.is_over:  # it was claimed, and is being started
            claim = attempt.files.read_claim()
            attempt.process = claim.process if claim is not None else None
            await asyncio.sleep(SETTLE_INTERVAL_S if attempt.process is None else 0)
        process = attempt.process
        if process is None or attempt.is_over:
            return
        process.signal_group(signal.SIGTERM)
        ended = asyncio.ensure_future(attempt.ended.wait())
        grace_over = self._clock.now() + timedelta(seconds=self._termination_grace_s)
        grace = asyncio.ensure_future(self._clock.sleep_until(grace_over))
        await asyncio.wait([ended, grace], return_when=asyncio.FIRST_COMPLETED)
        grace.cancel()
        process.signal_group(signal.SIGKILL)
        await ended

    def _changed(self, attempt: Attempt) -> None:
        self._changes.add((attempt.namespace, attempt.name))

    def _spawn(self, attempt: Attempt, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        attempt.tasks.add(task)
        task.add_done_callback(lambda done: self._done(attempt, done))
        return task

    def _done(self, attempt: Attempt, task: "asyncio.Task[None]") -> None:
        attempt.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("attempt_broken", pod=attempt.id, exc_info=error)


def _attempt(pod: Pod, files: AttemptFiles, ensured_at: datetime, command: Command | None) -> Attempt:
    metadata = cast("dict[str, dict[str, str] | None]", pod.manifest.get("metadata") or {})
    labels = dict(metadata.get("labels") or {})
    return Attempt(pod.namespace, pod.name, pod.primary_container, labels, files, ensured_at, command)


def _read(path: Path, position: int, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(bytes_max)
    except FileNotFoundError:
        return b""


def _claimed_at(files: AttemptFiles) -> datetime:
    try:
        return datetime.fromtimestamp((files.path / "claim").stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.now(UTC)
