"""Watching an execution: what is told, in which order, from where one may go on, and to how many."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sailplane_admin import executions, projects
from sailplane_admin.ports import AdminPorts
from sailplane_admin.tables import metadata
from sailplane_admin.watching import Watching
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.admin import execution_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.watch import service_pb2 as watch_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.sql import SqlStore

from services.admin import execution_requests as requests

RUN: Sequence[requests.Reported] = (
    requests.workflow_event(ExecutionPhase.RUNNING, 0),
    requests.node_event(NodePhase.QUEUED, second=1, input_uri="in"),
    requests.task_event(TaskPhase.QUEUED, second=1),
    requests.node_event(NodePhase.RUNNING, second=2),
    requests.node_event(NodePhase.RUNNING, "inner", second=2, parent="n0"),
    requests.task_event(TaskPhase.RUNNING, second=3),
    requests.task_event(TaskPhase.FAILED, second=4),
    requests.task_event(TaskPhase.RUNNING, attempt=1, second=5),
    requests.task_event(TaskPhase.SUCCEEDED, attempt=1, second=6),
    requests.node_event(NodePhase.SUCCEEDED, "inner", second=6, parent="n0"),
    requests.node_event(NodePhase.SUCCEEDED, second=6, output_uri="out"),
    requests.workflow_event(ExecutionPhase.SUCCEEDING, 7),
    requests.workflow_event(ExecutionPhase.SUCCEEDED, 8, output_uri="result"),
)


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With one execution, `x`."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    return ports


async def record(ports: AdminPorts, *reported: requests.Reported, rings: bool = True) -> None:
    assert await requests.record(ports, *reported) == []
    if rings:
        ports.changes.publish([requests.KEY])


def asked(version: int = 0, name: str = "x") -> watch_pb2.WatchExecutionRequest:
    return watch_pb2.WatchExecutionRequest(id=requests.execution_id(name), resume_version=version)


def with_settings(ports: AdminPorts, **changed: Any) -> AdminPorts:
    return replace(ports, settings=replace(ports.settings, **changed))


Pages = AsyncGenerator[watch_pb2.WatchExecutionResponse]


async def soon(pages: Pages) -> watch_pb2.WatchExecutionResponse:
    return await asyncio.wait_for(anext(pages), 5)


@dataclass
class Picture:
    """What a client knows of an execution: whatever was told last of everything."""

    version: int = 0
    execution: execution_pb2.Execution | None = None
    nodes: dict[str, watch_pb2.WatchedNode] = field(default_factory=dict[str, watch_pb2.WatchedNode])
    attempts: dict[tuple[str, int], Any] = field(default_factory=dict[tuple[str, int], Any])
    has_ended: bool = False

    def hear(self, page: watch_pb2.WatchExecutionResponse) -> None:
        assert page.version >= self.version
        self.version, self.has_ended = page.version, page.has_ended
        if page.HasField("execution"):
            self.execution = page.execution
        self.nodes |= {node.node_execution.id.node_id: node for node in page.nodes}
        self.attempts |= {
            (attempt.id.node_execution_id.node_id, attempt.id.retry_attempt): attempt
            for attempt in page.task_executions
        }

    async def hear_all(self, pages: Pages) -> "Picture":
        async with aclosing(pages):
            async for page in pages:
                self.hear(page)
        return self


async def test_an_execution_that_is_over_is_told_in_whole_and_the_watch_ends(admin: AdminPorts) -> None:
    await record(admin, *RUN)
    picture = await Picture().hear_all(Watching(admin).watch(asked()))
    assert picture.has_ended
    assert picture.execution == await executions.get(admin, requests.get())
    assert {id: node.parent_node_id for id, node in picture.nodes.items()} == {"n0": "", "inner": "n0"}
    assert picture.nodes["n0"].node_execution.closure.output_uri == "out"
    assert {key: one.closure.phase for key, one in picture.attempts.items()} == {
        ("n0", 0): TaskPhase.FAILED,
        ("n0", 1): TaskPhase.SUCCEEDED,
    }


async def test_each_change_is_told_when_it_is_committed(admin: AdminPorts) -> None:
    async with aclosing(Watching(admin).watch(asked())) as pages:
        first = await soon(pages)
        assert (first.version, first.is_current, first.has_ended) == (1, True, False)
        assert first.execution == await executions.get(admin, requests.get())
        told: list[tuple[Any, ...]] = []
        for event in RUN:
            await record(admin, event)
            page = await soon(pages)
            assert page.is_current
            told.append(
                (
                    page.execution.closure.phase if page.HasField("execution") else None,
                    [node.node_execution.closure.phase for node in page.nodes],
                    [attempt.closure.phase for attempt in page.task_executions],
                )
            )
        assert page.has_ended
        with pytest.raises(StopAsyncIteration):
            await soon(pages)
    expected: list[tuple[Any, ...]] = []
    for event in RUN:
        match event:
            case event_pb2.WorkflowExecutionEvent():
                expected.append((event.phase, [], []))
            case event_pb2.NodeExecutionEvent():
                expected.append((None, [event.phase], []))
            case event_pb2.TaskExecutionEvent():
                expected.append((None, [], [event.phase]))
    assert told == expected


async def test_who_has_heard_all_is_told_so_and_no_more(admin: AdminPorts) -> None:
    await record(admin, *RUN)
    heard = await Picture().hear_all(Watching(admin).watch(asked()))
    [page] = [page async for page in Watching(admin).watch(asked(heard.version))]
    assert page == watch_pb2.WatchExecutionResponse(version=heard.version, is_current=True, has_ended=True)


@given(
    cuts=st.lists(st.integers(0, len(RUN)), max_size=4).map(sorted),
    rows_max=st.integers(1, 4),
    heard=st.lists(st.integers(1, 4), min_size=8, max_size=8),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whenever_one_breaks_off_going_on_gives_the_same_in_the_end(
    cuts: list[int], rows_max: int, heard: list[int], tmp_path_factory: pytest.TempPathFactory, ports: AdminPorts
) -> None:
    """Batches of events as `cuts` divide them; before each, a client hears some pages and breaks off."""
    store = await SqlStore.open(f"sqlite:///{tmp_path_factory.mktemp('watch')}/admin.db", metadata)
    admin = with_settings(replace(ports, store=store), watch_rows_max=rows_max)
    try:
        await fresh(admin)
        often = Picture()
        bounds = [0, *cuts, len(RUN)]
        for count, (begin, end) in zip(heard, pairwise(bounds), strict=False):
            async with aclosing(Watching(admin).watch(asked(often.version))) as pages:
                for _ in range(count):
                    often.hear(page := await soon(pages))
                    if page.is_current:
                        break
            if end > begin:
                await record(admin, *RUN[begin:end])
        await often.hear_all(Watching(admin).watch(asked(often.version)))
        assert often == await Picture().hear_all(Watching(admin).watch(asked()))
        assert often.has_ended
    finally:
        await store.close()


async def fresh(admin: AdminPorts) -> None:
    await projects.ensure_defaults(admin)
    await requests.register(admin)
    await executions.create(admin, requests.create())


async def test_a_version_holds_after_a_restart(admin: AdminPorts, tmp_path: Path) -> None:
    await record(admin, *RUN[:4])
    async with aclosing(Watching(admin).watch(asked())) as pages:
        version = (await soon(pages)).version
    await record(admin, *RUN[4:6])
    again = await SqlStore.open(f"sqlite:///{tmp_path}/admin.db", metadata)
    try:
        async with aclosing(Watching(replace(admin, store=again)).watch(asked(version))) as pages:
            page = await soon(pages)
        assert [node.node_execution.id.node_id for node in page.nodes] == ["inner"]
        assert [one.closure.phase for one in page.task_executions] == [TaskPhase.RUNNING]
        assert not page.HasField("execution")
    finally:
        await again.close()


async def test_messages_are_bounded_and_each_can_be_resumed_from(admin: AdminPorts) -> None:
    nodes = [requests.node_event(NodePhase.QUEUED, f"n{number}", second=1) for number in range(25)]
    await record(admin, RUN[0], *nodes)
    watching = Watching(with_settings(admin, watch_rows_max=10))
    async with aclosing(watching.watch(asked())) as pages:
        told = [await soon(pages) for _ in range(3)]
    assert [(len(page.nodes), page.is_current) for page in told] == [(10, False), (10, False), (5, True)]
    assert [page.HasField("execution") for page in told] == [True, False, True]  # its own change is the last
    async with aclosing(watching.watch(asked(told[0].version))) as pages:
        assert (await soon(pages)).nodes == told[1].nodes


async def test_a_message_is_closed_when_it_has_its_bytes(admin: AdminPorts) -> None:
    nodes = [requests.node_event(NodePhase.QUEUED, f"n{number}", second=1) for number in range(3)]
    await record(admin, *nodes)
    async with aclosing(Watching(with_settings(admin, watch_bytes_max=1)).watch(asked())) as pages:
        assert [len((await soon(pages)).nodes) for _ in range(3)] == [1, 1, 1]


async def test_of_external_resources_the_first_are_shown(admin: AdminPorts) -> None:
    event = requests.task_event(TaskPhase.RUNNING, second=2)
    for index in range(5):
        event.metadata.external_resources.add(index=index, external_id=f"item {index}", phase=TaskPhase.RUNNING)
    await record(admin, requests.node_event(NodePhase.RUNNING, second=1), event)
    async with aclosing(Watching(with_settings(admin, watch_resources_max=3)).watch(asked())) as pages:
        [attempt] = (await soon(pages)).task_executions
    assert [one.index for one in attempt.closure.metadata.external_resources] == [0, 1, 2]


async def test_a_slow_watcher_is_told_the_latest_once(admin: AdminPorts) -> None:
    async with aclosing(Watching(admin).watch(asked())) as pages:
        await soon(pages)
        for event in RUN:
            await record(admin, event)
        page = await soon(pages)
        assert page.has_ended
        assert sorted(node.node_execution.id.node_id for node in page.nodes) == ["inner", "n0"]
        assert len(page.task_executions) == 2


async def test_what_a_request_changes_is_told_too(admin: AdminPorts) -> None:
    async with aclosing(Watching(admin).watch(asked())) as pages:
        await soon(pages)
        abort = execution_pb2.ExecutionTerminateRequest(id=requests.execution_id(), cause="no")
        await executions.terminate(admin, abort)
        page = await soon(pages)
        assert page.execution.closure.phase == ExecutionPhase.ABORTING
        update = execution_pb2.ExecutionUpdateRequest(
            id=requests.execution_id(), state=execution_pb2.EXECUTION_ARCHIVED
        )
        await executions.update_state(admin, update)
        assert (await soon(pages)).execution.closure.state_change_details.state == execution_pb2.EXECUTION_ARCHIVED


async def test_what_another_admin_has_recorded_is_found_within_a_second(admin: AdminPorts, clock: ManualClock) -> None:
    async with aclosing(Watching(admin).watch(asked())) as pages:
        await soon(pages)
        await record(admin, RUN[0], rings=False)
        waiting = asyncio.ensure_future(anext(pages))
        await asleep(clock)
        assert not waiting.done()
        clock.advance(admin.settings.watch_look_every_s)
        assert (await asyncio.wait_for(waiting, 5)).execution.closure.phase == ExecutionPhase.RUNNING


async def asleep(clock: ManualClock) -> None:
    """Until somebody waits for the clock."""
    async with asyncio.timeout(5):
        while not clock.sleepers:
            await asyncio.sleep(0)


async def test_silence_is_broken_by_messages_without_news(admin: AdminPorts, clock: ManualClock) -> None:
    async with aclosing(Watching(admin).watch(asked())) as pages:
        first = await soon(pages)
        waiting = asyncio.ensure_future(anext(pages))
        elapsed_s = 0.0
        while not waiting.done():
            await asleep(clock)
            clock.advance(1)
            elapsed_s += 1
            for _ in range(50):
                await asyncio.sleep(0)
        assert await waiting == watch_pb2.WatchExecutionResponse(version=first.version, is_current=True)
        assert 1 < elapsed_s <= admin.settings.watch_heartbeat_s


async def test_many_watchers_share_one_read(admin: AdminPorts, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(admin)
    watches = [watching.watch(asked()) for _ in range(20)]
    await asyncio.gather(*map(soon, watches))
    reads = 0
    read = admin.store.read

    async def counted(query: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(query)

    monkeypatch.setattr(admin.store, "read", counted)
    waiting = [asyncio.ensure_future(soon(pages)) for pages in watches]
    await asyncio.sleep(0.01)
    reads = 0
    await record(admin, RUN[0])
    told = await asyncio.gather(*waiting)
    assert {page.execution.closure.phase for page in told} == {ExecutionPhase.RUNNING}
    assert reads == 1
    for pages in watches:
        await pages.aclose()


async def test_one_watcher_too_many_is_refused_and_one_who_leaves_makes_room(admin: AdminPorts) -> None:
    watching = Watching(with_settings(admin, watchers_max=1))
    async with aclosing(watching.watch(asked())) as pages:
        await soon(pages)
        with pytest.raises(LimitReached, match="watchers_max"):
            await soon(watching.watch(asked()))
    async with aclosing(watching.watch(asked())) as pages:
        await soon(pages)
    looking = [task for task in asyncio.all_tasks() if task.get_name().startswith("watching")]
    assert all(task.cancelling() for task in looking)


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (watch_pb2.WatchExecutionRequest(), InvalidRequest, "missing project"),
        (
            watch_pb2.WatchExecutionRequest(
                id=identifier_pb2.WorkflowExecutionIdentifier(project="flytesnacks", domain="development")
            ),
            InvalidRequest,
            "missing name",
        ),
        (asked(-1), InvalidRequest, "resume_version"),
        (asked(2), InvalidRequest, "resume_version"),
        (asked(name="nobody"), NotFound, "nobody"),
    ],
)
async def test_what_cannot_be_watched(
    request_: watch_pb2.WatchExecutionRequest, error: type[Exception], words: str, admin: AdminPorts
) -> None:
    with pytest.raises(error, match=words):
        await soon(Watching(admin).watch(request_))
