"""A node's inputs: its bindings resolved against what its upstream nodes wrote."""

from collections import OrderedDict

from google.protobuf.message import DecodeError
from sailplane_core import arrays
from sailplane_core.bindings import UnresolvedBinding, entered_outputs, promised_nodes, resolve_bindings
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import START_NODE_ID, EntityId
from sailplane_core.machine import NodeKind, NodeState, scopes
from sailplane_core.plan import Graph
from sailplane_core.ports import BlobStore
from sailplane_protos.core import literals_pb2, types_pb2
from sailplane_runtime.blobs.offloaded import onload

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
        """The map at a URI; an empty URI is an empty map. Raises `NotFound`, `Unavailable`, and `InvalidRequest`."""
        if not uri:
            return literals_pb2.LiteralMap()
        kept = self._remembered(uri)
        if kept is not None:
            return kept
        data = await self._blobs.get(uri)
        try:
            found = literals_pb2.LiteralMap.FromString(data)
        except DecodeError as error:
            raise InvalidRequest(f"the literals at {uri} cannot be read: {error}") from error
        self.keep(uri, found, len(data))
        return found

    async def value(self, literal: literals_pb2.Literal) -> literals_pb2.Literal:
        """The value itself, where it was stored apart. Raises what `onload` raises."""
        if not literal.HasField("offloaded_metadata"):
            return literal
        key = f"value of {literal.offloaded_metadata.uri}"
        kept = self._remembered(key)
        if kept is not None:
            return kept.literals["value"]
        found = await onload(self._blobs, literal)
        self.keep(key, literals_pb2.LiteralMap(literals={"value": found}), found.ByteSize())
        return found

    async def values(self, inputs: literals_pb2.LiteralMap) -> literals_pb2.LiteralMap:
        """The same for each value of a map, for those who look into them."""
        apart = [name for name, literal in inputs.literals.items() if literal.HasField("offloaded_metadata")]
        if not apart:
            return inputs
        found = literals_pb2.LiteralMap()
        found.CopyFrom(inputs)
        for name in apart:
            found.literals[name].CopyFrom(await self.value(inputs.literals[name]))
        return found

    async def read_values(self, uri: str) -> literals_pb2.LiteralMap:
        """The map at a URI with each value at hand, made once for all the items of an array that take a part of it."""
        key = f"values of {uri}"
        kept = self._remembered(key)
        if kept is not None:
            return kept
        stored = await self.read(uri)
        found = await self.values(stored)
        if found is not stored:
            self.keep(key, found, found.ByteSize())
        return found

    async def write(self, uri: str, values: literals_pb2.LiteralMap) -> None:
        """Store a map."""
        data = values.SerializeToString()
        await self._blobs.put(uri, data)
        self.keep(uri, values, len(data))

    def _remembered(self, key: str) -> literals_pb2.LiteralMap | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def keep(self, uri: str, values: literals_pb2.LiteralMap, size_bytes: int) -> None:
        """Remember what is stored at a URI, if it is not too large."""
        if size_bytes > self._bytes_max // 2:
            return
        before = self._kept.pop(uri, None)
        self._bytes += size_bytes - (before[1] if before else 0)
        self._kept[uri] = (values, size_bytes)
        while self._bytes > self._bytes_max:
            _, (_, dropped_bytes) = self._kept.popitem(last=False)
            self._bytes -= dropped_bytes


async def bind(literals: Literals, definition: Definition, node: NodeState) -> literals_pb2.LiteralMap:
    """Resolve the node's bindings; an end node's bindings are its graph's outputs, an item takes its elements.

    Raises `UnresolvedBinding` (of `sailplane_core.bindings`) when they cannot be resolved, `NotFound` and `Unavailable`
    when what they point to cannot be read.
    """
    if node.is_item:
        array = definition.node(node.scope)
        values = await literals.read_values(array.inputs_uri)
        return arrays.inputs_of(definition.spec(array).array_node, values, node.item)
    graph = definition.graph(node.scope)
    bindings = graph.template.outputs if node.kind is NodeKind.END else graph.nodes[node.spec_id].inputs
    scope = scopes.binding_scope(definition.node, node)
    sources: dict[str, literals_pb2.LiteralMap] = {}
    for spec_id in promised_nodes(bindings):
        source = definition.state.nodes.get(scopes.id_in(definition.node, scope, spec_id or START_NODE_ID))
        written = await literals.read(source.outputs_uri if source is not None else "")
        sources[spec_id] = _aliased(definition, source, written)
    for spec_id, var in sorted(entered_outputs(bindings)):
        sources[spec_id] = await _entered(literals, sources[spec_id], var)
    inputs = resolve_bindings(bindings, sources, _declared(definition, graph, node))
    if "err" in inputs.literals and graph.template.HasField("failure_node"):
        _explain_failure(definition, graph, node, inputs)
    return inputs


async def _entered(literals: Literals, written: literals_pb2.LiteralMap, var: str) -> literals_pb2.LiteralMap:
    """Outputs with the value of one at hand, of which a part is wanted."""
    if var not in written.literals or not written.literals[var].HasField("offloaded_metadata"):
        return written
    try:
        value = await literals.value(written.literals[var])
    except InvalidRequest as error:
        raise UnresolvedBinding(var, str(error), attribute=True) from error
    both = literals_pb2.LiteralMap()
    both.CopyFrom(written)
    both.literals[var].CopyFrom(value)
    return both


def _aliased(
    definition: Definition, source: NodeState | None, written: literals_pb2.LiteralMap
) -> literals_pb2.LiteralMap:
    """Outputs under the names that other nodes may call them by, too."""
    if source is None or source.kind is NodeKind.START:
        return written
    aliases = definition.spec(source).output_aliases
    if not aliases:
        return written
    both = literals_pb2.LiteralMap()
    both.CopyFrom(written)
    for alias in aliases:
        if alias.var in written.literals:
            both.literals[alias.alias].CopyFrom(written.literals[alias.var])
    return both


def _explain_failure(definition: Definition, graph: Graph, node: NodeState, inputs: literals_pb2.LiteralMap) -> None:
    """A failure node that takes an `err` gets the failed node and its error: Flyte's way to tell it."""
    if node.spec_id != graph.template.failure_node.id:
        return
    header, container = definition.state.header, definition.state.nodes.get(node.scope)
    culprit_id = container.culprit_id if container is not None else header.failed_node_id
    failure = container.failure if container is not None else header.failure
    union = literals_pb2.Union(type=types_pb2.LiteralType(simple=types_pb2.ERROR))
    union.type.structure.tag = "FlyteError"
    union.value.scalar.error.failed_node_id = culprit_id
    union.value.scalar.error.message = failure.message if failure is not None else ""
    inputs.literals["err"].Clear()
    inputs.literals["err"].scalar.union.CopyFrom(union)


def _declared(definition: Definition, graph: Graph, node: NodeState) -> dict[str, types_pb2.LiteralType]:
    """The types of what is bound, where the plan knows them: a text from a structure may have to become a time."""
    if node.kind is NodeKind.END:
        variables = graph.template.interface.outputs.variables
    elif node.kind is NodeKind.TASK:
        variables = graph.closure.task(graph.nodes[node.spec_id]).interface.inputs.variables
    elif node.kind is NodeKind.SUBWORKFLOW:
        child = EntityId.of(graph.nodes[node.spec_id].workflow_node.sub_workflow_ref)
        variables = graph.closure.graph(child).template.interface.inputs.variables
    else:
        return {}
    return {name: variable.type for name, variable in variables.items()}


async def write(literals: Literals, definition: Definition, node: NodeState) -> literals_pb2.LiteralMap | Failure:
    """Resolve a node's inputs and store them; what is wrong with them, if they cannot be had.

    An end node's are its graph's outputs. An array's tasks read the array's own inputs, which are there already.
    """
    is_end = node.kind is NodeKind.END
    uri = definition.layout.outputs_uri(node.id, node.attempt) if is_end else node.inputs_uri
    try:
        inputs = await bind(literals, definition, node)
        if not (node.is_item and uri == definition.node(node.scope).inputs_uri):
            await literals.write(uri, inputs)
    except UnresolvedBinding as error:
        return error.failure
    except NotFound as error:
        message = f"an input of node {node.id} cannot be read: {error}"
        return Failure("BindingResolutionFailure", message, FailureKind.SYSTEM, retryable=False)
    return inputs
