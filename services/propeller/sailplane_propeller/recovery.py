"""What went before an execution that recovers another one: how far that one got, and those that it recovered itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog
from google.protobuf.message import DecodeError
from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import ExecutionId
from sailplane_core.layout import Layout
from sailplane_core.machine import NodeState, lineage, scopes
from sailplane_core.phases import TaskPhase
from sailplane_core.ports import BlobStore
from sqlalchemy import Connection

from . import records

EXECUTIONS_MAX = 10
"""So many are asked, the nearest first. Each has usually taken over all that those before it did."""
CHECKPOINTS_MAX = 20
"""So many places are looked at for a checkpoint, the latest first."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An execution that was recovered: what it came to, by the way to each node, and where its files lie."""

    nodes: lineage.Nodes
    layout: Layout


def load(connection: Connection, id: ExecutionId, root_uri: str) -> Sequence[Earlier]:
    """An execution that is recovered, the one that it recovered itself, and so on, as far as they are still known.

    What cannot be read is not known: it is of use, and not needed.
    """
    found: list[Earlier] = []
    following: ExecutionId | None = id
    while following is not None and len(found) < EXECUTIONS_MAX:
        try:
            start = records.load_start(connection, following)
        except DecodeError as error:
            log.warning("earlier_execution_unreadable", execution=str(following), error=repr(error))
            break
        if start is None:
            break
        found.append(Earlier(_nodes(connection, following), Layout(root_uri, start.raw_output_prefix, following)))
        following = ExecutionId.of(start.recover_from) if start.HasField("recover_from") else None
    return found


def _nodes(connection: Connection, id: ExecutionId) -> lineage.Nodes:
    try:
        nodes = {node.id: node for node in records.load_nodes(connection, id)}
        return {scopes.path_to(nodes.__getitem__, node): node for node in nodes.values()}
    except (KeyError, TypeError, ValueError) as error:
        log.warning("earlier_execution_unreadable", execution=str(id), error=repr(error))
        return {}


async def checkpoint_uri(
    blobs: BlobStore, layout: Layout, path: scopes.Path, node: NodeState, earlier: Sequence[Earlier]
) -> str:
    """Where the last attempt that kept a checkpoint has it, of those before this one; "" if none has."""
    for asked, uri in enumerate(_checkpoint_uris(layout, path, node, earlier)):
        if asked == CHECKPOINTS_MAX:
            break
        try:
            async for _ in blobs.list(uri):
                return uri
        except InvalidRequest:  # of an execution whose own record makes no sense any more
            continue
    return ""


def _checkpoint_uris(layout: Layout, path: scopes.Path, node: NodeState, earlier: Sequence[Earlier]) -> Iterator[str]:
    """Where checkpoints may be, the latest first."""
    for attempt in reversed(range(node.attempt)):
        yield layout.checkpoint_uri(node.id, attempt)
    for one in earlier:
        before = one.nodes.get(path)
        if before is not None:
            attempts = before.attempt + (before.task_phase is not TaskPhase.UNDEFINED)
            for attempt in reversed(range(attempts)):
                yield one.layout.checkpoint_uri(before.id, attempt)
