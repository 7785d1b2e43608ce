"""What went before an execution that recovers another one: how far that one got, and those that it recovered itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sailplane_core.ids import ExecutionId
from sailplane_core.layout import Layout
from sailplane_core.machine import NodeState, scopes
from sailplane_core.phases import NODE_DONE, TaskPhase
from sailplane_core.ports import BlobStore
from sqlalchemy import Connection

from . import records

EXECUTIONS_MAX = 10
"""So many are asked, the nearest first. Each has usually taken over all that those before it did."""
CHECKPOINTS_MAX = 20
"""So many places are looked at for a checkpoint, the latest first."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An execution that was recovered: what it came to, by the way to each node, and where its files lie."""

    nodes: Mapping[scopes.Path, NodeState]
    layout: Layout


def load(connection: Connection, id: ExecutionId, root_uri: str) -> Sequence[Earlier]:
    """An execution that is recovered, the one that it recovered itself, and so on, as far as they are still known."""
    found: list[Earlier] = []
    following: ExecutionId | None = id
    while following is not None and len(found) < EXECUTIONS_MAX:
        start = records.load_start(connection, following)
        if start is None:
            break
        nodes = {node.id: node for node in records.load_nodes(connection, following)}
        by_path = {scopes.path_to(nodes.__getitem__, node): node for node in nodes.values()}
        found.append(Earlier(by_path, Layout(root_uri, start.raw_output_prefix, following)))
        following = ExecutionId.of(start.recover_from) if start.HasField("recover_from") else None
    return found


def merged(earlier: Sequence[Earlier]) -> Mapping[scopes.Path, NodeState]:
    """Of each node, how far it ever got. A later execution may have ended before it got to what an earlier one did."""
    found: dict[scopes.Path, NodeState] = {}
    for one in earlier:
        for path, node in one.nodes.items():
            if path not in found or _worth(node) > _worth(found[path]):
                found[path] = node
    return found


def _worth(node: NodeState) -> int:
    """How much there is to take over: outputs, a graph or child that goes on from where it was, or nothing."""
    return 2 if node.phase in NODE_DONE else 1 if node.graph_uri or node.child_name else 0


async def checkpoint_uri(
    blobs: BlobStore, layout: Layout, path: scopes.Path, node: NodeState, earlier: Sequence[Earlier]
) -> str:
    """Where the last attempt that kept a checkpoint has it, of those before this one; "" if none has."""
    for asked, uri in enumerate(_checkpoint_uris(layout, path, node, earlier)):
        if asked == CHECKPOINTS_MAX:
            break
        async for _ in blobs.list(uri):
            return uri
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
