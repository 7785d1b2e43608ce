"""Pages under changes: every row that was there all along is shown exactly once, whatever comes and goes meanwhile."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sailplane_admin import executions, projects, tables, tasks
from sailplane_admin.cache import KeyCache
from sailplane_admin.listing import SORTED_CHARS_MAX
from sailplane_admin.ports import AdminPorts
from sailplane_admin.tables import metadata
from sailplane_core.errors import InvalidRequest
from sailplane_protos.admin import common_pb2, project_pb2
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import delete

from services.admin import list_rows
from services.admin import registry_requests as registry

NAMES_OF_ROUNDS = itertools.count()
SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "created_at": lambda row: row["execution_created_at_us"],
    "execution_name": lambda row: row["execution_name"],
    "phase": lambda row: row["phase"],
    "started_at": lambda row: row["started_at_us"],
    "duration": lambda row: row["duration_us"],
    "error_code": lambda row: row["error_code"],
    "abort_cause": lambda row: row["abort_cause"],
    "parent_node_execution": lambda row: None,
}
"""By a key, the value that rows are ordered by. Most have equal ones, and none at all."""
FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "": lambda row: True,
    "eq(phase,FAILED)": lambda row: row["phase"] == "FAILED",
    "value_in(phase,FAILED;RUNNING)": lambda row: row["phase"] in ("FAILED", "RUNNING"),
    "gt(duration,0.000001)": lambda row: (row["duration_us"] or 0) > 1,
    "ne(error_code,b)": lambda row: row["error_code"] not in (None, "b"),
    "value_not_in(error_code,b;c)": lambda row: row["error_code"] not in (None, "b", "c"),
}


def some_row(random: Random) -> dict[str, Any]:
    return list_rows.EXECUTION | {
        "execution_name": f"e{random.randrange(10**9)}-{next(NAMES_OF_ROUNDS)}",
        "execution_created_at_us": random.randrange(5),
        "phase": random.choice(["FAILED", "RUNNING", "SUCCEEDED"]),
        "started_at_us": random.choice([None, 0, 1, -1]),
        "duration_us": random.choice([None, 1, 2]),
        "error_code": random.choice([None, "", "b", "c", "ü" * 255, '"\\\x01']),
        "abort_cause": random.choice([None, "why", "x" * 300 + "a", "x" * 300 + "b"]),
    }


def in_order(rows: Sequence[dict[str, Any]], key: str, *, ascending: bool) -> list[str]:
    """The names by this key, null greater than everything, equal ones by age."""

    def by(numbered: tuple[int, dict[str, Any]]) -> tuple[bool, Any, int]:
        row_id, row = numbered
        value = SORTS[key](row)
        return value is None, value[:SORTED_CHARS_MAX] if isinstance(value, str) else value, row_id

    return [row["execution_name"] for _, row in sorted(enumerate(rows), key=by, reverse=not ascending)]


@pytest.mark.parametrize("seed", range(120))
async def test_what_stays_is_shown_once_and_in_order(ports: AdminPorts, seed: int) -> None:
    random = Random(seed)
    key, filters = random.choice(list(SORTS)), random.choice(list(FILTERS))
    ascending = random.random() < 0.5
    limit = random.randrange(1, 7)
    kept = [some_row(random) for _ in range(random.randrange(40))]
    await list_rows.put(ports, tables.executions, kept)
    doomed = [some_row(random) for _ in range(20)]
    await list_rows.put(ports, tables.executions, doomed)
    request = list_rows.executions(limit, filters=filters)
    request.sort_by.key = key
    request.sort_by.direction = common_pb2.Sort.ASCENDING if ascending else common_pb2.Sort.DESCENDING
    shown: list[str] = []
    for pages in itertools.count(1):
        page = await executions.list_executions(ports, request)
        assert len(page.executions) <= limit
        shown += [one.id.name for one in page.executions]
        if not page.token:
            assert len(page.executions) < limit
            break
        assert len(page.executions) == limit
        assert pages < 200
        request.token = page.token
        if pages < 30:  # rows come and go, before and behind what was shown
            await list_rows.put(ports, tables.executions, [some_row(random) for _ in range(random.randrange(3))])
        gone = [row["execution_name"] for row in doomed if random.random() < 0.3]
        await remove(ports, gone)
    assert len(set(shown)) == len(shown)
    names = {row["execution_name"] for row in kept}
    wanted = in_order([row for row in kept if FILTERS[filters](row)], key, ascending=ascending)
    assert [name for name in shown if name in names] == wanted


async def remove(ports: AdminPorts, names: Sequence[str]) -> None:
    def change(transaction: Transaction) -> None:
        transaction.connection.execute(
            delete(tables.executions).where(tables.executions.c.execution_name.in_(list(names)))
        )

    await ports.store.write(change)


async def some_tasks(ports: AdminPorts) -> common_pb2.ResourceListRequest:
    for name in "abc":
        await tasks.create(ports, registry.task(name))
    return registry.versions(limit=1)


async def test_a_token_is_good_for_the_request_it_is_from_only(ports: AdminPorts) -> None:
    request = await some_tasks(ports)
    token = (await tasks.list_tasks(ports, request)).token
    for changed in (
        registry.versions("a", limit=1, token=token),
        registry.versions(limit=1, token=token, filters="ne(name,b)"),
        registry.versions(limit=1, token=token, sort_by="name"),
        registry.versions(limit=1, token=token, sort_by="created_at", ascending=True),
    ):
        with pytest.raises(InvalidRequest, match="invalid pagination token"):
            await tasks.list_tasks(ports, changed)
    with pytest.raises(InvalidRequest, match="invalid pagination token"):
        await executions.list_executions(ports, registry.versions(limit=1, token=token))
    longer = await tasks.list_tasks(ports, registry.versions(limit=5, token=token))
    assert [task.id.name for task in longer.tasks] == ["b", "c"]


async def test_tokens_hold_in_every_process_and_after_a_restart(ports: AdminPorts) -> None:
    request = await some_tasks(ports)
    request.token = (await tasks.list_tasks(ports, request)).token
    again = replace(ports, page_key=KeyCache())
    assert [task.id.name for task in (await tasks.list_tasks(again, request)).tasks] == ["b"]


async def test_tokens_of_another_installation_are_refused(ports: AdminPorts, tmp_path: Any) -> None:
    request = await some_tasks(ports)
    request.token = (await tasks.list_tasks(ports, request)).token
    store = await SqlStore.open(f"sqlite:///{tmp_path}/other.db", metadata)
    try:
        with pytest.raises(InvalidRequest, match="invalid pagination token"):
            await tasks.list_tasks(replace(ports, store=store, page_key=KeyCache()), request)
    finally:
        await store.close()


async def test_projects_are_turned_by_their_ids(ports: AdminPorts) -> None:
    for id in "cab":
        project = project_pb2.Project(id=id, name="the same")
        await projects.register(ports, project_pb2.ProjectRegisterRequest(project=project))
    for key in ("", "name", "identifier"):
        request = project_pb2.ProjectListRequest(limit=1, filters="eq(name,the same)")
        if key:
            request.sort_by.key, request.sort_by.direction = key, common_pb2.Sort.ASCENDING
        ids: list[str] = []
        while True:
            page = await projects.list_projects(ports, request)
            ids += [project.id for project in page.projects]
            if not page.token:
                break
            request.token = page.token
        assert ids == ["a", "b", "c"]


async def test_a_page_is_closed_before_it_is_too_large_for_clients(ports: AdminPorts) -> None:
    names = [f"t{number}" for number in range(6)]
    for name, megabytes in zip(names, (1, 1, 5, 1, 1, 0), strict=True):
        registered = registry.task(name)
        registered.spec.template.container.args.append("x" * megabytes * 1_000_000)
        await tasks.create(ports, registered)
    pages: list[list[str]] = []
    request = registry.versions(limit=100)
    while not pages or request.token:
        page = await tasks.list_tasks(ports, request)
        pages.append([task.id.name for task in page.tasks])
        request.token = page.token
    assert pages == [["t0", "t1"], ["t2"], ["t3", "t4", "t5"]]
