"""A node's inputs: its bindings resolved against what its upstream nodes wrote."""

from collections import OrderedDict

from google.protobuf.message import DecodeError
from sailplane_core.bindings import promised_nodes, resolve_bindings
from sailplane_core.errors import Unavailable
from sailplane_core.ids import START_NODE_ID, EntityId
from sailplane_core.machine import NodeKind, NodeState, scopes
from sailplane_core.plan import Graph
from sailplane_core.ports import BlobStore
from sailplane_protos.core import literals_pb2, types_pb2

from .live import Definition

LITERALS_BYTES_MAX = 64 * 1024 * 1024
"""How much of what nodes wrote is kept in memory for the nodes after them."""


class Literals:
    """Literal maps in the blob store, the recent ones kept: a wide fan-out reads its source once."""

    def __init__(self, blobs: BlobStore, bytes_max: int = LITERALS_BYTES_MAX) -> None:
        self._blobs = blobs
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[literals_pb2.LiteralMap, int]] = OrderedDict()

    async def read(self, uri: str) -> literals_pb2.LiteralMap:
        """The map at a URI; an empty URI is an empty map. Raises `NotFound`, `Unavailable`."""
        if not uri:
            return literals_pb2.LiteralMap()
        kept = self._kept.get(uri)
        if kept is not None:
            self._kept.move_to_end(uri)
            return kept[0]
        data = await self._blobs.get(uri)
        try:
            found = literals_pb2.LiteralMap.FromString(data)
        except DecodeError as error:
            raise Unavailable(f"the literals at {uri} ({error})") from error
        self.keep(uri, found, len(data))
        return found

    async def write(self, uri: str, values: literals_pb2.LiteralMap) -> None:
        """Store a map."""
        data = values.SerializeToString()
        await self._blobs.put(uri, data)
        self.keep(uri, values, len(data))

    def keep(self, uri: str, values: literals_pb2.LiteralMap, size_bytes: int) -> None:
        """Remember what is stored at a URI, if it is not too large."""
        if size_bytes > self._bytes_max // 4:
            return
        before = self._kept.pop(uri, None)
        self._bytes += size_bytes - (before[1] if before else 0)
        self._kept[uri] = (values, size_bytes)
        while self._bytes > self._bytes_max:
            _, (_, dropped_bytes) = self._kept.popitem(last=False)
            self._bytes -= dropped_bytes


async def bind(literals: Literals, definition: Definition, node: NodeState) -> literals_pb2.LiteralMap:
    """Resolve the node's bindings; an end node's bindings are its workflow's outputs.

    Raises `BindingFailed` (of `sailplane_core.bindings`) when they cannot be resolved, `NotFound` and `Unavailable`
    when what they point to cannot be read.
    """
    lookup = definition.state.nodes.__getitem__
    graph = scopes.graph_of(definition.plan, lookup, node.scope)
    bindings = graph.template.outputs if node.kind is NodeKind.END else graph.nodes[node.spec_id].inputs
    sources: dict[str, literals_pb2.LiteralMap] = {}
    for spec_id in promised_nodes(bindings):
        source = definition.state.nodes.get(scopes.id_in(lookup, node.scope, spec_id or START_NODE_ID))
        sources[spec_id] = await literals.read(source.outputs_uri if source is not None else "")
    return resolve_bindings(bindings, sources, _declared(definition, graph, node))


def _declared(definition: Definition, graph: Graph, node: NodeState) -> dict[str, types_pb2.LiteralType]:
    """The types of what is bound, where the plan knows them: a text from a structure may have to become a time."""
    if node.kind is NodeKind.END:
        variables = graph.template.interface.outputs.variables
    elif node.kind is NodeKind.TASK:
        variables = definition.plan.task(graph.nodes[node.spec_id]).interface.inputs.variables
    elif node.kind is NodeKind.SUBWORKFLOW:
        child = EntityId.of(graph.nodes[node.spec_id].workflow_node.sub_workflow_ref)
        variables = definition.plan.graph(child).template.interface.inputs.variables
    else:
        return {}
    return {name: variable.type for name, variable in variables.items()}
