"""Limits, checked by walks that never recurse, before anything is copied or followed."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from sailplane_protos.core import literals_pb2, workflow_pb2

from ..errors import Problem
from ..types import NESTING_MAX
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
    return found


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
