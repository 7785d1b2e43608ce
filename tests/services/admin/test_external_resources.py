"""The elements of a map: reported in any number of events, recorded one by one, shown in order and within limits."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sailplane_admin import executions, task_executions
from sailplane_admin.ports import AdminPorts
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.admin import task_execution_pb2
from sailplane_protos.event import event_pb2
from sqlalchemy import event as sql_events
from sqlalchemy.engine import Engine

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

Resource = event_pb2.ExternalResourceInfo


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With the execution `x`, whose node `n0` is about to run a map."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    await requests.record(ports, requests.node_event(NodePhase.QUEUED, is_array=True))
    return ports


def told(
    version: int, resources: Iterable[Resource], phase: TaskPhase = TaskPhase.RUNNING, attempt: int = 0
) -> event_pb2.TaskExecutionEvent:
    """An event of the map that tells of some of its elements."""
    made = requests.task_event(phase, attempt=attempt, phase_version=version)
    made.metadata.external_resources.extend(resources)
    return made


def element(index: int, phase: TaskPhase, attempt: int = 0, **more: Any) -> Resource:
    return Resource(index=index, retry_attempt=attempt, phase=phase.value, **more)


async def shown(ports: AdminPorts, attempt: int = 0) -> list[Resource]:
    """What GetTaskExecution shows."""
    request = task_execution_pb2.TaskExecutionGetRequest()
    request.id.task_id.CopyFrom(registry.task_id("double"))
    request.id.node_execution_id.CopyFrom(requests.node_id())
    request.id.retry_attempt = attempt
    return list((await task_executions.get(ports, request)).closure.metadata.external_resources)


async def listed(ports: AdminPorts) -> list[list[Resource]]:
    """What ListTaskExecutions shows of each attempt."""
    request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=requests.node_id(), limit=100)
    found = (await task_executions.list_attempts(ports, request)).task_executions
    return [list(attempt.closure.metadata.external_resources) for attempt in found]


def brief(resources: Iterable[Resource]) -> list[tuple[int, int, int, str]]:
    return [(one.index, one.retry_attempt, one.phase, one.external_id) for one in resources]


async def test_elements_are_merged_by_index_and_attempt(admin: AdminPorts) -> None:
    first = [element(1, TaskPhase.QUEUED, external_id="one"), element(0, TaskPhase.FAILED)]
    second = [element(0, TaskPhase.RUNNING, attempt=1), element(1, TaskPhase.RUNNING)]
    assert await requests.record(admin, told(0, first)) == []
    assert await requests.record(admin, told(1, second)) == []
    wanted = [
        (0, 0, TaskPhase.FAILED, ""),
        (0, 1, TaskPhase.RUNNING, ""),
        (1, 0, TaskPhase.RUNNING, "one"),
    ]
    assert brief(await shown(admin)) == wanted
    assert [brief(resources) for resources in await listed(admin)] == [wanted]


async def test_one_batch_gives_what_many_give(admin: AdminPorts) -> None:
    batches = [
        told(0, [element(0, TaskPhase.QUEUED, external_id="zero")]),
        told(1, [element(0, TaskPhase.RUNNING), element(1, TaskPhase.RUNNING)]),
        told(2, [element(1, TaskPhase.SUCCEEDED)]),
    ]
    await requests.record(admin, *batches)
    assert brief(await shown(admin)) == [(0, 0, TaskPhase.RUNNING, "zero"), (1, 0, TaskPhase.SUCCEEDED, "")]


async def test_what_is_late_or_repeated_tells_nothing(admin: AdminPorts) -> None:
    await requests.record(admin, told(0, [element(0, TaskPhase.QUEUED)]), told(1, [element(0, TaskPhase.RUNNING)]))
    assert len(await requests.record(admin, told(0, [element(0, TaskPhase.QUEUED), element(1, TaskPhase.QUEUED)]))) == 1
    assert brief(await shown(admin)) == [(0, 0, TaskPhase.RUNNING, "")]


async def test_attempts_have_elements_of_their_own(admin: AdminPorts) -> None:
    await requests.record(admin, told(0, [element(0, TaskPhase.FAILED)], TaskPhase.FAILED))
    await requests.record(admin, told(0, [element(0, TaskPhase.RUNNING)], attempt=1))
    assert brief(await shown(admin)) == [(0, 0, TaskPhase.FAILED, "")]
    assert brief(await shown(admin, attempt=1)) == [(0, 0, TaskPhase.RUNNING, "")]


async def test_a_reply_shows_the_first_and_a_list_shares_between_its_attempts(admin: AdminPorts) -> None:
    limited = replace(admin, settings=replace(admin.settings, external_resources_max=4))
    elements = [element(index, TaskPhase.SUCCEEDED) for index in reversed(range(6))]
    await requests.record(admin, told(0, elements), told(0, elements, attempt=1))
    assert [one.index for one in await shown(limited)] == [0, 1, 2, 3]
    assert [[one.index for one in resources] for resources in await listed(limited)] == [[0, 1], [0, 1]]
    assert len(await shown(admin)) == 6


async def test_a_reply_is_not_larger_than_clients_take(admin: AdminPorts) -> None:
    limited = replace(admin, settings=replace(admin.settings, external_resources_bytes_max=1000))
    await requests.record(
        admin, told(0, [element(index, TaskPhase.RUNNING, external_id="x" * 400) for index in range(9)])
    )
    assert [one.index for one in await shown(limited)] == [0, 1, 2]


@contextmanager
def bytes_written() -> Iterator[list[int]]:
    """How much each statement's parameters hold."""
    sizes: list[int] = []

    def count(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith(("INSERT", "UPDATE")):
            rows = parameters if many else [parameters]
            sizes.append(
                sum(len(value) for row in rows for value in row if isinstance(value, bytes | memoryview | str))
            )

    sql_events.listen(Engine, "before_cursor_execute", count)
    try:
        yield sizes
    finally:
        sql_events.remove(Engine, "before_cursor_execute", count)


async def test_what_an_event_writes_does_not_grow_with_the_map(admin: AdminPorts) -> None:
    """50,000 elements are told in batches of 500, and the last of them once more in another phase."""
    batches = [(TaskPhase.RUNNING, first) for first in range(0, 50_000, 500)]
    batches += [(TaskPhase.SUCCEEDED, first) for first in range(45_000, 50_000, 500)]
    per_event: list[int] = []
    for version, (phase, first) in enumerate(batches):
        elements = [element(index, phase, external_id=f"x-n0-n{index}-0") for index in range(first, first + 500)]
        with bytes_written() as sizes:
            assert await requests.record(admin, told(version, elements)) == []
        per_event.append(sum(sizes))
    assert min(per_event) > 500 * 15
    assert max(per_event) < 500 * 25
    assert len(await shown(admin)) == admin.settings.external_resources_max


async def test_telling_of_one_element_does_not_look_at_the_others(admin: AdminPorts) -> None:
    """What SQLite says of the query that finds the recorded elements: it goes by the element too, not only the map."""
    await requests.record(admin, told(0, [element(0, TaskPhase.QUEUED)]))
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith("SELECT external_resources"):
            asked.append((statement, parameters))

    sql_events.listen(Engine, "before_cursor_execute", note)
    await requests.record(admin, told(1, [element(0, TaskPhase.RUNNING)]))
    sql_events.remove(Engine, "before_cursor_execute", note)
    [(statement, parameters)] = asked
    plan = await admin.store.read(
        lambda connection: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    )
    assert "task_execution_id=? AND item=?" in str(plan)


async def test_elements_that_were_left_open_end_with_their_execution(admin: AdminPorts) -> None:
    """The engine tells no more of them when its own record makes no sense any more."""
    elements = [element(0, TaskPhase.SUCCEEDED), element(1, TaskPhase.RUNNING), element(2, TaskPhase.QUEUED)]
    assert await requests.record(admin, requests.workflow_event(ExecutionPhase.RUNNING), told(0, elements)) == []
    assert await requests.record(admin, requests.workflow_event(ExecutionPhase.ABORTED)) == []
    phases = [TaskPhase(one.phase) for one in await shown(admin)]
    assert phases == [TaskPhase.SUCCEEDED, TaskPhase.ABORTED, TaskPhase.ABORTED]
