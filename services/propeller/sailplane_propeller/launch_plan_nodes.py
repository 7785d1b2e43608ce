"""Launch-plan nodes: starting and ending the executions that they stand for."""

from sailplane_core.ids import EntityId, ExecutionId
from sailplane_core.machine import (
    ChildGone,
    ChildRefused,
    ChildStarted,
    Command,
    NodeState,
    Observation,
    scopes,
)
from sailplane_protos.core import literals_pb2

from . import children
from .live import Live
from .tools import Tools, with_inputs

PARENT_ENDED = "the node that started it has ended"
"""What a child is told that is ended for a reason which its parent no longer knows."""


@with_inputs
async def launch(tools: Tools, live: Live, node: NodeState, bound: literals_pb2.LiteralMap) -> Observation | None:
    """`LaunchChild`."""
    definition = live.definition
    plan = EntityId.of(definition.spec(node).workflow_node.launchplan_ref)
    caller = children.Caller(live.id, node.id, node.attempt, definition.start)
    path = scopes.path_to(definition.node, node)
    before = [one.nodes[path].child_name for one in definition.recovered_alike(node) if path in one.nodes]
    recovers = [ExecutionId(live.id.project, live.id.domain, name) for name in dict.fromkeys(before) if name]
    if not live.is_current(node.id, node.attempt):
        return None
    refused = await children.launch(tools.ports.admin, caller, plan, bound, recovers)
    if refused is not None:
        return ChildRefused(node.id, node.attempt, refused)
    return ChildStarted(node.id, node.attempt)


async def terminate(tools: Tools, live: Live, command: Command) -> Observation | None:
    """`TerminateChild`: unless there is nothing to end, admin tells when it has."""
    child = children.child_of(live.id, command.node_id, command.attempt)
    node = live.loaded.state.nodes.get(command.node_id) if live.loaded is not None else None
    cause = node.failure.message if node is not None and node.failure is not None else PARENT_ENDED
    if await children.terminate(tools.ports.admin, child, cause):
        return ChildGone(command.node_id, command.attempt)
    return None
