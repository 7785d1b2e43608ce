"""How fast lists are at two sizes, and how much slower at the larger one; as JSON.

    python bench/lists.py [--sizes 1000 1000000] [--rounds 60] [--store sqlite:////tmp/lists.db]

The rows are inserted straight into admin's tables, which must be empty, and asked for through admin's use cases. For
each query there is the first page, and the one that is as deep as page 1,000, or as deep as the
list is. Tokens lead there; the pages between are not measured. Without --store each size gets a database of its own.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sailplane_admin import executions, named_entities, node_executions, projects, tables, tasks
from sailplane_admin.paging import PAGE_ROWS_MAX
from sailplane_admin.ports import AdminPorts
from sailplane_core.ids import ResourceType
from sailplane_protos.admin import common_pb2, execution_pb2, node_execution_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import Table, insert
from world import show

PROJECT, DOMAIN = "flytesnacks", "development"
KEY = {"execution_project": PROJECT, "execution_domain": DOMAIN}
SCOPE = {"project": PROJECT, "domain": DOMAIN}
PAGE_ROWS, PAGE = 25, 1_000
"""Small pages, so that they are full at the smaller size too."""
NODES = 50
"""Of the execution whose nodes are listed; the newest ones have as many."""
NAMES_MAX = 100_000
WORKFLOWS, VERSIONS = 20, 5
BATCH_ROWS = 20_000
PHASES = ("SUCCEEDED",) * 17 + ("FAILED", "ABORTED", "RUNNING")
SPEC = execution_pb2.ExecutionSpec(launch_plan=identifier_pb2.Identifier(name="w" * 100)).SerializeToString()

Ask = Callable[[int, str], Awaitable[Any]]
"""Asks for a page, by its rows and its token."""


def entity_rows() -> dict[Table, list[dict[str, Any]]]:
    """Some versions of some workflows, each with a launch plan and a task."""
    made: dict[Table, list[dict[str, Any]]] = {tables.tasks: [], tables.workflows: [], tables.launch_plans: []}
    for index in range(WORKFLOWS * VERSIONS):
        row = SCOPE | {"id": index + 1, "name": f"w{index % WORKFLOWS}", "version": f"v{index}", "created_at_us": index}
        described = row | {"short_description": ""}
        made[tables.tasks].append(described | {"type": "container", "task": b""})
        made[tables.workflows].append(described | {"listed": b"", "workflow": b""})
        plan = {"workflow_id": index + 1, "state": 0, "schedule_type": "NONE", "is_implicit": False}
        made[tables.launch_plans].append(row | plan | {"updated_at_us": index, "plan": b""})
    return made


def execution_rows(size: int) -> Iterator[dict[str, Any]]:
    """One a second, of all workflows in turn."""
    for index in range(size):
        created_at_us = index * 1_000_000
        entity = index % (WORKFLOWS * VERSIONS) + 1
        yield KEY | {
            "execution_name": f"e{index}",
            "launch_plan_id": entity,
            "workflow_id": entity,
            "launch_entity": "LAUNCH_PLAN",
            "launch_plan_name": f"w{(entity - 1) % WORKFLOWS}",
            "workflow_name": f"w{(entity - 1) % WORKFLOWS}",
            "phase": PHASES[index * 7 % len(PHASES)],
            "started_at_us": created_at_us,
            "duration_us": 1_000_000,
            "execution_created_at_us": created_at_us,
            "execution_updated_at_us": created_at_us,
            "mode": 0,
            "state": int(index % 20 == 3),
            "cluster": "",
            "user": f"u{index % 20}",
            "inputs_uri": "",
            "user_inputs_uri": "",
            "spec": SPEC,
            "closure": b"",
        }


def node_rows(size: int) -> Iterator[dict[str, Any]]:
    """The nodes of the newest executions, one node for each execution in all."""
    for index in range(size):
        yield KEY | {
            "execution_name": f"e{size - 1 - index // NODES}",
            "node_id": f"n{index % NODES}",
            "phase": "SUCCEEDED",
            "node_execution_created_at_us": index,
            "node_execution_updated_at_us": index,
            "input_uri": "",
            "metadata": b"",
            "closure": b"",
        }


def name_rows(size: int) -> Iterator[dict[str, Any]]:
    """A tenth as many names as executions."""
    for index in range(min(max(size // 10, PAGE_ROWS), NAMES_MAX)):
        times = {"created_at_us": index, "updated_at_us": index}
        yield SCOPE | {"resource_type": ResourceType.TASK, "name": f"t{index}", "description": "", "state": 0} | times


async def fill(ports: AdminPorts, size: int) -> None:
    """As many executions, as many nodes, and names."""
    for table, rows in entity_rows().items():
        await put(ports, table, rows)
    for table, made in {
        tables.executions: execution_rows(size),
        tables.node_executions: node_rows(size),
        tables.named_entities: name_rows(size),
    }.items():
        batch: list[dict[str, Any]] = []
        for row in made:
            batch.append(row)
            if len(batch) == BATCH_ROWS:
                await put(ports, table, batch)
                batch = []
        if batch:
            await put(ports, table, batch)


async def put(ports: AdminPorts, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert them in one commit."""

    def change(transaction: Transaction) -> None:
        transaction.connection.execute(insert(table), rows)

    await ports.store.write(change)


def newest_first() -> common_pb2.Sort:
    """What most clients ask for."""
    return common_pb2.Sort(key="created_at", direction=common_pb2.Sort.DESCENDING)


def asking(ports: AdminPorts, size: int) -> dict[str, Ask]:
    """What Flyte's clients ask for."""
    id = common_pb2.NamedEntityIdentifier(**SCOPE)

    def of_executions(filters: str) -> Ask:
        def ask(limit: int, token: str) -> Awaitable[Any]:
            request = common_pb2.ResourceListRequest(
                id=id, limit=limit, token=token, filters=filters, sort_by=newest_first()
            )
            return executions.list_executions(ports, request)

        return ask

    def of_nodes(limit: int, token: str) -> Awaitable[Any]:
        request = node_execution_pb2.NodeExecutionListRequest(limit=limit, token=token)
        request.workflow_execution_id.project, request.workflow_execution_id.domain = PROJECT, DOMAIN
        request.workflow_execution_id.name = f"e{size - 1}"
        request.sort_by.key, request.sort_by.direction = "created_at", common_pb2.Sort.ASCENDING
        return node_executions.list_nodes(ports, request)

    def of_names(limit: int, token: str) -> Awaitable[Any]:
        request = common_pb2.NamedEntityListRequest(**SCOPE, resource_type=ResourceType.TASK, limit=limit, token=token)
        request.sort_by.key, request.sort_by.direction = "name", common_pb2.Sort.ASCENDING
        return named_entities.list_entities(ports, request)

    def of_ids(limit: int, token: str) -> Awaitable[Any]:
        request = common_pb2.NamedEntityIdentifierListRequest(**SCOPE, limit=limit, token=token)
        return named_entities.list_ids(ports, ResourceType.TASK, request)

    def of_tasks(limit: int, token: str) -> Awaitable[Any]:
        request = common_pb2.ResourceListRequest(id=id, limit=limit, token=token, sort_by=newest_first())
        return tasks.list_tasks(ports, request)

    return {
        "executions": of_executions(""),
        "executions_by_phase": of_executions("eq(phase,SUCCEEDED)"),
        "executions_by_rare_phase": of_executions("eq(phase,RUNNING)"),
        "executions_by_phases": of_executions("value_in(phase,RUNNING;FAILED)"),
        "executions_by_workflow": of_executions("eq(workflow.name,w4)"),
        "executions_by_launch_plan": of_executions("eq(launch_plan.name,w4)"),
        "executions_by_state": of_executions("eq(state,1)"),
        "executions_by_user": of_executions("eq(user,u4)"),
        "nodes_of_an_execution": of_nodes,
        "named_entities": of_names,
        "task_ids": of_ids,
        "tasks": of_tasks,
    }


async def deep(ask: Ask) -> str:
    """The token of page 1,000, or of the last full page before."""
    token, skipped = "", 0
    while skipped < PAGE_ROWS * (PAGE - 1):
        rows = min(PAGE_ROWS_MAX, PAGE_ROWS * (PAGE - 1) - skipped)
        page = await ask(rows, token)
        if not page.token:
            break
        token, skipped = page.token, skipped + rows
    return token


async def measure(ask: Ask, token: str, rounds: int) -> dict[str, float]:
    """Milliseconds of one call after another, after some that warm up."""
    took: list[float] = []
    for number in range(rounds + 3):
        begun = time.perf_counter()
        await ask(PAGE_ROWS, token)
        if number >= 3:
            took.append((time.perf_counter() - begun) * 1e3)
    took.sort()
    return {"p50_ms": round_ms(took[len(took) // 2]), "p99_ms": round_ms(took[len(took) * 99 // 100])}


def round_ms(value_ms: float) -> float:
    """As many digits as mean something."""
    return round(value_ms, 3)


@asynccontextmanager
async def admin(url: str | None) -> AsyncIterator[AdminPorts]:
    """Admin's use cases on an empty database."""
    with tempfile.TemporaryDirectory(prefix="sailplane-bench-") as directory:
        migrations = Path(projects.__file__).parent / "migrations"
        store = await SqlStore.open(url or f"sqlite:///{directory}/admin.db", tables.metadata, migrations=migrations)
        blobs = FileBlobs(Path(directory) / "blobs", UrlSigner(b"s" * 32), SystemClock(), public_base_url="http://x")
        try:
            yield AdminPorts(store, blobs, SystemClock())
        finally:
            await store.close()


async def at_size(size: int, rounds: int, url: str | None) -> dict[str, Any]:
    """Every query at one size."""
    results: dict[str, Any] = {}
    async with admin(url) as ports:
        begun = time.perf_counter()
        await fill(ports, size)
        results["fill_s"] = round(time.perf_counter() - begun, 1)
        for name, ask in asking(ports, size).items():
            begun = time.perf_counter()
            first = await ask(PAGE_ROWS, "")
            slow = time.perf_counter() - begun > 0.5  # it need not be measured often
            few = 5 if slow else rounds
            results[name] = {"first": await measure(ask, "", few)}
            if first.token:
                results[name]["page_1000"] = await measure(ask, await deep(ask), few)
    return results


async def run(sizes: list[int], rounds: int, url: str | None) -> dict[str, Any]:
    """Every size, and how many times slower the largest is than the smallest."""
    found = {str(size): await at_size(size, rounds, url) for size in sizes}
    small, large = found[str(sizes[0])], found[str(sizes[-1])]
    slower = {
        name: {
            page: round(took["p50_ms"] / small[name].get(page, small[name]["first"])["p50_ms"], 2)
            for page, took in pages.items()
        }
        for name, pages in large.items()
        if isinstance(pages, dict)
    }
    return {"page_rows": PAGE_ROWS, "executions": found, "times_slower_p50": slower}


def main() -> None:
    """Run the benchmark and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--store", help="of an empty database, for one size")
    chosen = parser.parse_args()
    if chosen.store and len(chosen.sizes) > 1:
        parser.error("--store takes one of --sizes: the rows of another would be in its way")
    show(asyncio.run(run(chosen.sizes, chosen.rounds, chosen.store)))


if __name__ == "__main__":
    main()
