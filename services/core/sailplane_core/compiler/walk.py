"""Ways through a template: what a node refers to, the nodes in a node, the promises in a binding."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sailplane_protos.core import identifier_pb2, literals_pb2, types_pb2, workflow_pb2

from ..ids import EntityId, ResourceType


def task_id(node: workflow_pb2.Node) -> EntityId | None:
    """The task that the node runs, whatever kind its identifier claims to be of; None if it names none."""
    if not node.task_node.HasField("reference_id"):
        return None
    return replace(EntityId.of(node.task_node.reference_id), kind=ResourceType.TASK)


def launch_plan_id(node: workflow_pb2.Node) -> EntityId | None:
    """The launch plan that the node runs; None if it names none."""
    if not node.workflow_node.HasField("launchplan_ref"):
        return None
    return replace(EntityId.of(node.workflow_node.launchplan_ref), kind=ResourceType.LAUNCH_PLAN)


def sub_workflow_id(node: workflow_pb2.Node) -> EntityId | None:
    """The sub-workflow that the node runs; None if it names none."""
    if not node.workflow_node.HasField("sub_workflow_ref"):
        return None
    return workflow_id(node.workflow_node.sub_workflow_ref)


def workflow_id(message: identifier_pb2.Identifier) -> EntityId:
    """The identifier of a workflow, whatever kind it claims to be of."""
    return replace(EntityId.of(message), kind=ResourceType.WORKFLOW)


def cases(branch: workflow_pb2.BranchNode) -> Iterator[workflow_pb2.Node]:
    """The node of each case in the order they are tried, the else node last; cases without a node are left out."""
    blocks = [branch.if_else.case, *branch.if_else.other]
    yield from (block.then_node for block in blocks if block.HasField("then_node"))
    if branch.if_else.HasField("else_node"):
        yield branch.if_else.else_node


def inner_nodes(node: workflow_pb2.Node) -> Iterable[workflow_pb2.Node]:
    """The nodes written directly inside this one: a branch's cases, what an array node runs."""
    match node.WhichOneof("target"):
        case "branch_node":
            return cases(node.branch_node)
        case "array_node" if node.array_node.HasField("node"):
            return (node.array_node.node,)
        case _:
            return ()


def branch_members(node: workflow_pb2.Node) -> Iterator[workflow_pb2.Node]:
    """The node itself and every node in a case of it, at any depth."""
    stack = [node]
    while stack:
        one = stack.pop()
        yield one
        if one.HasField("branch_node"):
            stack.extend(reversed(list(cases(one.branch_node))))


def all_nodes(template: workflow_pb2.WorkflowTemplate) -> Iterator[workflow_pb2.Node]:
    """Every node written in the workflow, at any depth, its failure node included."""
    stack = list(reversed(template.nodes))
    if template.HasField("failure_node"):
        stack.insert(0, template.failure_node)
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(inner_nodes(node))))


def inner_data(data: literals_pb2.BindingData) -> Iterable[literals_pb2.BindingData]:
    """What a list or map binding is made of."""
    match data.WhichOneof("value"):
        case "collection":
            return data.collection.bindings
        case "map":
            return data.map.bindings.values()
        case _:
            return ()


def promises(bindings: Iterable[literals_pb2.Binding]) -> Iterator[types_pb2.OutputReference]:
    """Every reference to another node's output in these bindings."""
    stack = [binding.binding for binding in bindings]
    while stack:
        data = stack.pop()
        if data.HasField("promise"):
            yield data.promise
        else:
            stack.extend(inner_data(data))
