"""Sub-workflows: which are listed, and that none contains itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sailplane_protos.core import workflow_pb2

from ..errors import Problem
from ..ids import EntityId
from . import problems, walk

SUB_WORKFLOW_NESTING_MAX = 50
"""Sub-workflows within sub-workflows."""

EXPANDED_NODES_MAX = 1_000_000
"""Nodes of one execution when every sub-workflow node is replaced by what it contains.

Forty small workflows that each contain the next one twice would otherwise never end.
"""


@dataclass(frozen=True, slots=True)
class _Reference:
    """A node of a workflow that runs another one."""

    node_id: str
    workflow: EntityId


def index(
    id: EntityId, sub_workflows: Iterable[workflow_pb2.WorkflowTemplate], found: list[Problem]
) -> Mapping[EntityId, workflow_pb2.WorkflowTemplate]:
    """The sub-workflows by id, as listed. The same one may be listed again."""
    listed: dict[EntityId, workflow_pb2.WorkflowTemplate] = {}
    for template in sub_workflows:
        sub_id = walk.workflow_id(template.id)
        if sub_id == id or (sub_id in listed and listed[sub_id] != template):
            found.append(problems.value_collision(str(sub_id)))
        else:
            listed.setdefault(sub_id, template)
    return listed


def check(
    id: EntityId, template: workflow_pb2.WorkflowTemplate, listed: Mapping[EntityId, workflow_pb2.WorkflowTemplate]
) -> list[Problem]:
    """Recursion, and limits on what the workflow unfolds to."""
    templates = {**listed, id: template}
    references = {one: list(_references(written)) for one, written in templates.items()}
    order, cycle = _innermost_first(id, references)
    if cycle:
        culprit = next(reference.node_id for reference in references[cycle[0]] if reference.workflow == cycle[1])
        return [problems.recursive_workflow(culprit, [one.name for one in cycle])]
    depth: dict[EntityId, int] = {}
    nodes: dict[EntityId, int] = {}
    for one in order:
        inner = [reference.workflow for reference in references[one] if reference.workflow in templates]
        depth[one] = 1 + max((depth[sub] for sub in inner), default=0)
        nodes[one] = len(templates[one].nodes) + sum(nodes[sub] for sub in inner)
    if depth[id] > SUB_WORKFLOW_NESTING_MAX:
        return [problems.nested_too_deep(id.name, "Sub-workflows", SUB_WORKFLOW_NESTING_MAX)]
    if nodes[id] > EXPANDED_NODES_MAX:
        return [problems.too_many_nodes(id.name, nodes[id], EXPANDED_NODES_MAX)]
    return []


def _references(template: workflow_pb2.WorkflowTemplate) -> Iterator[_Reference]:
    for node in walk.all_nodes(template):
        workflow = walk.sub_workflow_id(node)
        if workflow:
            yield _Reference(node.id, workflow)


def _innermost_first(
    root: EntityId, references: Mapping[EntityId, list[_Reference]]
) -> tuple[list[EntityId], list[EntityId]]:
    """The workflows that `root` contains, each after those that it contains, `root` last; or a cycle among them."""
    done: dict[EntityId, None] = {}
    path: dict[EntityId, Iterator[_Reference]] = {root: iter(references[root])}
    while path:
        current = next(reversed(path))
        inner = next(path[current], None)
        if inner is None:
            done[current] = None
            del path[current]
        elif inner.workflow in path:
            steps = list(path)
            return [], [*steps[steps.index(inner.workflow) :], inner.workflow]
        elif inner.workflow in references and inner.workflow not in done:
            path[inner.workflow] = iter(references[inner.workflow])
    return list(done), []
