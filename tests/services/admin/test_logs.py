"""What attempts have written: kept or live, from any offset, of items too."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from sailplane_admin import executions
from sailplane_admin.logs import CHUNK_BYTES_MAX, Logs
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, Unavailable
from sailplane_core.ids import pod_name
from sailplane_core.layout import Layout
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.watch import service_pb2 as watch_pb2
from sailplane_runtime.clock import ManualClock

from services.admin import execution_requests as requests

POD = pod_name(requests.KEY, "n0", 0)
ITEM = pod_name(requests.KEY, "n0-0-n3", 1)


class Live:
    """Pods that are there, and what they have printed."""

    def __init__(self) -> None:
        self.printed: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, int, bool]] = []
        self.error: Exception | None = None

    async def log(self, namespace: str, pod: str, offset: int, *, follow: bool) -> AsyncGenerator[bytes]:
        """A chunk for each line."""
        self.asked.append((namespace, pod, offset, follow))
        if self.error is not None:
            raise self.error
        if pod not in self.printed:
            raise NotFound("pod", pod)
        for line in self.printed[pod][offset:].splitlines(keepends=True):
            yield line


@pytest.fixture
def live() -> Live:
    return Live()


@pytest.fixture
async def admin(ports: AdminPorts, live: Live) -> AdminPorts:
    """With an attempt that runs, which is also an array's, of whose item 3 the second attempt runs."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    running = requests.task_event(TaskPhase.RUNNING, second=2)
    running.metadata.external_resources.add(index=3, retry_attempt=1, external_id="whatever", phase=TaskPhase.RUNNING)
    await requests.record(ports, requests.node_event(NodePhase.RUNNING, second=1), running)
    return replace(ports, logs=live)


async def keep(ports: AdminPorts, pod: str, data: bytes) -> None:
    await ports.blobs.put(Layout(ports.blobs.uri("").rstrip("/"), "", requests.KEY).log_uri(pod), data)


def asked(**more: Any) -> watch_pb2.TailLogsRequest:
    return watch_pb2.TailLogsRequest(id=requests.node_id(), **more)


async def read(ports: AdminPorts, request: watch_pb2.TailLogsRequest) -> bytes:
    """All of it; the offsets fit."""
    found, offset = b"", request.offset
    async for chunk in Logs(ports).tail(request):
        assert chunk.offset == offset
        assert chunk.data
        found, offset = found + chunk.data, offset + len(chunk.data)
    return found


async def test_a_log_that_was_kept_is_read_from_the_blob_store(admin: AdminPorts, live: Live) -> None:
    await keep(admin, POD, b"kept\n")
    live.printed[POD] = b"live\n"
    assert await read(admin, asked()) == b"kept\n"
    assert await read(replace(admin, logs=None), asked(follow=True)) == b"kept\n"
    assert live.asked == []


async def test_a_log_that_is_being_written_is_read_from_whoever_runs_the_pod(admin: AdminPorts, live: Live) -> None:
    live.printed[POD] = b"one\ntwo\n"
    assert await read(admin, asked(offset=2, follow=True)) == b"e\ntwo\n"
    assert live.asked == [("flytesnacks-development", POD, 2, True)]


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize(
    ("offset", "bytes_max", "part"), [(0, 3, b"012"), (3, 4, b"3456"), (8, 9, b"89"), (11, 0, b"")]
)
async def test_a_part_is_the_same_wherever_it_comes_from(
    is_kept: bool, offset: int, bytes_max: int, part: bytes, admin: AdminPorts, live: Live
) -> None:
    if is_kept:
        await keep(admin, POD, b"0123456789")
    else:
        live.printed[POD] = b"0123456789"
    assert await read(admin, asked(offset=offset, bytes_max=bytes_max)) == part


async def test_chunks_are_bounded(admin: AdminPorts) -> None:
    await keep(admin, POD, b"x" * (2 * CHUNK_BYTES_MAX + 1))
    sizes = [len(chunk.data) async for chunk in Logs(admin).tail(asked())]
    assert sizes == [CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, 1]


async def test_an_item_has_a_log_of_its_own(admin: AdminPorts, live: Live) -> None:
    live.printed |= {POD: b"the array's\n", ITEM: b"the item's\n"}
    assert await read(admin, asked(item=watch_pb2.ArrayItem(index=3, attempt=1))) == b"the item's\n"
    for index, attempt in ((3, 0), (2, 1)):
        with pytest.raises(NotFound, match="item"):
            await read(admin, asked(item=watch_pb2.ArrayItem(index=index, attempt=attempt)))


async def test_who_follows_waits_for_an_attempt_to_begin(admin: AdminPorts, live: Live, clock: ManualClock) -> None:
    reading = asyncio.ensure_future(read(admin, asked(follow=True)))
    async with asyncio.timeout(5):
        while not clock.sleepers:
            await asyncio.sleep(0)
    assert not reading.done()
    live.printed[POD] = b"begun\n"
    clock.advance(admin.settings.watch_look_every_s)
    assert await asyncio.wait_for(reading, 5) == b"begun\n"


@pytest.mark.parametrize("item", [None, {"index": 7}])
async def test_who_follows_waits_for_an_attempt_that_nobody_has_told_of_while_its_execution_goes_on(
    item: dict[str, int] | None, admin: AdminPorts, live: Live, clock: ManualClock
) -> None:
    later = asked(follow=True, **({"attempt": 1} if item is None else {"item": item}))
    live.printed[pod_name(requests.KEY, "n0", 1) if item is None else pod_name(requests.KEY, "n0-0-n7", 0)] = b"begun\n"
    if item is None:
        told = requests.task_event(TaskPhase.RUNNING, attempt=1, second=3)
    else:
        told = requests.task_event(TaskPhase.RUNNING, second=3, phase_version=1)
        told.metadata.external_resources.add(index=7, external_id="whatever", phase=TaskPhase.RUNNING)
    ended = requests.workflow_event(ExecutionPhase.FAILED, second=4)

    async def read_until(news: requests.Reported, request: watch_pb2.TailLogsRequest) -> bytes:
        reading = asyncio.ensure_future(read(admin, request))
        async with asyncio.timeout(5):
            while not clock.sleepers:
                await asyncio.sleep(0)
            assert not reading.done()
            await requests.record(admin, news)
            clock.advance(admin.settings.watch_look_every_s)
            return await reading

    assert await read_until(told, later) == b"begun\n"
    with pytest.raises(NotFound, match="n0/2"):
        await read_until(ended, asked(follow=True, attempt=2))


async def test_of_an_attempt_that_is_over_nobody_waits_for_a_log(admin: AdminPorts) -> None:
    await requests.record(admin, requests.task_event(TaskPhase.SUCCEEDED, second=3))
    with pytest.raises(NotFound, match="has written nothing"):
        await asyncio.wait_for(read(admin, asked(follow=True)), 5)


async def test_a_log_that_was_kept_between_two_looks_is_found(
    admin: AdminPorts, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def removed(namespace: str, pod: str, offset: int, *, follow: bool) -> AsyncGenerator[bytes]:
        await keep(admin, POD, b"just kept\n")
        raise NotFound("pod", pod)
        yield b""

    monkeypatch.setattr(live, "log", removed)
    assert await read(admin, asked()) == b"just kept\n"


async def test_one_reader_too_many_is_refused_and_one_who_leaves_makes_room(admin: AdminPorts, live: Live) -> None:
    live.printed[POD] = b"one\ntwo\n"
    logs = Logs(replace(admin, settings=replace(admin.settings, log_readers_max=1)))
    async with aclosing(logs.tail(asked())) as chunks:
        await anext(chunks)
        with pytest.raises(LimitReached, match="log_readers_max"):
            await anext(logs.tail(asked()))
    async with aclosing(logs.tail(asked())) as chunks:
        await anext(chunks)


async def test_when_nobody_answers_who_runs_the_pod_that_is_said(admin: AdminPorts, live: Live) -> None:
    live.error = Unavailable("propeller")
    with pytest.raises(Unavailable):
        await read(admin, asked())


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (watch_pb2.TailLogsRequest(), InvalidRequest, "execution_id"),
        (asked(offset=-1), InvalidRequest, "offset"),
        (asked(bytes_max=-1), InvalidRequest, "bytes_max"),
        (asked(attempt=1), NotFound, "n0/1"),
        (watch_pb2.TailLogsRequest(id=requests.node_id("n9")), NotFound, "n9"),
        (watch_pb2.TailLogsRequest(id=requests.node_id(name="nobody")), NotFound, "nobody"),
    ],
)
async def test_what_cannot_be_read(
    request_: watch_pb2.TailLogsRequest, error: type[Exception], words: str, admin: AdminPorts
) -> None:
    with pytest.raises(error, match=words):
        await read(admin, request_)
