"""What attempts of tasks have written: from the blob store once it is kept there, else from whoever runs the Pod.

Both have the same bytes at the same offsets, so that a reader who comes back does not notice which one answers.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from sailplane_core import validation
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound
from sailplane_core.ids import ExecutionId, pod_name, unique_node_id
from sailplane_core.layout import Layout
from sailplane_core.phases import EXECUTION_TERMINAL, TASK_TERMINAL, ExecutionPhase, TaskPhase
from sailplane_protos.admin import execution_pb2
from sailplane_protos.watch import service_pb2 as watch_pb2
from sqlalchemy import Connection, select

from . import external_resources, tables
from .execution_rows import find_execution, in_execution
from .ports import AdminPorts

CHUNK_BYTES_MAX = 256 * 1024
"""Of one message."""

_TASKS = tables.task_executions.c
Chunks = AsyncGenerator[bytes]


@dataclass(frozen=True, slots=True)
class _Pod:
    """Where an attempt runs or ran. `uri` is where its log is kept."""

    namespace: str
    name: str
    uri: str
    is_over: bool


class Logs:
    """The readers of one server."""

    def __init__(self, ports: AdminPorts) -> None:
        self._ports = ports
        self._readers = 0

    async def tail(self, request: watch_pb2.TailLogsRequest) -> AsyncGenerator[watch_pb2.TailLogsResponse]:
        """What `TailLogs` answers. Raises `InvalidRequest`, `NotFound`, `LimitReached` and `Unavailable`."""
        validation.check_node_execution_id(request.id)
        for field in ("offset", "bytes_max"):
            if getattr(request, field) < 0:
                raise InvalidRequest.invalid(field, "it is below 0")
        readers_max = self._ports.settings.log_readers_max
        if self._readers >= readers_max:
            raise LimitReached(f"log_readers_max: {readers_max} at one time")
        self._readers += 1
        try:
            offset = request.offset
            end = offset + request.bytes_max if request.bytes_max else None
            async with aclosing(self._bytes(request)) as chunks:
                async for chunk in chunks:
                    data = chunk if end is None else chunk[: end - offset]
                    yield watch_pb2.TailLogsResponse(offset=offset, data=data)
                    offset += len(data)
                    if offset == end:
                        return
        finally:
            self._readers -= 1

    async def _bytes(self, request: watch_pb2.TailLogsRequest) -> Chunks:
        ports = self._ports
        while True:
            pod = await ports.store.read(lambda connection: _find(connection, ports, request))
            for log in () if pod is None else self._places(pod, request):
                try:
                    async with aclosing(log):
                        async for chunk in log:
                            yield chunk
                    return
                except NotFound:
                    continue
            if pod is not None and (pod.is_over or not request.follow):
                raise NotFound("log", pod.name, f"attempt {pod.name} has written nothing, or its log was not kept")
            await ports.clock.sleep_until(ports.clock.now() + timedelta(seconds=ports.settings.watch_look_every_s))

    def _places(self, pod: _Pod, request: watch_pb2.TailLogsRequest) -> Sequence[Chunks]:
        """Where the log may be. Kept twice: between the first look there and that at the Pod it may have moved."""
        return self._kept(pod, request.offset), self._live(pod, request), self._kept(pod, request.offset)

    async def _kept(self, pod: _Pod, offset: int) -> Chunks:
        blobs = self._ports.blobs
        size_bytes = (await blobs.head(pod.uri)).size_bytes
        for start in range(offset, size_bytes, CHUNK_BYTES_MAX):
            yield await blobs.get(pod.uri, start=start, bytes_max=CHUNK_BYTES_MAX)

    async def _live(self, pod: _Pod, request: watch_pb2.TailLogsRequest) -> Chunks:
        source = self._ports.logs
        if source is None:
            raise NotFound("pod", pod.name)
        async with aclosing(source.log(pod.namespace, pod.name, request.offset, follow=request.follow)) as chunks:
            async for chunk in chunks:
                yield chunk


def _find(connection: Connection, ports: AdminPorts, request: watch_pb2.TailLogsRequest) -> _Pod | None:
    """The Pod by its name, which follows from the attempt's.

    Of an attempt that is not recorded: None if it may yet come and is to be followed, else raises `NotFound`.
    """
    id, node_id, attempt = ExecutionId.of(request.id.execution_id), request.id.node_id, request.attempt
    query = select(_TASKS.id, _TASKS.phase).where(
        *in_execution(tables.task_executions, id), _TASKS.node_id == node_id, _TASKS.retry_attempt == attempt
    )
    row, execution = connection.execute(query).first(), find_execution(connection, id)
    if row is None or execution is None:
        if request.follow and _goes_on(connection, id):
            return None
        raise NotFound("task execution", f"{id}/{node_id}/{attempt}")
    phase = TaskPhase[row.phase]
    if request.HasField("item"):
        item = request.item
        resources = external_resources.load(connection, row.id, [(item.index, item.attempt)])
        if not resources:
            if request.follow and _goes_on(connection, id):
                return None
            raise NotFound("item", f"{id}/{node_id}/{attempt}[{item.index}]/{item.attempt}")
        phase = TaskPhase(resources[item.index, item.attempt].phase)
        node_id, attempt = unique_node_id(node_id, attempt, f"n{item.index}"), item.attempt
    spec = execution_pb2.ExecutionSpec.FromString(execution.spec)
    name = pod_name(id, node_id, attempt)
    uri = Layout(ports.blobs.uri("").rstrip("/"), "", id).log_uri(name)
    return _Pod(spec.metadata.system_metadata.namespace, name, uri, phase in TASK_TERMINAL)


def _goes_on(connection: Connection, id: ExecutionId) -> bool:
    query = select(tables.executions.c.phase).where(*in_execution(tables.executions, id))
    phase = connection.execute(query).scalar_one_or_none()
    return phase is not None and ExecutionPhase[phase] not in EXECUTION_TERMINAL
