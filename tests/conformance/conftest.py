"""What the conformance suites run on: each fixture gives every implementation of its port in turn.

A new implementation is one more entry in the dictionary of its port. What only some can do is a trait: a test that
asks for one with `@pytest.mark.needs("trait")` is skipped where an implementation does not have it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from sailplane_core.ports import BlobStore, Clock, Queue
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import ManualClock, SystemClock
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.port import Store
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

if TYPE_CHECKING:
    from conformance.pods_world import PodWorld

T = TypeVar("T")

PATIENCE_S = 20.0
"""How long a test waits for what must happen, before it says that it does not."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*traits): what the implementation must be able to do")


def _check_traits(request: pytest.FixtureRequest, traits: frozenset[str]) -> None:
    for marker in request.node.iter_markers("needs"):
        if missing := set(marker.args) - traits:
            pytest.skip(f"{request.node.callspec.id} has no {', '.join(sorted(missing))}")


async def soon(awaitable: Awaitable[T]) -> T:
    """Its result, which must not take long."""
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


# Clock


@dataclass(frozen=True)
class ClockWorld:
    clock: Clock
    traits: frozenset[str]


CLOCKS: dict[str, Callable[[], ClockWorld]] = {
    "system": lambda: ClockWorld(SystemClock(), frozenset()),
    "manual": lambda: ClockWorld(ManualClock(autojump_threshold_s=0), frozenset({"virtual_time"})),
}


@pytest.fixture(params=CLOCKS)
def clocks(request: pytest.FixtureRequest) -> ClockWorld:
    world = CLOCKS[request.param]()
    _check_traits(request, world.traits)
    return world


# Queue


@dataclass(frozen=True)
class QueueWorld:
    """A queue whose claims live `claim_ttl_s` and whose messages are parked after `deliveries_max` tries."""

    queue: Queue
    pass_time: Callable[[float], Awaitable[None]]
    traits: frozenset[str]
    claim_ttl_s: float = 30.0
    deliveries_max: int = 3


async def _memory_queue() -> AsyncIterator[QueueWorld]:
    clock = ManualClock()

    async def pass_time(seconds: float) -> None:
        await settle()
        clock.advance(seconds)
        await settle()

    queue = MemoryQueue(clock, claim_ttl_s=30.0, deliveries_max=3)
    yield QueueWorld(queue, pass_time, frozenset({"virtual_time"}))
    await queue.close()


QUEUES: dict[str, Callable[[], AsyncIterator[QueueWorld]]] = {"memory": _memory_queue}


@pytest.fixture(params=QUEUES)
async def queues(request: pytest.FixtureRequest) -> AsyncIterator[QueueWorld]:
    async for world in QUEUES[request.param]():
        _check_traits(request, world.traits)
        yield world


# Store


@dataclass
class StoreWorld:
    """Stores on one database with the tables below. `open` gives another one, as after a restart."""

    open: Callable[[], Awaitable[Any]]
    traits: frozenset[str]
    accounts: Table
    entries: Table
    opened: list[Any] = field(default_factory=list)

    async def start(self) -> Store:
        store = await self.open()
        self.opened.append(store)
        return store


def tables() -> tuple[MetaData, Table, Table]:
    metadata = MetaData()
    accounts = Table(
        "accounts",
        metadata,
        Column("id", String, primary_key=True),
        Column("version", Integer, nullable=False, default=1),
        Column("balance", Integer, nullable=False, default=0),
    )
    entries = Table(
        "entries",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("account_id", ForeignKey("accounts.id", deferrable=True, initially="DEFERRED"), nullable=False),
    )
    return metadata, accounts, entries


def _sqlite_store(directory: Path) -> StoreWorld:
    metadata, accounts, entries = tables()
    return StoreWorld(
        lambda: SqlStore.open(f"sqlite:///{directory}/store.db", metadata), frozenset({"sqlite"}), accounts, entries
    )


STORES: dict[str, Callable[[Path], StoreWorld]] = {"sqlite": _sqlite_store}


@pytest.fixture(params=STORES)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreWorld]:
    world = STORES[request.param](tmp_path)
    _check_traits(request, world.traits)
    yield world
    for store in world.opened:
        await store.close()


@pytest.fixture
async def store(stores: StoreWorld) -> Store:
    return await stores.start()


# Blobs


@dataclass(frozen=True)
class BlobWorld:
    blobs: BlobStore
    clock: ManualClock
    traits: frozenset[str]


def _file_blobs(directory: Path) -> BlobWorld:
    clock = ManualClock()
    blobs = FileBlobs(directory / "blobs", UrlSigner(b"s" * 32), clock, public_base_url="http://blobs.example")
    return BlobWorld(blobs, clock, frozenset({"files"}))


BLOB_STORES: dict[str, Callable[[Path], BlobWorld]] = {"files": _file_blobs}


@pytest.fixture(params=BLOB_STORES)
def blob_world(request: pytest.FixtureRequest, tmp_path: Path) -> BlobWorld:
    world = BLOB_STORES[request.param](tmp_path)
    _check_traits(request, world.traits)
    return world


@pytest.fixture
def blobs(blob_world: BlobWorld) -> BlobStore:
    return blob_world.blobs


# Pods


LAUNCHERS = {"process-cold": False, "process-warm": True}
"""Whether each forks Python entry points."""


@pytest.fixture(scope="session")
def python_env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from conformance.pods_world import make_python_env

    return make_python_env(tmp_path_factory.mktemp("env") / "venv")


@pytest.fixture(params=LAUNCHERS)
async def world(request: pytest.FixtureRequest, tmp_path: Path, python_env: Path) -> "AsyncIterator[PodWorld]":
    from conformance.pods_world import PodWorld  # which waits with the help of this module

    warm = LAUNCHERS[request.param]
    traits = frozenset({"directories", "local_capacity"}) | ({"warm"} if warm else frozenset[str]())
    _check_traits(request, traits)
    world = PodWorld(tmp_path, python_env, warm, traits)
    yield world
    await world.close()
