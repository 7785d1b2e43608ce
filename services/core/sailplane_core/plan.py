"""What an execution walks: compiled closures, indexed.

Plan        one execution: the registered closure, and the graphs its tasks generated
 └ Closure  one compiled closure: graphs by workflow id, task templates
    └ Graph one workflow's nodes and edges; the inside of a branch and of an array node are small graphs, too
"""

from collections.abc import Mapping

from sailplane_protos.core import compiler_pb2, tasks_pb2, workflow_pb2

from .errors import InvariantBroken
from .ids import EntityId


class Graph:
    """One workflow's nodes and edges. Edges join ids as written in the template, start and end node included."""

    __slots__ = ("_insides", "closure", "downstream", "id", "nodes", "template", "upstream")

    def __init__(
        self,
        closure: "Closure",
        id: EntityId,
        template: workflow_pb2.WorkflowTemplate,
        nodes: Mapping[str, workflow_pb2.Node],
        upstream: Mapping[str, tuple[str, ...]],
        downstream: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.closure = closure
        self.id = id
        self.template = template
        self.nodes = nodes
        self.upstream = upstream
        self.downstream = downstream
        self._insides: dict[str, Graph] = {}

    @classmethod
    def of(cls, closure: "Closure", compiled: compiler_pb2.CompiledWorkflow) -> "Graph":
        """Index a compiled workflow. Its failure node is among the nodes, and nothing waits for it.

        A compiled workflow's edges also name what nodes inside branches wait for; a branch waits for that itself.
        """
        template = compiled.template
        nodes = {node.id: node for node in template.nodes}
        upstream = {key: tuple(ids.ids) for key, ids in compiled.connections.upstream.items() if key in nodes}
        downstream = {
            key: tuple(one for one in ids.ids if one in nodes) for key, ids in compiled.connections.downstream.items()
        }
        if template.HasField("failure_node"):
            nodes[template.failure_node.id] = template.failure_node
        return cls(closure, EntityId.of(template.id), template, nodes, upstream, downstream)

    def inside(self, node_id: str) -> "Graph":
        """The nodes written inside a branch (its cases) or an array node (what its items run), without edges."""
        known = self._insides.get(node_id)
        if known is None:
            nodes = {inner.id: inner for inner in _written_inside(self.nodes[node_id])}
            known = Graph(self.closure, self.id, self.template, nodes, {}, {})
            self._insides[node_id] = known
        return known


class Closure:
    """A compiled workflow closure: the graph of the workflow, of each sub-workflow, and the task templates."""

    def __init__(self, message: compiler_pb2.CompiledWorkflowClosure) -> None:
        self.message = message
        self.sub_workflows = {EntityId.of(sub.template.id): sub for sub in message.sub_workflows}
        self.tasks: dict[EntityId, tasks_pb2.TaskTemplate] = {
            EntityId.of(task.template.id): task.template for task in message.tasks
        }
        self.primary = Graph.of(self, message.primary)
        self._graphs: dict[EntityId, Graph] = {self.primary.id: self.primary}

    def graph(self, id: EntityId) -> Graph:
        """The graph of the workflow or of one of its sub-workflows."""
        known = self._graphs.get(id)
        if known is None:
            compiled = self.sub_workflows.get(id)
            if compiled is None:
                raise InvariantBroken(f"the closure of {self.primary.id} lacks sub-workflow {id}")
            known = self._graphs[id] = Graph.of(self, compiled)
        return known

    def task(self, spec: workflow_pb2.Node) -> tasks_pb2.TaskTemplate:
        """The template of a task node."""
        id = EntityId.of(spec.task_node.reference_id)
        template = self.tasks.get(id)
        if template is None:
            raise InvariantBroken(f"the closure of {self.primary.id} lacks task {id}")
        return template


class Plan:
    """What one execution walks.

    `generated` holds, by unique node id, the closures that dynamic tasks of this execution have generated; whoever
    stores one puts it here before the machine is told.
    """

    def __init__(self, closure: Closure) -> None:
        self.closure = closure
        self.generated: dict[str, Closure] = {}

    @property
    def primary(self) -> Graph:
        """The workflow's own graph."""
        return self.closure.primary

    def generated_by(self, node_id: str) -> Closure:
        """What the task of a dynamic node has generated."""
        found = self.generated.get(node_id)
        if found is None:
            raise InvariantBroken(f"the graph that node {node_id} has generated is not at hand")
        return found


def _written_inside(spec: workflow_pb2.Node) -> list[workflow_pb2.Node]:
    if spec.WhichOneof("target") == "array_node":
        return [spec.array_node.node]
    if_else = spec.branch_node.if_else
    cases = [block.then_node for block in (if_else.case, *if_else.other)]
    return [*cases, if_else.else_node] if if_else.HasField("else_node") else cases
