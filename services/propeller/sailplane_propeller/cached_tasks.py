"""Tasks whose outputs are cached: looking them up, keeping them, and letting one of several compute."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

import structlog
from sailplane_core.catalog_keys import CatalogKey, cache_policy, catalog_key
from sailplane_core.errors import AlreadyExists, InvalidRequest, InvariantBroken, NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import (
    CacheLookedUp,
    CachePopulated,
    Command,
    NodeState,
    Observation,
)
from sailplane_core.ports import BlobStore
from sailplane_core.types import accepts
from sailplane_protos.core import catalog_pb2, identifier_pb2, literals_pb2, tasks_pb2, types_pb2
from sailplane_protos.datacatalog import datacatalog_pb2

from . import inputs
from .live import Live
from .pods import declared_outputs
from .tools import Tools, with_inputs

log = structlog.get_logger(__name__)

HEARTBEAT = timedelta(seconds=5)
"""Between two extensions of a reservation; a propeller that is silent for three loses it."""
EXTENSIONS_AT_ONCE = 64

TASK_VERSION = "task-version"
EXECUTION_PROJECT, EXECUTION_DOMAIN, EXECUTION_NAME = "exec-project", "exec-domain", "execution-name"
NODE_ID, ATTEMPT = "exec-node", "exec-attempt"
"""Flyte's names for an artifact's notes about where it comes from."""


@with_inputs
async def look_up(tools: Tools, live: Live, node: NodeState, bound: literals_pb2.LiteralMap) -> Observation:
    """`LookUpCache`. Who gets the right to compute looks once more: the last holder may just have finished."""
    key, is_serializable = _key(live, node, bound)
    overwrites = live.definition.start.overwrite_cache
    if not overwrites and (hit := await _hit(tools, live, node, key)) is not None:
        return hit
    status = catalog_pb2.CACHE_SKIPPED if overwrites else catalog_pb2.CACHE_MISS
    if not is_serializable:
        return CacheLookedUp(node.id, node.attempt, status)
    owner = _owner(live.id, node)
    if await tools.ports.admin.catalog.reserve(key, owner, HEARTBEAT) != owner:
        return CacheLookedUp(node.id, node.attempt, status, is_busy=True)
    if not overwrites and (hit := await _hit(tools, live, node, key)) is not None:
        await tools.ports.admin.catalog.release(key, owner)
        return hit
    return CacheLookedUp(node.id, node.attempt, status, is_reserved=True)


async def populate(tools: Tools, live: Live, node: NodeState) -> Observation:
    """`PopulateCache`. An entry that is there is replaced: this node's lookup could not use it, or did not want it."""
    bound = await inputs.bind(tools.literals, live.definition, node)
    key, _ = _key(live, node, bound)
    outputs = await tools.literals.read(node.outputs_uri)
    artifact = _artifact(live, node, key, live.definition.task(node), outputs)
    catalog = tools.ports.admin.catalog
    try:
        await catalog.create_dataset(datacatalog_pb2.Dataset(id=key.dataset, metadata=artifact.metadata))
    except AlreadyExists:
        log.debug("dataset_exists", dataset=key.name)
    artifact_id = await _put(tools, key, artifact)
    shown = _metadata(key, artifact_id, artifact.metadata)
    return CachePopulated(node.id, node.attempt, catalog_pb2.CACHE_POPULATED, shown)


async def _put(tools: Tools, key: CatalogKey, artifact: datacatalog_pb2.Artifact) -> str:
    """Store and tag the artifact, or replace what is tagged; the id of what the tag leads to now."""
    catalog = tools.ports.admin.catalog
    try:
        return await catalog.update_artifact(key, artifact)
    except NotFound:
        log.debug("first_entry", tag=key.tag)
    try:
        await catalog.create_artifact(artifact)
    except AlreadyExists:
        log.debug("artifact_exists", artifact=artifact.id)
    try:
        await catalog.add_tag(key, artifact.id)
    except AlreadyExists:
        return await catalog.update_artifact(key, artifact)
    return artifact.id


async def release(tools: Tools, live: Live, command: Command) -> Observation | None:
    """`ReleaseReservation`. One that cannot be found any more expires by itself."""
    node = None if live.is_parked else live.definition.state.nodes.get(command.node_id)
    if node is None:
        return None
    try:
        bound = await inputs.bind(tools.literals, live.definition, node)
    except (NotFound, InvalidRequest):
        return None
    key, _ = _key(live, node, bound)
    await tools.ports.admin.catalog.release(key, _owner(live.id, node))
    return None


class Reservations:
    """Extends what this propeller's nodes have reserved, for as long as they are active."""

    def __init__(self, tools: Tools, in_service: Callable[[], Sequence[Live]]) -> None:
        self._tools = tools
        self._in_service = in_service
        self._places = asyncio.Semaphore(EXTENSIONS_AT_ONCE)
        self._under_way: dict[tuple[ExecutionId, str], asyncio.Task[None]] = {}
        self._keys: dict[tuple[ExecutionId, str], CatalogKey] = {}
        """Of what is reserved: to find a key out, the node's inputs are read."""

    async def run(self) -> None:
        """Extend for ever."""
        clock = self._tools.ports.clock
        try:
            while True:
                await clock.sleep_until(clock.now() + HEARTBEAT)
                reserved = [(live, node_id) for live in self._in_service() for node_id in _reserved(live)]
                self._keys = {
                    (live.id, node_id): key
                    for live, node_id in reserved
                    if (key := self._keys.get((live.id, node_id))) is not None
                }
                for live, node_id in reserved:
                    self._begin(live, node_id)
        finally:
            for extension in self._under_way.values():
                extension.cancel()

    def _begin(self, live: Live, node_id: str) -> None:
        """Extend one beside the others: if one hangs, they must not lose theirs."""
        key = live.id, node_id
        if key not in self._under_way:
            self._under_way[key] = extension = asyncio.create_task(self._extend(live, node_id))
            extension.add_done_callback(lambda _: self._under_way.pop(key, None))

    async def _extend(self, live: Live, node_id: str) -> None:
        try:
            async with self._places:
                node = live.definition.node(node_id)
                key = self._keys.get((live.id, node_id))
                if key is None:
                    key, _ = _key(live, node, await inputs.bind(self._tools.literals, live.definition, node))
                    self._keys[live.id, node_id] = key
                if _is_reserved(live, node_id):  # or it would be taken anew after it was given back
                    await self._tools.ports.admin.catalog.reserve(key, _owner(live.id, node), HEARTBEAT)
        except Exception as error:
            log.warning("reservation_not_extended", execution=str(live.id), node=node_id, reason=str(error))


def _reserved(live: Live) -> list[str]:
    """The nodes that hold a reservation, in order of their ids."""
    if live.loaded is None or live.is_parked:
        return []
    return sorted(node_id for node_id in live.loaded.state.active if _is_reserved(live, node_id))


def _is_reserved(live: Live, node_id: str) -> bool:
    node = live.definition.node(node_id)
    return node.is_reserved and not node.is_terminal


def _key(live: Live, node: NodeState, bound: literals_pb2.LiteralMap) -> tuple[CatalogKey, bool]:
    """Where the node's outputs are looked for, and whether runs with the same inputs wait for one another."""
    task = live.definition.task(node)
    policy = cache_policy(live.definition.spec(node), task)
    if policy is None:
        raise InvariantBroken(f"node {node.id} is not cached")
    return catalog_key(task, policy, bound), policy.is_serializable


def _owner(execution: ExecutionId, node: NodeState) -> str:
    """Who holds a reservation: the node, which keeps it over all its attempts."""
    return _digest(f"{execution}/{node.id}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def _hit(tools: Tools, live: Live, node: NodeState, key: CatalogKey) -> CacheLookedUp | None:
    """What was found, written as the node's outputs; None if nothing was found that can be used."""
    try:
        artifact = await tools.ports.admin.catalog.artifact(key)
    except NotFound:
        return None
    outputs = literals_pb2.LiteralMap(literals={data.name: data.value for data in artifact.data})
    if not _fits(declared_outputs(live, node), outputs) or not await _is_whole(tools.ports.blobs, outputs):
        return None
    await tools.literals.write(live.definition.layout.outputs_uri(node.id, node.attempt), outputs)
    shown = _metadata(key, artifact.id, artifact.metadata)
    return CacheLookedUp(node.id, node.attempt, catalog_pb2.CACHE_HIT, shown)


def _fits(declared: Mapping[str, types_pb2.LiteralType], outputs: literals_pb2.LiteralMap) -> bool:
    """Whether these can be the outputs: whoever filled the catalog may have had another idea of them."""
    try:
        return all(name in outputs.literals and accepts(one, outputs.literals[name]) for name, one in declared.items())
    except InvalidRequest:
        return False


async def _is_whole(blobs: BlobStore, outputs: literals_pb2.LiteralMap) -> bool:
    """Whether every file that the values name is still there, as far as they lie in this blob store."""
    root = blobs.uri("")
    for literal in outputs.literals.values():
        for uri in _uris(literal):
            if uri.startswith(root) and not await _exists(blobs, uri):
                log.info("cached_file_is_gone", uri=uri)
                return False
    return True


async def _exists(blobs: BlobStore, uri: str) -> bool:
    """Whether there is an object of this name, or one below it."""
    try:
        await blobs.head(uri)
    except NotFound:
        async for _ in blobs.list(f"{uri.rstrip('/')}/"):
            return True
        return False
    return True


def _uris(literal: literals_pb2.Literal) -> Iterator[str]:
    match literal.WhichOneof("value"):
        case "collection":
            for element in literal.collection.literals:
                yield from _uris(element)
        case "map":
            for element in literal.map.literals.values():
                yield from _uris(element)
        case "offloaded_metadata":
            yield literal.offloaded_metadata.uri
        case "scalar":
            scalar = literal.scalar
            match scalar.WhichOneof("value"):
                case "blob":
                    yield scalar.blob.uri
                case "schema":
                    yield scalar.schema.uri
                case "structured_dataset":
                    yield scalar.structured_dataset.uri
                case "union":
                    yield from _uris(scalar.union.value)
                case _:
                    pass
        case None:
            pass


def _artifact(
    live: Live, node: NodeState, key: CatalogKey, task: tasks_pb2.TaskTemplate, outputs: literals_pb2.LiteralMap
) -> datacatalog_pb2.Artifact:
    """The outputs as they are kept. The id is the attempt's, so that keeping them twice is keeping them once."""
    id = _digest(f"{live.id}/{node.id}/{node.attempt}")
    artifact = datacatalog_pb2.Artifact(id=id, dataset=key.dataset)
    for name in sorted(task.interface.outputs.variables):
        artifact.data.add(name=name, value=outputs.literals[name])
    notes = artifact.metadata.key_map
    notes[TASK_VERSION] = task.id.version
    notes[EXECUTION_PROJECT] = live.id.project
    notes[EXECUTION_DOMAIN] = live.id.domain
    notes[EXECUTION_NAME] = live.id.name
    notes[NODE_ID] = node.id
    notes[ATTEMPT] = str(node.attempt)
    return artifact


def _metadata(key: CatalogKey, artifact_id: str, notes: datacatalog_pb2.Metadata) -> bytes:
    """What clients are shown of an entry: its name, and whose outputs they were first, where that is noted."""
    shown = catalog_pb2.CatalogMetadata(dataset_id=key.identifier)
    shown.artifact_tag.artifact_id = artifact_id
    shown.artifact_tag.name = key.tag
    known = notes.key_map
    if EXECUTION_NAME in known and known[ATTEMPT].isdecimal():
        source = shown.source_task_execution
        source.retry_attempt = int(known[ATTEMPT])
        source.node_execution_id.node_id = known[NODE_ID]
        source.node_execution_id.execution_id.CopyFrom(
            ExecutionId(known[EXECUTION_PROJECT], known[EXECUTION_DOMAIN], known[EXECUTION_NAME]).to_message()
        )
        source.task_id.CopyFrom(
            identifier_pb2.Identifier(
                resource_type=identifier_pb2.TASK,
                project=key.project,
                domain=key.domain,
                name=key.name.removeprefix("flyte_task-"),
                version=known[TASK_VERSION],
            )
        )
    return shown.SerializeToString()
