"""What the engine works out itself for nodes that run nothing: bindings, conditions, the lengths of lists."""

from sailplane_core.dynamic import workflow_id
from sailplane_core.failures import Failure
from sailplane_core.layout import FUTURES
from sailplane_core.machine import (
    BindingFailed,
    GraphBuilt,
    GraphRefused,
    InputsBound,
    NodeKind,
    NodeState,
    Observation,
    scopes,
)
from sailplane_core.phases import TaskPhase
from sailplane_core.plan import Closure

from . import dynamic, inputs
from .live import Live
from .tools import Tools, layout_of


async def bind_inputs(tools: Tools, live: Live, node: NodeState) -> Observation:
    """`BindInputs`."""
    is_end = node.kind is NodeKind.END
    uri = layout_of(live).outputs_uri(node.id, node.attempt) if is_end else node.inputs_uri
    bound = await inputs.write(tools.literals, live, node, uri)
    if isinstance(bound, Failure):
        return BindingFailed(node.id, node.attempt, bound)
    return InputsBound(node.id, node.attempt)


async def build_graph(tools: Tools, live: Live, node: NodeState) -> Observation:
    """`BuildGraph`. Where the execution recovered from had its graph, that is taken, as its nodes are known."""
    definition, layout = live.definition, layout_of(live)
    lookup = definition.state.nodes.__getitem__
    earlier = definition.state.earlier.get(scopes.path_to(lookup, node))
    if earlier is not None and earlier.graph_uri and node.task_phase is TaskPhase.UNDEFINED:
        graph_uri = earlier.graph_uri
        job_uri = f"{graph_uri.rpartition('/')[0]}/{FUTURES}"
        built = await dynamic.load(tools.ports.blobs, graph_uri)
    else:
        graph_uri = layout.dynamic_closure_uri(node.id, node.attempt)
        job_uri = layout.futures_uri(node.id, node.attempt)
        id = workflow_id(live.id, node.id, node.attempt)
        interface = scopes.task_of(definition.plan, lookup, node).interface
        bytes_max = tools.ports.settings.graph_bytes_max
        built = await dynamic.build(tools.ports.blobs, tools.ports.admin, id, interface, job_uri, graph_uri, bytes_max)
    if isinstance(built, Failure):
        return GraphRefused(node.id, node.attempt, built)
    definition.plan.generated[node.id] = Closure(built)
    return GraphBuilt(node.id, node.attempt, graph_uri, job_uri)
