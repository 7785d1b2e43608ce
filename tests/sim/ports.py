"""What stands between a service and the world: each call takes time, and may fail before or after its effect.

The effect itself happens in the world, which outlives the caller: timers that a queue sets are not the caller's.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import grpc
from grpc import aio
from sailplane_core.errors import SailplaneError, Unavailable
from sailplane_core.ports import BlobInfo, DeadLetter, Delivery, Message, Pod, PodPhase, PodStatus, SignedUrl
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.grpc_errors import status_of
from sailplane_runtime.queue.memory import MemoryQueue

from .faults import Faults
from .loop import Condition, Process, SimLoop, drive
from .pods import Cluster, DictBlobs

T = TypeVar("T")

TICK_S = 1e-5
"""Between two things that come one after the other."""
DOUBLED_S_MAX = 60.0
CALL_TIMEOUT_S = 10.0


class Wire:
    """One process's way to the world."""

    def __init__(self, loop: SimLoop, process: Process, faults: Faults) -> None:
        self.loop = loop
        self.process = process
        self.faults = faults

    async def call(self, kind: str, what: str, act: Callable[[], Any]) -> Any:
        """Have the world run `act`, a coroutine that waits for nothing."""
        await self.pause()
        self.faults.fail(kind, what)
        result = drive(self.loop.world, act())
        self.faults.fail(kind, f"{what}, which was done")
        return result

    async def pause(self) -> None:
        """The way there."""
        latency_s = self.faults.latency_s()
        if latency_s:
            await asyncio.sleep(latency_s)


class ShiftedClock:
    """The world's clock, some time ahead or behind: what one machine takes for the present."""

    def __init__(self, clock: ManualClock, ahead: timedelta) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> datetime:
        """The present, as this machine sees it."""
        return self._clock.now() + self._ahead

    async def sleep_until(self, when: datetime) -> None:
        """Until it is so late here."""
        await self._clock.sleep_until(when - self._ahead)


class WiredQueue:
    """The queue, from a process."""

    def __init__(self, wire: Wire, queue: MemoryQueue) -> None:
        self._wire = wire
        self._queue = queue

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish, some of it twice."""
        await self._wire.call("queue", "publishing", lambda: self._queue.publish(messages))
        doubled = [message for message in messages if self._wire.faults.strikes("queue")]
        if doubled:
            later_s = self._wire.faults.random.uniform(0.0, DOUBLED_S_MAX)
            loop = self._wire.loop
            loop.create_task(self._again(doubled, later_s), context=loop.world.copy())

    async def _again(self, messages: Sequence[Message], later_s: float) -> None:
        await asyncio.sleep(later_s)
        await self._queue.publish(messages)

    async def receive(self, topic: str, count_max: int) -> Sequence[Delivery]:
        """Wait for deliveries; whoever dies waiting may have been given one."""
        loop, process = self._wire.loop, self._wire.process
        reply: asyncio.Future[Sequence[Delivery]] = loop.create_future()
        asking = loop.create_task(self._receive(topic, count_max, reply), context=loop.world.copy())
        process.on_death[asking] = asking.cancel
        try:
            deliveries = list(await reply)
        finally:
            asking.cancel()
            process.on_death.pop(asking, None)
        self._wire.faults.random.shuffle(deliveries)
        await self._wire.pause()
        return deliveries

    async def _receive(self, topic: str, count_max: int, reply: "asyncio.Future[Sequence[Delivery]]") -> None:
        deliveries = await self._queue.receive(topic, count_max)
        if not reply.done():
            reply.set_result(deliveries)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge; the word may get lost on its way."""
        await self._wire.pause()
        if not self._wire.faults.strikes("queue"):
            drive(self._wire.loop.world, self._queue.ack(deliveries))

    async def nack(self, delivery: Delivery, reason: str, delay_s: float = 0.0) -> None:
        """As asked."""
        drive(self._wire.loop.world, self._queue.nack(delivery, reason, delay_s))

    async def extend(self, delivery: Delivery) -> bool:
        """As asked."""
        return drive(self._wire.loop.world, self._queue.extend(delivery))

    def confirmed(self, topic: str) -> AsyncIterator[Sequence[str]]:
        """As asked."""
        return self._queue.confirmed(topic)

    async def dead_letters(self, topic: str) -> Sequence[DeadLetter]:
        """As asked."""
        return await self._queue.dead_letters(topic)

    async def requeue(self, topic: str, id: str) -> bool:
        """As asked."""
        return await self._queue.requeue(topic, id)

    async def drop(self, topic: str, id: str) -> bool:
        """As asked."""
        return await self._queue.drop(topic, id)


class WiredBlobs:
    """The blob store, from a process."""

    def __init__(self, wire: Wire, blobs: DictBlobs) -> None:
        self._wire = wire
        self._blobs = blobs

    def uri(self, key: str) -> str:
        """As asked."""
        return self._blobs.uri(key)

    async def put(self, uri: str, data: bytes) -> None:
        """Store, or fail, or both."""
        await self._wire.call("blobs", f"putting {uri}", lambda: self._blobs.put(uri, data))

    async def put_stream(self, uri: str, chunks: AsyncIterable[bytes]) -> None:
        """As asked."""
        await self._blobs.put_stream(uri, chunks)

    async def get(self, uri: str, *, start: int = 0, bytes_max: int | None = None) -> bytes:
        """Read, or fail."""
        return await self._wire.call(
            "blobs", f"getting {uri}", lambda: self._blobs.get(uri, start=start, bytes_max=bytes_max)
        )

    async def head(self, uri: str) -> BlobInfo:
        """Look, or fail."""
        return await self._wire.call("blobs", f"looking at {uri}", lambda: self._blobs.head(uri))

    def list(self, prefix_uri: str) -> AsyncIterator[BlobInfo]:
        """As asked."""
        return self._blobs.list(prefix_uri)

    async def delete(self, uri: str) -> None:
        """Delete, or fail, or both."""
        await self._wire.call("blobs", f"deleting {uri}", lambda: self._blobs.delete(uri))

    async def sign(self, uri: str, method: str, expires_in_s: float, *, content_md5: bytes | None = None) -> SignedUrl:
        """As asked."""
        return await self._blobs.sign(uri, method, expires_in_s, content_md5=content_md5)


class WiredLauncher:
    """The cluster, from a process."""

    def __init__(self, wire: Wire, cluster: Cluster) -> None:
        self._wire = wire
        self._cluster = cluster

    async def ensure(self, pod: Pod) -> None:
        """Start, or fail, or both."""

        async def act() -> None:
            self._cluster.ensure(pod, self._wire.process.name)

        await self._wire.call("launcher", f"starting Pod {pod.name}", act)

    async def remove(self, namespace: str, name: str) -> None:
        """Remove, or fail, or both."""

        async def act() -> None:
            self._cluster.remove(namespace, name)

        await self._wire.call("launcher", f"removing Pod {name}", act)

    async def observe(self) -> AsyncIterator[PodStatus]:
        """All there is, then what changes: per Pod in order, of some only the latest, and some again later."""
        wire, process = self._wire, self._wire.process
        arrived: asyncio.Queue[PodStatus] = asyncio.Queue()
        latest: dict[tuple[str, str], PodStatus] = {}
        under_way: dict[tuple[str, str], float] = {}

        def deliver(key: tuple[str, str], status: PodStatus) -> None:
            if process.condition is not Condition.DEAD:
                # What is reported is what is so by then: in between, nobody looked.
                arrived.put_nowait(latest[key] if wire.faults.strikes("launcher") else status)

        def repeat() -> None:
            """Everything that is so, told again: nobody may take it for news."""
            for running in list(self._cluster.pods.values()):
                watch(running.status)
            if process.condition is not Condition.DEAD and not wire.faults.is_over:
                wire.loop.call_later(wire.faults.random.uniform(0.5, 5.0), repeat, context=wire.loop.world)

        def watch(status: PodStatus) -> None:
            key = status.namespace, status.name
            latest[key] = status
            at = max(wire.loop.time() + wire.faults.latency_s(), under_way.get(key, 0.0) + TICK_S)
            under_way[key] = at
            wire.loop.call_at(at, deliver, key, status, context=wire.loop.world)

        if wire.faults.rates.get("launcher"):
            repeat()
        for running in list(self._cluster.pods.values()):
            watch(running.status)
        self._cluster.watchers[process] = watch
        process.on_death[self] = lambda: self._cluster.watchers.pop(process, None)
        while True:
            yield await arrived.get()

    async def log(self, namespace: str, name: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        """Nobody writes anything here."""
        return
        yield b""


class _Call:
    """As much of a call as handlers look at."""

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        return ()

    def peer(self) -> str:
        return "simulated"


class Door:
    """A running service's RPCs, as processes and users reach them: `handlers` by the full name of the service."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.process: Process | None = None
        self.handlers: dict[str, Any] = {}

    def open(self, process: Process, services: Sequence[tuple[str, object]]) -> None:
        """From now on this process answers."""
        self.process = process
        self.handlers = dict(services)

    async def call(self, path: str, request: Any) -> Any:
        """The reply. Raises `SailplaneError` as the handler does, `Unavailable` if nobody answers."""
        server = self.process
        if server is None or server.condition is Condition.DEAD:
            raise Unavailable("admin is not there")
        _, service, method = path.split("/")
        handler = getattr(self.handlers[service], method)
        copied = type(request).FromString(request.SerializeToString())
        reply: asyncio.Future[Any] = self._loop.create_future()
        answering = self._loop.create_task(_answer(handler(copied, _Call()), reply), context=server.context.copy())

        def hang_up(why: str) -> None:
            if not reply.done():
                reply.set_exception(Unavailable(why))

        server.on_death[answering] = lambda: hang_up("admin went away")
        timeout = self._loop.call_later(CALL_TIMEOUT_S, hang_up, "admin takes too long")
        try:
            found = await reply
        finally:
            timeout.cancel()
            server.on_death.pop(answering, None)
        return type(found).FromString(found.SerializeToString())


async def _answer(work: Awaitable[Any], reply: "asyncio.Future[Any]") -> None:
    try:
        result = await work
    except Exception as error:
        if not reply.done():
            reply.set_exception(error)
    else:
        if not reply.done():
            reply.set_result(result)


class WiredChannel:
    """A gRPC channel to a door: what stubs need of one."""

    def __init__(self, wire: Wire, door: Door) -> None:
        self._wire = wire
        self._door = door

    def unary_unary(self, path: str, *args: Any, **options: Any) -> Callable[..., Awaitable[Any]]:
        """One RPC."""

        async def call(request: Any, **options: Any) -> Any:
            await self._wire.pause()
            try:
                self._wire.faults.fail("admin", path)
                reply = await self._door.call(path, request)
                self._wire.faults.fail("admin", f"{path}, which was done")
            except SailplaneError as error:
                status = status_of(error, request, as_flyte=False)
                raise aio.AioRpcError(status.code, aio.Metadata(), aio.Metadata(), details=status.message) from error
            except Exception as error:
                raise aio.AioRpcError(
                    grpc.StatusCode.INTERNAL, aio.Metadata(), aio.Metadata(), details=str(error)
                ) from error
            await self._wire.pause()
            return reply

        return call

    def unary_stream(self, path: str, *args: Any, **options: Any) -> Any:
        """Nobody calls one here."""

    stream_unary = stream_stream = unary_stream

    async def close(self) -> None:
        """Nothing to close."""


__all__ = ["Door", "PodPhase", "ShiftedClock", "Wire", "WiredBlobs", "WiredChannel", "WiredLauncher", "WiredQueue"]
