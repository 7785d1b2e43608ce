"""What the engine works out itself for nodes that run nothing: bindings, conditions, the lengths of lists."""

from sailplane_core import arrays, conditions, task_result
from sailplane_core.dynamic import workflow_id
from sailplane_core.failures import Failure
from sailplane_core.ids import EntityId
from sailplane_core.layout import FUTURES
from sailplane_core.machine import (
    ArrayOpened,
    BindingFailed,
    BranchTaken,
    GraphBuilt,
    GraphRefused,
    InputsBound,
    ItemsGathered,
    NodeKind,
    NodeState,
    Observation,
    scopes,
)
from sailplane_core.phases import NODE_DONE, TaskPhase
from sailplane_core.plan import Closure
from sailplane_protos.core import literals_pb2

from . import dynamic
from .live import Live
from .tools import Tools, with_inputs


@with_inputs
async def bind_inputs(tools: Tools, live: Live, node: NodeState, bound: literals_pb2.LiteralMap) -> Observation:
    """`BindInputs`."""
    return InputsBound(node.id, node.attempt)


async def build_graph(tools: Tools, live: Live, node: NodeState) -> Observation:
    """`BuildGraph`. Where an execution that is recovered had its graph, that is taken, as its nodes are known."""
    definition = live.definition
    earlier = definition.earlier(node)
    if earlier is not None and earlier.graph_uri and node.task_phase is TaskPhase.UNDEFINED:
        graph_uri = earlier.graph_uri
        job_uri = f"{graph_uri.rpartition('/')[0]}/{FUTURES}"
        built = await dynamic.load(tools.ports.blobs, graph_uri)
    else:
        graph_uri = definition.layout.dynamic_closure_uri(node.id, node.attempt)
        job_uri = definition.layout.futures_uri(node.id, node.attempt)
        id = workflow_id(live.id, node.id, node.attempt)
        interface = definition.task(node).interface
        bytes_max = tools.ports.settings.graph_bytes_max
        built = await dynamic.build(tools.ports.blobs, tools.ports.admin, id, interface, job_uri, graph_uri, bytes_max)
    if isinstance(built, Failure):
        return GraphRefused(node.id, node.attempt, built)
    definition.plan.generated[node.id] = Closure(built)
    return GraphBuilt(node.id, node.attempt, graph_uri, job_uri)


@with_inputs
async def take_branch(tools: Tools, live: Live, node: NodeState, bound: literals_pb2.LiteralMap) -> Observation:
    """`TakeBranch`."""
    chosen = conditions.choose(live.definition.spec(node).branch_node, await tools.literals.values(bound))
    if isinstance(chosen, Failure):
        return BindingFailed(node.id, node.attempt, chosen)
    return BranchTaken(node.id, node.attempt, chosen)


@with_inputs
async def open_array(tools: Tools, live: Live, node: NodeState, bound: literals_pb2.LiteralMap) -> Observation:
    """`OpenArray`."""
    values = await tools.literals.values(bound)
    size = arrays.size(live.definition.spec(node).array_node, values, tools.ports.settings.array_items_max)
    if isinstance(size, Failure):
        return BindingFailed(node.id, node.attempt, size)
    return ArrayOpened(node.id, node.attempt, size)


async def gather_items(tools: Tools, live: Live, node: NodeState) -> Observation:
    """`GatherItems`."""
    gathered: list[literals_pb2.LiteralMap | None] = []
    bytes_left = bytes_max = tools.ports.settings.output_bytes_max
    for index in range(node.size):
        item = live.definition.node(scopes.item_id(node, index))
        given = await tools.literals.read(item.outputs_uri) if item.phase in NODE_DONE else None
        bytes_left -= 0 if given is None else given.ByteSize()
        if bytes_left < 0:
            return BindingFailed(
                node.id,
                node.attempt,
                task_result.too_large(f"outputs up to item {index} have {bytes_max - bytes_left} bytes", bytes_max),
            )
        gathered.append(given)
    outputs = arrays.gathered(gathered, await _output_names(tools, live, node))
    await tools.literals.write(live.definition.layout.outputs_uri(node.id, node.attempt), outputs)
    return ItemsGathered(node.id, node.attempt)


async def _output_names(tools: Tools, live: Live, node: NodeState) -> list[str]:
    """What the array's items give: what their interface declares."""
    inner = live.definition.inside(node)
    spec = live.definition.spec(node).array_node.node
    match NodeKind.of(spec):
        case NodeKind.TASK:
            interface = inner.closure.task(spec).interface
        case NodeKind.SUBWORKFLOW:
            interface = inner.closure.graph(EntityId.of(spec.workflow_node.sub_workflow_ref)).template.interface
        case _:
            plan = await tools.ports.admin.get_launch_plan(EntityId.of(spec.workflow_node.launchplan_ref))
            return sorted(plan.closure.expected_outputs.variables)
    return sorted(interface.outputs.variables)
