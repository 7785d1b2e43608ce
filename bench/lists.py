"""How fast lists are at two sizes, and how much slower at the larger one; as JSON.

    python bench/lists.py [--sizes 1000 1000000] [--rounds 300] [--database sqlite postgresql]

The rows are inserted straight into admin's tables and asked for through admin's use cases; each size has a database of
its own. For each query there is the first page, and the one that is as deep as page 1,000, or as deep as the list is.
Tokens lead there; the pages between are not measured. The sizes take turns, call by call, in an order by chance.
`p50_ms` and `p99_ms` are what a caller waits; `cpu_ms` is what a call costs, on this side and the server's together,
which says more where the machine has other things to do. `times` compares the last size with the first.

PostgreSQL is started by the benchmark (`bench/postgresql.py`), and left out where there is none.
"""

import argparse
import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

from postgresql import PostgresqlStore, programs, server
from sailplane_admin import executions, named_entities, node_executions, projects, tables, tasks
from sailplane_admin.paging import PAGE_ROWS_MAX
from sailplane_admin.ports import AdminPorts
from sailplane_core.ids import ResourceType
from sailplane_protos.admin import common_pb2, execution_pb2, node_execution_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.store.port import Store, Transaction
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import Table, insert
from world import show

DATABASES = ("sqlite", "postgresql")
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
WARM_ROUNDS = 12
"""PostgreSQL settles for a plan after ten calls."""
SLOW_S, SLOW_ROUNDS = 0.5, 5
"""What takes so long need not be measured often."""
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


async def fill(ports: AdminPorts, size: int) -> float:
    """As many executions, as many nodes, and names. Gives the seconds it took."""
    begun = time.perf_counter()
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
    return round(time.perf_counter() - begun, 1)


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
    """The token of page 1,000, or of the last full page before; "" if that is the first."""
    token, skipped, step = "", 0, PAGE_ROWS_MAX
    while skipped < PAGE_ROWS * (PAGE - 1):
        rows = min(step, PAGE_ROWS * (PAGE - 1) - skipped)
        after = (await ask(rows, token)).token
        if after and (await ask(PAGE_ROWS, after)).token:  # a full page follows
            token, skipped = after, skipped + rows
        elif step > PAGE_ROWS:
            step = PAGE_ROWS
        else:
            break
    return token


@dataclass(frozen=True, slots=True)
class Side:
    """Admin's use cases on a database of one size. `server_cpu_s` is what a process other than this one has used."""

    size: int
    ports: AdminPorts
    server_cpu_s: Callable[[], float]
    fill_s: float


@dataclass(slots=True)
class Calls:
    """Calls for one page, and what they took."""

    ask: Ask
    token: str
    server_cpu_s: Callable[[], float]
    took_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    async def call(self) -> None:
        """One more."""
        cpu_s, begun = time.process_time(), time.perf_counter()
        await self.ask(PAGE_ROWS, self.token)
        self.took_s.append(time.perf_counter() - begun)
        self.cpu_s += time.process_time() - cpu_s

    def figures(self) -> dict[str, float]:
        """Milliseconds of a call."""
        took = sorted(self.took_s)
        return {
            "p50_ms": round(took[len(took) // 2] * 1e3, 3),
            "p99_ms": round(took[len(took) * 99 // 100] * 1e3, 3),
            "cpu_ms": round(self.cpu_s / len(took) * 1e3, 3),
        }


async def measure(pages: Sequence[Calls], rounds: int) -> list[dict[str, float]]:
    """Some that warm up; then each page in turn, so that whatever else the machine does befalls all of them."""
    warming = min(WARM_ROUNDS, rounds)
    for page in pages:
        begun = time.perf_counter()
        for _ in range(warming):
            await page.ask(PAGE_ROWS, page.token)
        if time.perf_counter() - begun > warming * SLOW_S:
            rounds = SLOW_ROUNDS
    for page in pages:
        page.cpu_s = -page.server_cpu_s()
    random = Random(0)
    for _ in range(rounds):
        for page in random.sample(pages, len(pages)):  # in step with the scheduler, one would always be interrupted
            await page.call()
    for page in pages:
        page.cpu_s += page.server_cpu_s()
    return [page.figures() for page in pages]


@asynccontextmanager
async def on_sqlite(size: int) -> AsyncIterator[Side]:
    """A file of its own."""
    with tempfile.TemporaryDirectory(prefix="sailplane-bench-") as directory:
        migrations = Path(projects.__file__).parent / "migrations"
        store = await SqlStore.open(f"sqlite:///{directory}/admin.db", tables.metadata, migrations=migrations)
        try:
            ports = admin(store)
            yield Side(size, ports, lambda: 0.0, await fill(ports, size))
        finally:
            await store.close()


@asynccontextmanager
async def on_postgresql(socket: Path, size: int) -> AsyncIterator[Side]:
    """A database of its own on one server."""
    store = await PostgresqlStore.open(socket, f"executions_{size}", tables.metadata)
    try:
        ports = admin(cast("Store", store))
        fill_s = await fill(ports, size)
        await store.tidy()
        yield Side(size, ports, store.cpu_s, fill_s)
    finally:
        await store.close()


def admin(store: Store) -> AdminPorts:
    """Admin's use cases. Lists have nothing to do with blobs."""
    blobs = FileBlobs(Path("/nonexistent"), UrlSigner(b"s" * 32), SystemClock(), public_base_url="http://x")
    return AdminPorts(store, blobs, SystemClock())


async def compare(sides: Sequence[Side], rounds: int) -> dict[str, Any]:
    """Every query at every size, and how many times slower the last size is than the first."""
    lists: dict[str, Any] = {}
    asks = [asking(side.ports, side.size) for side in sides]
    for name in asks[0]:
        lists[name] = {}
        for page in ("first", "page_1000"):
            tokens = ["" if page == "first" else await deep(of_size[name]) for of_size in asks]
            if page != "first" and not tokens[-1]:
                continue  # one page is all there is
            found = await measure(
                [
                    Calls(of_size[name], token, side.server_cpu_s)
                    for side, of_size, token in zip(sides, asks, tokens, strict=True)
                ],
                rounds,
            )
            lists[name][page] = {str(side.size): figures for side, figures in zip(sides, found, strict=True)}
            lists[name][page]["times"] = {
                key.removesuffix("_ms"): round(found[-1][key] / found[0][key], 2) for key in found[0]
            }
    return {"fill_s": {str(side.size): side.fill_s for side in sides}, "lists": lists}


async def run(database: str, sizes: Sequence[int], rounds: int) -> dict[str, Any] | str:
    """All sizes on one kind of database."""
    with ExitStack() as stack:
        if database == "postgresql":
            found = programs()
            if found is None:
                return "not measured: there is no PostgreSQL on this machine"
            socket = stack.enter_context(server(found))
        async with AsyncExitStack() as opened:
            sides = [
                await opened.enter_async_context(
                    on_sqlite(size) if database == "sqlite" else on_postgresql(socket, size)
                )
                for size in sizes
            ]
            return await compare(sides, rounds)


def main() -> None:
    """Run the benchmark and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--database", choices=DATABASES, nargs="+", default=DATABASES)
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is ended then too
    results = {name: asyncio.run(run(name, chosen.sizes, chosen.rounds)) for name in chosen.database}
    show({"page_rows": PAGE_ROWS, "rounds": chosen.rounds, **results})


if __name__ == "__main__":
    main()
