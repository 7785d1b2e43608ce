"""What the engine works out itself for nodes that run nothing: bindings, conditions, the lengths of lists."""

from sailplane_core.failures import Failure
from sailplane_core.machine import BindingFailed, InputsBound, NodeKind, NodeState, Observation

from . import inputs
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
