"""What an execution walks: the compiled closure, indexed once, and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from sailplane_protos.core import compiler_pb2, tasks_pb2, workflow_pb2

from .errors import InvariantBroken
from .ids import EntityId


@dataclass(frozen=True, slots=True)
class Graph:
    """One workflow's nodes and edges. Edges join ids as written in the template, start and end node included."""

    id: EntityId
    template: workflow_pb2.WorkflowTemplate
    nodes: Mapping[str, workflow_pb2.Node]
    upstream: Mapping[str, tuple[str, ...]]
    downstream: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, compiled: compiler_pb2.CompiledWorkflow) -> "Graph":
        """Index a compiled workflow."""
        connections = compiled.connections
        return cls(
            id=EntityId.of(compiled.template.id),
            template=compiled.template,
            nodes={node.id: node for node in compiled.template.nodes},
            upstream={key: tuple(ids.ids) for key, ids in connections.upstream.items()},
            downstream={key: tuple(ids.ids) for key, ids in connections.downstream.items()},
        )


class Plan:
    """A compiled workflow closure: the graph of the workflow, of each sub-workflow, and the task templates."""

    def __init__(self, closure: compiler_pb2.CompiledWorkflowClosure) -> None:
        self.primary = Graph.of(closure.primary)
        self.sub_workflows = {EntityId.of(sub.template.id): sub for sub in closure.sub_workflows}
        self.tasks: dict[EntityId, tasks_pb2.TaskTemplate] = {
            EntityId.of(task.template.id): task.template for task in closure.tasks
        }
        self._graphs: dict[EntityId, Graph] = {self.primary.id: self.primary}

    def graph(self, id: EntityId) -> Graph:
        """The graph of the workflow or of one of its sub-workflows."""
        known = self._graphs.get(id)
        if known is None:
            compiled = self.sub_workflows.get(id)
            if compiled is None:
                raise InvariantBroken(f"the closure of {self.primary.id} lacks sub-workflow {id}")
            known = self._graphs[id] = Graph.of(compiled)
        return known

    def task(self, node: workflow_pb2.Node) -> tasks_pb2.TaskTemplate:
        """The template of a task node."""
        id = EntityId.of(node.task_node.reference_id)
        template = self.tasks.get(id)
        if template is None:
            raise InvariantBroken(f"the closure of {self.primary.id} lacks task {id}")
        return template
