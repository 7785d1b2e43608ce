"""Looking outputs up and keeping them, on a catalog that is a dict."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from core.compiler.building import compiled, run, tasks, workflow
from core.types.samples import INT, value
from sailplane_core.catalog_keys import CatalogKey
from sailplane_core.errors import AlreadyExists, NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import (
    CacheLookedUp,
    CachePopulated,
    ExecutionState,
    NodeKind,
    NodeState,
    ReleaseReservation,
)
from sailplane_core.phases import NodePhase
from sailplane_core.plan import Closure, Plan
from sailplane_core.ports import BlobStore, PodLauncher, Queue
from sailplane_propeller import cached_tasks, inputs, records
from sailplane_propeller.inputs import Literals
from sailplane_propeller.live import Definition, Live
from sailplane_propeller.logs import Logs
from sailplane_propeller.pods import PodNames
from sailplane_propeller.ports import PropellerPorts
from sailplane_propeller.tools import Tools
from sailplane_protos.core import catalog_pb2, literals_pb2
from sailplane_protos.datacatalog import datacatalog_pb2 as pb
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.port import Store

KNOWN = tasks(double=({"x": INT}, {"o0": INT}))
TEMPLATE = workflow(run("n0", "double", x=".x"), inputs={"x": INT})
HIT, MISS, SKIPPED = catalog_pb2.CACHE_HIT, catalog_pb2.CACHE_MISS, catalog_pb2.CACHE_SKIPPED


@dataclass
class Catalog:
    """Entries by key, and who computes what."""

    entries: dict[CatalogKey, pb.Artifact] = field(default_factory=dict[CatalogKey, pb.Artifact])
    owners: dict[CatalogKey, str] = field(default_factory=dict[CatalogKey, str])
    made: list[str] = field(default_factory=list[str])
    reserved: int = 0
    found_while_reserving: pb.Artifact | None = None

    async def artifact(self, key: CatalogKey) -> pb.Artifact:
        """What is tagged with the key."""
        if key not in self.entries:
            raise NotFound("artifact", key.tag)
        return self.entries[key]

    async def create_dataset(self, dataset: pb.Dataset) -> None:
        """Datasets are all there."""
        raise AlreadyExists("dataset", dataset.id.name)

    async def create_artifact(self, artifact: pb.Artifact) -> None:
        """Until it is tagged, nobody finds it."""
        self.made.append(artifact.id)
        self._untagged = artifact

    async def update_artifact(self, key: CatalogKey, artifact: pb.Artifact) -> str:
        """Replace the data of what is tagged."""
        if key not in self.entries:
            raise NotFound("artifact", key.tag)
        id = self.entries[key].id
        self.entries[key] = pb.Artifact(id=id, data=artifact.data, metadata=artifact.metadata)
        return id

    async def add_tag(self, key: CatalogKey, artifact_id: str) -> None:
        """Tag what was made last."""
        if key in self.entries:
            raise AlreadyExists("tag", key.tag)
        self.entries[key] = self._untagged

    async def reserve(self, key: CatalogKey, owner_id: str, heartbeat: timedelta) -> str:
        """The first who asks has it."""
        self.reserved += 1
        if self.found_while_reserving is not None:
            self.entries[key] = self.found_while_reserving
        return self.owners.setdefault(key, owner_id)

    async def release(self, key: CatalogKey, owner_id: str) -> None:
        """Give it back."""
        if self.owners.get(key) == owner_id:
            del self.owners[key]


@dataclass
class Admin:
    """Nothing but its catalog."""

    catalog: Catalog = field(default_factory=Catalog)


@dataclass
class Work:
    """One cached node of one execution, under way."""

    tools: Tools
    live: Live
    catalog: Catalog
    clock: ManualClock

    @property
    def node(self) -> NodeState:
        """The node as it is now."""
        return self.live.definition.state.nodes["n0"]

    async def look_up(self) -> CacheLookedUp:
        """What the catalog says."""
        seen = await cached_tasks.look_up(self.tools, self.live, self.node)
        assert isinstance(seen, CacheLookedUp)
        return seen

    async def populate(self, output: literals_pb2.Literal) -> CachePopulated:
        """Keep an output."""
        written = literals_pb2.LiteralMap(literals={"o0": output})
        uri = self.live.definition.layout.outputs_uri("n0", 1)
        await self.tools.literals.write(uri, written)
        self.live.definition.state.replace(replace(self.node, outputs_uri=uri))
        seen = await cached_tasks.populate(self.tools, self.live, self.node)
        assert isinstance(seen, CachePopulated)
        return seen

    async def outputs(self) -> literals_pb2.LiteralMap:
        """What lies where the attempt's outputs would."""
        uri = self.live.definition.layout.outputs_uri("n0", 0)
        return literals_pb2.LiteralMap.FromString(await self.tools.ports.blobs.get(uri))


async def begun(
    folder: Path, name: str = "x", admin: Admin | None = None, *, serial: bool = False, overwrite: bool = False
) -> Work:
    """An execution of this name that has come to its cached node."""
    clock = ManualClock()
    admin = admin or Admin()
    blobs = FileBlobs(folder, UrlSigner(b"s" * 32), clock, public_base_url="http://localhost")
    ports = PropellerPorts(
        cast("Store", None),
        cast("Queue", None),
        cast("BlobStore", blobs),
        cast("PodLauncher", None),
        clock,
        cast("Any", admin),
    )
    root = blobs.uri("root")
    given = literals_pb2.LiteralMap(literals={"x": value(3)})
    await blobs.put(f"{root}/inputs.pb", given.SerializeToString())
    start = queue_pb2.Start(inputs_uri=f"{root}/inputs.pb", raw_output_prefix=root, overwrite_cache=overwrite)
    id = ExecutionId("p", "development", name)
    state = ExecutionState(records.start_info(id, start, root, ports.settings))
    begin = NodeState("start-node", "start-node", "", NodeKind.START, phase=NodePhase.SUCCEEDED)
    state.replace(replace(begin, outputs_uri=start.inputs_uri))
    message = compiled(TEMPLATE, KNOWN)
    metadata = message.tasks[0].template.metadata
    metadata.discoverable, metadata.discovery_version, metadata.cache_serializable = True, "1", serial
    live = Live(id, loaded=Definition(start, state, Plan(Closure(message))))
    uri = live.definition.layout.inputs_uri("n0")
    state.replace(NodeState("n0", "n0", "", NodeKind.TASK, phase=NodePhase.RUNNING, inputs_uri=uri))
    return Work(Tools(ports, Literals(blobs), PodNames(), Logs(ports)), live, admin.catalog, clock)


async def test_what_one_has_made_another_finds(tmp_path: Path) -> None:
    admin = Admin()
    first, second = await begun(tmp_path, "x", admin), await begun(tmp_path, "y", admin)
    assert (await first.look_up()).status == MISS
    kept = await first.populate(value(6))
    found = await second.look_up()
    assert found.status == HIT
    assert (await second.outputs()).literals["o0"] == value(6)
    shown = catalog_pb2.CatalogMetadata.FromString(found.catalog)
    assert shown == catalog_pb2.CatalogMetadata.FromString(kept.catalog)
    assert shown.dataset_id.name == "flyte_task-double"
    assert shown.source_task_execution.node_execution_id.execution_id.name == "x"


@pytest.mark.parametrize("unfit", [literals_pb2.Literal(scalar={"primitive": {"string_value": "6"}}), None])
async def test_an_entry_that_does_not_fit_is_a_miss_and_is_replaced(
    tmp_path: Path, unfit: literals_pb2.Literal | None
) -> None:
    work = await begun(tmp_path)
    await work.populate(value(6))
    entry = next(iter(work.catalog.entries.values()))
    del entry.data[:]
    if unfit is not None:
        entry.data.add(name="o0", value=unfit)
    assert (await work.look_up()).status == MISS
    await work.populate(value(7))
    assert (await work.look_up()).status == HIT
    assert (await work.outputs()).literals["o0"] == value(7)
    assert len(work.catalog.made) == 1


async def test_keeping_twice_is_keeping_once(tmp_path: Path) -> None:
    work = await begun(tmp_path)
    assert await work.populate(value(6)) == await work.populate(value(6))
    assert len(work.catalog.entries) == 1


async def test_an_execution_that_overwrites_does_not_look_and_replaces(tmp_path: Path) -> None:
    admin = Admin()
    await (await begun(tmp_path, "x", admin)).populate(value(6))
    work = await begun(tmp_path, "y", admin, overwrite=True)
    assert (await work.look_up()).status == SKIPPED
    await work.populate(value(7))
    later = await begun(tmp_path, "z", admin)
    assert (await later.look_up()).status == HIT
    assert (await later.outputs()).literals["o0"] == value(7)


async def test_one_computes_and_the_others_wait(tmp_path: Path) -> None:
    admin = Admin()
    first = await begun(tmp_path, "x", admin, serial=True)
    second = await begun(tmp_path, "y", admin, serial=True)
    assert await first.look_up() == CacheLookedUp("n0", 0, MISS, is_reserved=True)
    assert await second.look_up() == CacheLookedUp("n0", 0, MISS, is_busy=True)
    assert await first.look_up() == CacheLookedUp("n0", 0, MISS, is_reserved=True)
    await cached_tasks.release(first.tools, first.live, ReleaseReservation("n0", 0))
    assert await second.look_up() == CacheLookedUp("n0", 0, MISS, is_reserved=True)


async def test_who_gets_the_right_too_late_takes_what_is_there_and_gives_it_back(tmp_path: Path) -> None:
    work = await begun(tmp_path, serial=True)
    work.catalog.found_while_reserving = pb.Artifact(id="a", data=[pb.ArtifactData(name="o0", value=value(6))])
    assert (await work.look_up()).status == HIT
    assert work.catalog.owners == {}


async def test_what_is_reserved_is_extended_while_the_node_is_active(tmp_path: Path) -> None:
    work = await begun(tmp_path, serial=True)
    await work.look_up()
    state = work.live.definition.state
    state.replace(replace(work.node, is_reserved=True))
    extending = asyncio.create_task(cached_tasks.Reservations(work.tools, lambda: [work.live]).run())
    for _ in range(3):
        await asyncio.sleep(0)
        work.clock.advance(cached_tasks.HEARTBEAT.total_seconds())
        for _ in range(20):
            await asyncio.sleep(0)
    while_active = work.catalog.reserved
    state.replace(replace(work.node, phase=NodePhase.SUCCEEDED))
    work.clock.advance(60)
    for _ in range(20):
        await asyncio.sleep(0)
    extending.cancel()
    assert while_active == 1 + 3
    assert work.catalog.reserved == while_active


async def test_inputs_are_read_once_however_often_a_reservation_is_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = await begun(tmp_path, serial=True)
    work.live.definition.state.replace(replace(work.node, is_reserved=True))
    bind, read = cached_tasks.inputs.bind, list[str]()

    async def bind_and_count(literals: Any, definition: Any, node: NodeState) -> literals_pb2.LiteralMap:
        read.append(node.id)
        return await bind(literals, definition, node)

    monkeypatch.setattr(cached_tasks.inputs, "bind", bind_and_count)
    extending = asyncio.create_task(cached_tasks.Reservations(work.tools, lambda: [work.live]).run())
    for _ in range(3):
        await asyncio.sleep(0)
        work.clock.advance(cached_tasks.HEARTBEAT.total_seconds())
        for _ in range(20):
            await asyncio.sleep(0)
    extending.cancel()
    assert work.catalog.reserved == 3
    assert read == ["n0"]


async def test_a_reservation_whose_inputs_are_gone_is_left_to_expire(tmp_path: Path) -> None:
    work = await begun(tmp_path, serial=True)
    await work.look_up()
    await work.tools.ports.blobs.delete(work.live.definition.start.inputs_uri)
    fresh = replace(work.tools, literals=Literals(work.tools.ports.blobs))
    assert await cached_tasks.release(fresh, work.live, ReleaseReservation("n0", 0)) is None
    assert len(work.catalog.owners) == 1


async def test_an_extension_that_hangs_costs_no_other_its_own_and_none_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = Admin()
    lives = [(await begun(tmp_path / name, name, admin, serial=True)) for name in ("hangs", "ends", "goes on")]
    for work in lives:
        work.live.definition.state.replace(replace(work.node, is_reserved=True))
    first, ends, goes_on = lives
    bind, asked, hangs = inputs.bind, list[str](), asyncio.Event()

    async def bind_slowly(literals: Literals, definition: Definition, node: NodeState) -> literals_pb2.LiteralMap:
        if definition is first.live.definition:
            await hangs.wait()
        bound = await bind(literals, definition, node)
        if definition is ends.live.definition:
            definition.state.replace(replace(node, phase=NodePhase.SUCCEEDED))
        return bound

    async def reserve(key: CatalogKey, owner_id: str, heartbeat: timedelta) -> str:
        asked.append(owner_id)
        return owner_id

    monkeypatch.setattr(inputs, "bind", bind_slowly)
    monkeypatch.setattr(admin.catalog, "reserve", reserve)
    extending = asyncio.create_task(
        cached_tasks.Reservations(goes_on.tools, lambda: [work.live for work in lives]).run()
    )
    for _ in range(3):
        await asyncio.sleep(0)
        goes_on.clock.advance(cached_tasks.HEARTBEAT.total_seconds())
        for _ in range(20):
            await asyncio.sleep(0.001)
    extending.cancel()
    assert len(asked) == 3
    assert len(set(asked)) == 1
