"""Limits, checked by walks that never recurse, before anything is copied or followed."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from google.protobuf.message import DecodeError, EncodeError
from sailplane_protos.core import compiler_pb2, interface_pb2, literals_pb2, workflow_pb2
from sailplane_protos.propeller import queue_pb2

from ..errors import InvalidRequest, Problem
from ..types import NESTING_MAX, nesting
from . import problems, walk

NODES_MAX = 50_000
"""Nodes written in a workflow and the sub-workflows listed with it, those in branches included."""

BRANCH_NESTING_MAX = 20
"""Branches within branches. Protobuf refuses to parse many more."""

T = TypeVar("T")


def exceeded(
    name: str,
    template: workflow_pb2.WorkflowTemplate,
    sub_workflows: Iterable[workflow_pb2.WorkflowTemplate],
    nodes_max: int,
) -> list[Problem]:
    """The limits that the workflow or one of its sub-workflows exceeds."""
    found: list[Problem] = []
    count = 0
    for workflow in (template, *sub_workflows):
        if _is_deeper(_written_nodes(workflow), walk.inner_nodes, BRANCH_NESTING_MAX):
            found.append(problems.nested_too_deep(workflow.id.name, "Branches", BRANCH_NESTING_MAX))
        count += sum(1 for _ in walk.all_nodes(workflow))
        if count > nodes_max:
            return [*found, problems.too_many_nodes(name, count, nodes_max)]
        if _is_deeper(_bound_data(workflow), walk.inner_data, NESTING_MAX):
            found.append(problems.nested_too_deep(workflow.id.name, "Bindings", NESTING_MAX))
        found += too_deep_types(workflow.id.name, workflow.interface)
    return found


def too_deep_types(where: str, interface: interface_pb2.TypedInterface) -> list[Problem]:
    """A problem if an input or output is of a type that cannot be followed. `where` is what the problem names."""
    try:
        for variable in (*interface.inputs.variables.values(), *interface.outputs.variables.values()):
            nesting.check_type(variable.type)
    except InvalidRequest:
        return [problems.nested_too_deep(where, "Types", NESTING_MAX)]
    return []


def is_readable(closure: compiler_pb2.CompiledWorkflowClosure) -> bool:
    """Whether a stock client could parse it.

    Protobuf refuses messages of more than 100 levels, and what was just within that limit when it was sent is deeper
    once it is stored and sent back. The deepest it is ever wrapped is in a batch of events, as a dynamic workflow.
    """
    batch = queue_pb2.EventBatch()
    try:
        batch.events.add().node.task_node_metadata.dynamic_workflow.compiled_workflow.CopyFrom(closure)
        queue_pb2.EventBatch.FromString(batch.SerializeToString())
    except (DecodeError, EncodeError):
        return False
    return True


def _written_nodes(workflow: workflow_pb2.WorkflowTemplate) -> list[workflow_pb2.Node]:
    return [*workflow.nodes, *([workflow.failure_node] if workflow.HasField("failure_node") else [])]


def _bound_data(workflow: workflow_pb2.WorkflowTemplate) -> list[literals_pb2.BindingData]:
    bindings = [binding for node in walk.all_nodes(workflow) for binding in node.inputs]
    return [binding.binding for binding in (*bindings, *workflow.outputs)]


def _is_deeper(level: list[T], inner: Callable[[T], Iterable[T]], levels_max: int) -> bool:
    for _ in range(levels_max):
        level = [one for outer in level for one in inner(outer)]
        if not level:
            return False
    return True
