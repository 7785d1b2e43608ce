"""The eyes: Pod statuses become observations.

A status that ends a Pod is joined with what the Pod left behind (`error.pb`, `outputs.pb`): together they say how
the attempt ended, and the machine gets one observation.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any

import structlog
from sailplane_core import podphase, task_result
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import ExecutionId
from sailplane_core.layout import Layout
from sailplane_core.machine import Observation, TaskEnded, TaskProgressed
from sailplane_core.phases import TaskPhase
from sailplane_core.ports import PodPhase, PodStatus
from sailplane_runtime.threads import inline_or_thread

from . import retry
from .inputs import Literals
from .live import Live
from .logs import Logs
from .pods import Attempt, PodNames, declared_outputs
from .ports import PropellerPorts

log = structlog.get_logger(__name__)


class Watcher:
    """Follows the launcher's statuses for ever."""

    def __init__(
        self,
        ports: PropellerPorts,
        names: PodNames,
        literals: Literals,
        find: Callable[[ExecutionId], Live],
        post: Callable[[ExecutionId, Observation], None],
    ) -> None:
        self._ports = ports
        self._names = names
        self._literals = literals
        self._find = find
        self._post = post
        self._logs = Logs(ports)
        self._tasks: set[asyncio.Task[None]] = set()
        self._rechecks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.latest: dict[tuple[str, str], PodStatus] = {}
        """What was reported last of every Pod of ours that is there, by namespace and name."""

    async def run(self) -> None:
        """Turn each status into what it says about its attempt."""
        async for status in self._ports.launcher.observe():
            self.take(status)

    async def close(self) -> None:
        """Stop reading results; the launcher reports ended Pods again after the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take(self, status: PodStatus) -> None:
        """One status."""
        pod = (status.namespace, status.name)
        if status.phase is PodPhase.MISSING:
            self.latest.pop(pod, None)  # nobody may know the attempt yet: then the sweeper finds that its Pod is gone
        elif owner_of(status) is not None:
            self.latest[pod] = status
        attempt = self._names.find(*pod)
        if attempt is None:
            return
        self._cancel_recheck(pod)
        report = podphase.interpret(status, self._ports.clock.now(), attempt.primary_container)
        if report.phase in (TaskPhase.SUCCEEDED, TaskPhase.FAILED):
            self._spawn(self._settle(pod, attempt, report))
            return
        at = report.started_at or self._ports.clock.now()
        self._post(attempt.execution, TaskProgressed(attempt.node_id, attempt.attempt, report.phase, report.reason, at))
        if report.recheck_at is not None:
            self._rechecks[pod] = self._spawn(self._recheck(status, report.recheck_at))

    def look_again(self, pods: Iterable[tuple[str, str]]) -> None:
        """Take what is known of Pods whose execution has only now been loaded: it may never be reported again."""
        for pod in pods:
            if pod in self.latest:
                self.take(self.latest[pod])

    async def _recheck(self, status: PodStatus, when: datetime) -> None:
        """Some states are only bad when they last: look at the same status again later."""
        await self._ports.clock.sleep_until(when)
        self._rechecks.pop((status.namespace, status.name), None)
        self.take(status)

    def _cancel_recheck(self, pod: tuple[str, str]) -> None:
        recheck = self._rechecks.pop(pod, None)
        if recheck is not None:
            recheck.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _settle(self, pod: tuple[str, str], attempt: Attempt, report: podphase.PodReport) -> None:
        """Say how the attempt ended, and only then keep its log: what comes after it need not wait for that."""
        await self._report_end(attempt, report)
        await self._logs.keep(attempt.execution, *pod)

    async def _report_end(self, attempt: Attempt, report: podphase.PodReport) -> None:
        """Post how the attempt ended, whatever it takes: nothing else would ever end it."""

        async def read() -> TaskEnded:
            await self._ports.turns.next()
            return await self._end_of(attempt, report)

        def give_up(error: Exception, tries: int) -> TaskEnded | None:  # one attempt suffers, not the engine
            if isinstance(error, InvalidRequest):
                message = f"what the task left behind cannot be read: {error}"
                failure = Failure("BadOutputs", message, FailureKind.USER, retryable=False)
            else:
                log.error("results_not_read", attempt=repr(attempt), exc_info=error)
                if tries < retry.TRIES_MAX:
                    return None
                failure = Failure("ResultsNotRead", "the engine could not read the results", FailureKind.SYSTEM)
            return TaskEnded(attempt.node_id, attempt.attempt, failure, report.started_at, report.finished_at)

        seen = await retry.until_done(self._ports, read, "results_wait", give_up=give_up, attempt=repr(attempt))
        self._post(attempt.execution, seen)

    async def _end_of(self, attempt: Attempt, report: podphase.PodReport) -> TaskEnded:
        """Join the Pod's end with what it left behind."""
        live = self._find(attempt.execution)
        node, layout = live.definition.node(attempt.node_id), live.definition.layout
        files = await self._files(layout, attempt)
        declared = declared_outputs(live, node)
        bytes_max = self._ports.settings.output_bytes_max
        size_bytes = max(files.outputs_bytes, files.error_bytes)
        verdict = await inline_or_thread(size_bytes, lambda: task_result.judge(report, files, declared, bytes_max))
        failure = verdict if isinstance(verdict, Failure) else None
        if isinstance(verdict, task_result.Success) and not files.has_futures:
            self._literals.keep(
                layout.outputs_uri(attempt.node_id, attempt.attempt), verdict.outputs, files.outputs_bytes
            )
        return TaskEnded(
            attempt.node_id,
            attempt.attempt,
            failure,
            report.started_at,
            report.finished_at,
            has_deck=await self._exists(layout.deck_uri(attempt.node_id, attempt.attempt)),
            has_graph=failure is None and files.has_futures,
            pod_lingers=report.pod_lingers,
        )

    async def _files(self, layout: Layout, attempt: Attempt) -> task_result.AttemptFiles:
        node_id, number = attempt.node_id, attempt.attempt
        outputs, outputs_bytes = await self._read(layout.outputs_uri(node_id, number))
        error, error_bytes = await self._read(layout.error_uri(node_id, number))
        return task_result.AttemptFiles(
            error_pb=error,
            outputs_pb=outputs,
            outputs_bytes=outputs_bytes,
            error_bytes=error_bytes,
            has_futures=outputs is None and await self._exists(layout.futures_uri(node_id, number)),
        )

    async def _read(self, uri: str) -> tuple[bytes | None, int]:
        """The file, cut where it exceeds the limit, and its size; None and 0 if there is none."""
        bytes_max = self._ports.settings.output_bytes_max
        try:
            data = await self._ports.blobs.get(uri, bytes_max=bytes_max + 1)
            size = len(data) if len(data) <= bytes_max else (await self._ports.blobs.head(uri)).size_bytes
        except NotFound:
            return None, 0
        return data, size

    async def _exists(self, uri: str) -> bool:
        try:
            await self._ports.blobs.head(uri)
        except NotFound:
            return False
        return True


def owner_of(status: PodStatus) -> ExecutionId | None:
    """The execution that a Pod's labels name; None if it is not one of ours."""
    labels = status.labels
    try:
        return ExecutionId(labels["project"], labels["domain"], labels["execution-id"])
    except KeyError:
        return None
