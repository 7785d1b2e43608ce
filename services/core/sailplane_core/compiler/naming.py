"""Node ids: completed, checked, and used in every reference, before anything else looks at them."""

import re

from sailplane_protos.core import workflow_pb2

from ..errors import Problem
from ..ids import END_NODE_ID, START_NODE_ID, ResourceType
from . import problems, walk

_RESERVED = (START_NODE_ID, END_NODE_ID)
_USABLE_ID = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")


def prepare(template: workflow_pb2.WorkflowTemplate, found: list[Problem]) -> workflow_pb2.WorkflowTemplate:
    """A copy of the template with its start and end node first, final node ids, and references in one form.

    A node in a case of a branch is called `<branch>-<node>`. A promise of the workflow's own inputs, written with no
    node id, names the start node. Upstream ids are sorted, and the start node is left out of them: every node comes
    after it, and flytekit looks for a node of that name among those it kept. The end node's inputs are the workflow's
    outputs. Identifiers say what they identify, where the client did not. Nodes that have no usable id are reported,
    and left out.
    """
    result = workflow_pb2.WorkflowTemplate()
    result.CopyFrom(template)
    result.interface.inputs.SetInParent()
    result.interface.outputs.SetInParent()
    taken: set[str] = set(_RESERVED)
    kept = [node for node in result.nodes if _name(node, taken, found)]
    if result.HasField("failure_node"):
        _name(result.failure_node, taken, found)
    for binding in walk.promises(result.outputs):
        binding.node_id = binding.node_id or START_NODE_ID
    start = workflow_pb2.Node(id=START_NODE_ID)
    end = workflow_pb2.Node(id=END_NODE_ID, inputs=result.outputs)
    ordered = [start, end, *kept]
    del result.nodes[:]
    result.nodes.extend(ordered)
    return result


def _name(node: workflow_pb2.Node, taken: set[str], found: list[Problem]) -> bool:
    """Give the node and all within it their final ids; False if its own cannot be used."""
    reported = len(found)
    _check_id(node, "", taken, found)
    is_usable = len(found) == reported
    for member in walk.branch_members(node):
        _normalise(member)
        if member.array_node.HasField("node"):
            _normalise(member.array_node.node)
        if member.HasField("branch_node"):
            # Members come outermost first, so a branch has its final id before its cases are named after it.
            for case in walk.cases(member.branch_node):
                _check_id(case, f"{member.id}-", taken, found)
    return is_usable


def _check_id(node: workflow_pb2.Node, prefix: str, taken: set[str], found: list[Problem]) -> None:
    if not node.id:
        found.append(problems.value_required(prefix.removesuffix("-") or "<node>", "The id of a node"))
        return
    if not _USABLE_ID.fullmatch(node.id) or node.id in (".", ".."):
        found.append(problems.invalid_node_id(node.id))
    node.id = prefix + node.id
    if node.id in _RESERVED:
        found.append(problems.duplicate_id(node.id, f"{node.id!r} is the name of a node that every workflow has."))
    elif node.id in taken:
        found.append(problems.duplicate_id(node.id, "Two nodes have this id."))
    taken.add(node.id)


def _normalise(node: workflow_pb2.Node) -> None:
    match node.WhichOneof("target"):
        case "task_node" if node.task_node.HasField("reference_id"):
            node.task_node.reference_id.resource_type = ResourceType.TASK
        case "workflow_node" if node.workflow_node.HasField("launchplan_ref"):
            node.workflow_node.launchplan_ref.resource_type = ResourceType.LAUNCH_PLAN
        case "workflow_node" if node.workflow_node.HasField("sub_workflow_ref"):
            node.workflow_node.sub_workflow_ref.resource_type = ResourceType.WORKFLOW
        case _:
            pass
    for promise in walk.promises(node.inputs):
        promise.node_id = promise.node_id or START_NODE_ID
    node.upstream_node_ids[:] = sorted({one for one in node.upstream_node_ids if one not in ("", START_NODE_ID)})
