"""A cluster without machines: Pods that take their time, write what tasks write, and end as they are fated to.

It outlives every service. Nothing of it is decided by chance that the oracle would have to know.
"""

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sailplane_core.errors import NotFound
from sailplane_core.ports import BlobInfo, ContainerStatus, Pod, PodPhase, PodStatus, SignedUrl
from sailplane_protos.core import errors_pb2, execution_pb2, literals_pb2
from sailplane_runtime.clock import ManualClock

from . import templates
from .loop import SimLoop
from .workflows import Drawing, Fate, Task, Value

ROOT = "s3://sim"
GARBAGE = b"\xff\xff\xffnot a protobuf"


class DictBlobs:
    """The BlobStore port in memory."""

    def __init__(self, clock: ManualClock) -> None:
        self.objects: dict[str, bytes] = {}
        self._clock = clock

    def uri(self, key: str) -> str:
        """Below the root."""
        return f"{ROOT}/{key}"

    async def put(self, uri: str, data: bytes) -> None:
        """Store it."""
        self.objects[uri] = data

    async def put_stream(self, uri: str, chunks: AsyncIterable[bytes]) -> None:
        """Store it whole."""
        self.objects[uri] = b"".join([chunk async for chunk in chunks])

    async def get(self, uri: str, *, start: int = 0, bytes_max: int | None = None) -> bytes:
        """Raises `NotFound`."""
        data = self._find(uri)
        return data[start:] if bytes_max is None else data[start : start + bytes_max]

    async def head(self, uri: str) -> BlobInfo:
        """Raises `NotFound`."""
        return BlobInfo(uri, len(self._find(uri)), self._clock.now())

    async def list(self, prefix_uri: str) -> AsyncIterator[BlobInfo]:
        """Everything below the prefix."""
        for uri in sorted(self.objects):
            if uri.startswith(prefix_uri.rstrip("/") + "/"):
                yield await self.head(uri)

    async def delete(self, uri: str) -> None:
        """Missing is fine."""
        self.objects.pop(uri, None)

    async def sign(self, uri: str, method: str, expires_in_s: float, *, content_md5: bytes | None = None) -> SignedUrl:
        """Nobody asks for one here."""
        raise NotImplementedError

    def _find(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise NotFound("object", uri)
        return self.objects[uri]


@dataclass
class Running:
    """A Pod that the cluster knows."""

    pod: Pod
    task: Task
    item: int
    attempt: int
    fate: Fate
    status: PodStatus
    timers: list[asyncio.TimerHandle] = field(default_factory=list[asyncio.TimerHandle])

    @property
    def is_live(self) -> bool:
        """Whether something of it may still run."""
        return self.status.phase in (PodPhase.PENDING, PodPhase.RUNNING)


class Cluster:
    """The PodLauncher port's other side. `watchers` are told of every change."""

    def __init__(
        self,
        loop: SimLoop,
        clock: ManualClock,
        blobs: DictBlobs,
        chance: random.Random,
        drawn: Drawing,
        record: Callable[..., None],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._blobs = blobs
        self._chance = chance
        self._drawn = drawn
        self._tasks = {task.name: task for task in drawn.tasks}
        self._record = record
        self.pods: dict[tuple[str, str], Running] = {}
        self.watchers: dict[object, Callable[[PodStatus], None]] = {}

    def ensure(self, pod: Pod, by: str) -> None:
        """Make it run, once; `by` is who wants it."""
        key = pod.namespace, pod.name
        if key in self.pods:
            return
        labels: dict[str, str] = pod.manifest["metadata"]["labels"]
        envs = {each["name"]: each["value"] for each in pod.manifest["spec"]["containers"][0]["env"]}
        task = self._tasks[envs["FLYTE_INTERNAL_TASK_NAME"]]
        item = int(envs.get(envs.get("BATCH_JOB_ARRAY_INDEX_VAR_NAME", ""), -1))
        attempt = int(envs["FLYTE_ATTEMPT_NUMBER"])
        fate = task.fate(item, attempt)
        waiting = (ContainerStatus(pod.primary_container, "waiting", reason="ContainerCreating"),)
        status = PodStatus(
            pod.name, pod.namespace, PodPhase.PENDING, labels=labels, containers=waiting, since=self._clock.now()
        )
        running = self.pods[key] = Running(pod, task, item, attempt, fate, status)
        self._record(
            "pod ensured",
            by=by,
            pod=pod.name,
            execution=labels["execution-id"],
            node=_node(running),
            attempt=attempt,
            fate=fate,
        )
        self._later(running, self._chance.choice((0.0, 0.5, 3.0)), self._begin)
        self._tell(running)

    def remove(self, namespace: str, name: str) -> None:
        """Stop it and forget it."""
        running = self.pods.pop((namespace, name), None)
        if running is not None:
            self._stop(running)
            self._record("pod removed", pod=name, was_live=running.is_live, **_who(running))

    def _later(self, running: Running, after_s: float, act: Callable[[Running], None]) -> None:
        timer = self._loop.call_later(after_s, act, running, context=self._loop.world)
        running.timers.append(timer)

    def _stop(self, running: Running) -> None:
        for timer in running.timers:
            timer.cancel()

    def _begin(self, running: Running) -> None:
        now = self._clock.now()
        container = ContainerStatus(running.pod.primary_container, "running", started_at=now)
        running.status = replace(running.status, phase=PodPhase.RUNNING, containers=(container,), since=now)
        self._record("pod running", pod=running.pod.name, **_who(running))
        if running.fate is not Fate.HANG:
            self._later(running, self._chance.choice((0.0, 1.0, 10.0)), self._end)
        self._tell(running)

    def _end(self, running: Running) -> None:
        status, started_at = running.status, running.status.containers[0].started_at
        now = self._clock.now()
        primary = running.pod.primary_container

        def terminated(phase: PodPhase, exit_code: int, reason: str = "", pod_reason: str = "") -> PodStatus:
            container = ContainerStatus(
                primary, "terminated", reason=reason, exit_code=exit_code, started_at=started_at, finished_at=now
            )
            return replace(status, phase=phase, reason=pod_reason, containers=(container,), since=now)

        match running.fate:
            case Fate.EXIT:
                running.status = terminated(PodPhase.FAILED, 1, "Error")
            case Fate.OOM:
                running.status = terminated(PodPhase.FAILED, 137, "OOMKilled")
            case Fate.EVICTED:
                running.status = replace(status, phase=PodPhase.FAILED, reason="Evicted", containers=(), since=now)
            case Fate.DELETED:
                running.status = replace(status, deleting=True)
            case Fate.LOST:
                running.status = PodStatus(status.name, status.namespace, PodPhase.MISSING)
                self.pods.pop((status.namespace, status.name))
            case _:
                self._write(running)
                running.status = terminated(PodPhase.SUCCEEDED, 0, "Completed")
        self._record("pod ended", pod=running.pod.name, fate=running.fate, **_who(running))
        self._tell(running)
        if running.fate is Fate.DELETED:
            self._later(running, 1.0, self._vanish)

    def _vanish(self, running: Running) -> None:
        running.status = PodStatus(running.pod.name, running.pod.namespace, PodPhase.MISSING)
        self.pods.pop((running.pod.namespace, running.pod.name), None)
        self._tell(running)

    def _write(self, running: Running) -> None:
        """What the task leaves behind."""
        inputs_uri, output_prefix = running.pod.manifest["spec"]["containers"][0]["args"]
        files = self._blobs.objects
        match running.fate:
            case Fate.WELL:
                given = literals_pb2.LiteralMap.FromString(files[inputs_uri])
                outputs = literals_pb2.LiteralMap()
                values = {name: _of_item(value_of(one), running.item) for name, one in given.literals.items()}
                if running.task.graph is not None:
                    a = values["a"]
                    assert isinstance(a, int)
                    written = templates.job(self._drawn, running.task.graph, a)
                    files[f"{output_prefix}/futures.pb"] = written.SerializeToString()
                    return
                outputs.literals["o"].scalar.primitive.integer = running.task.gives(values)
                files[f"{output_prefix}/outputs.pb"] = outputs.SerializeToString()
            case Fate.GARBAGE:
                files[f"{output_prefix}/outputs.pb"] = GARBAGE
            case Fate.ERROR_RECOVERABLE | Fate.ERROR_FINAL | Fate.ERROR_SYSTEM:
                error = errors_pb2.ContainerError(code="Sim", message="as fated")
                if running.fate is not Fate.ERROR_FINAL:
                    error.kind = errors_pb2.ContainerError.RECOVERABLE
                is_system = running.fate is Fate.ERROR_SYSTEM
                error.origin = execution_pb2.ExecutionError.SYSTEM if is_system else execution_pb2.ExecutionError.USER
                files[f"{output_prefix}/error.pb"] = errors_pb2.ErrorDocument(error=error).SerializeToString()
            case _:
                pass

    def _tell(self, running: Running) -> None:
        for watcher in list(self.watchers.values()):
            watcher(running.status)


def _of_item(value: Value, item: int) -> Value:
    """Of a list, an array's item takes its element."""
    return value[item] if item >= 0 and isinstance(value, list) else value


def value_of(literal: literals_pb2.Literal) -> Value:
    """The number in a literal, a list of them, or None."""
    match literal.WhichOneof("value"):
        case "collection":
            return [value_of(one) for one in literal.collection.literals]
        case "scalar" if literal.scalar.HasField("union"):
            return value_of(literal.scalar.union.value)
        case "scalar" if literal.scalar.HasField("primitive"):
            return literal.scalar.primitive.integer
        case _:
            return None


def _node(running: Running) -> str:
    labels: dict[str, str] = running.pod.manifest["metadata"]["labels"]
    return labels["node-id"]


def _who(running: Running) -> dict[str, Any]:
    labels: dict[str, str] = running.pod.manifest["metadata"]["labels"]
    return {"execution": labels["execution-id"], "node": _node(running), "attempt": running.attempt}
