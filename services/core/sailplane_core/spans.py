"""Where the time of an execution went: a tree of spans, of things and of what was done for them.

    execution ─ WORKFLOW_SETUP ─ node … node ─ WORKFLOW_TEARDOWN
    node      ─ NODE_TRANSITION (since what it waited for) ─ NODE_SETUP ─ what it ran ─ NODE_TEARDOWN
    attempt   ─ TASK_SETUP ─ TASK_RUNTIME ─ TASK_TEARDOWN

Names and order are Flyte's (`flyteadmin`'s metrics manager), for clients that add the spans of one name up. A span that
would end before it begins, because machines disagree about the time, is left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_protos.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import metrics_pb2

from .ids import END_NODE_ID, START_NODE_ID, EntityId
from .plan import Closure, Graph

Span = metrics_pb2.Span
NodeExecution = node_execution_pb2.NodeExecution
TaskExecution = task_execution_pb2.TaskExecution
_Whole = execution_pb2.ExecutionClosure | node_execution_pb2.NodeExecutionClosure
_NodeOrAttempt = node_execution_pb2.NodeExecutionClosure | task_execution_pb2.TaskExecutionClosure


@dataclass(frozen=True, slots=True)
class Course:
    """An execution as it was recorded.

    `nodes` are its node executions by the unique id of the node that they lie in ("" for the workflow itself),
    `attempts` the task executions by the unique id of their node, in order. `generated` are the graphs that tasks have
    generated, and `children` the executions that launch-plan nodes have started, by unique node id.
    """

    execution: execution_pb2.Execution
    closure: Closure | None = None
    """What it runs; None if only the execution's own span is wanted."""
    nodes: Mapping[str, Sequence[NodeExecution]] = field(default_factory=dict[str, Sequence[NodeExecution]])
    attempts: Mapping[str, Sequence[TaskExecution]] = field(default_factory=dict[str, Sequence[TaskExecution]])
    generated: Mapping[str, Closure] = field(default_factory=dict[str, Closure])
    children: Mapping[str, "Course"] = field(default_factory=dict[str, "Course"])


def execution_span(course: Course, depth: int) -> Span:
    """The span of an execution, with `depth` levels of spans below it; negative for all there are."""
    closure = course.execution.closure
    span = Span(start_time=closure.created_at, end_time=closure.updated_at, workflow_id=course.execution.id)
    if depth and course.closure is not None:
        parts = _GraphParts(course, course.closure.primary, "", depth - 1)
        span.spans.extend(parts.of(closure, closure.created_at, "WORKFLOW"))
    return span


@dataclass(frozen=True, slots=True)
class _GraphParts:
    """The spans of a graph: of its nodes, of what came before the first, and of what came after the last."""

    course: Course
    graph: Graph
    scope: str
    depth: int

    def of(self, whole: _Whole, since: Timestamp, what: str, before: str = "SETUP") -> Iterator[Span]:
        """Of the graph that `whole` runs from `since` on."""
        siblings = {node.metadata.spec_node_id: node for node in self.course.nodes.get(self.scope, ())}
        start = siblings.get(START_NODE_ID)
        if start is None:
            yield from _operation(f"{what}_{before}", since, whole.updated_at)
            return
        yield from _operation(f"{what}_{before}", since, start.closure.updated_at)
        for node in sorted(siblings.values(), key=_by_age):
            if node.metadata.spec_node_id not in (START_NODE_ID, END_NODE_ID):
                yield self.node(node, siblings)
        last = self._awaited(END_NODE_ID, siblings)
        if last is not None:
            yield from _operation(f"{what}_TEARDOWN", last.closure.updated_at, whole.updated_at)

    def node(self, node: NodeExecution, siblings: Mapping[str, NodeExecution]) -> Span:
        """One node's span."""
        span = Span(start_time=node.closure.created_at, end_time=node.closure.updated_at, node_id=node.id)
        awaited = self._awaited(node.metadata.spec_node_id, siblings)
        if awaited is not None:
            span.spans.extend(_operation("NODE_TRANSITION", awaited.closure.updated_at, node.closure.created_at))
        if self.depth:
            span.spans.extend(self._parts(node))
        return span

    def _awaited(self, spec_id: str, siblings: Mapping[str, NodeExecution]) -> NodeExecution | None:
        """The last of the nodes that this one waited for."""
        upstream = [siblings[id] for id in self.graph.upstream.get(spec_id, ()) if id in siblings]
        return max(upstream, key=lambda node: node.closure.updated_at.ToNanoseconds(), default=None)

    def _parts(self, node: NodeExecution) -> Iterator[Span]:
        spec = self.graph.nodes.get(node.metadata.spec_node_id)
        match spec.WhichOneof("target") if spec is not None else None:
            case "task_node" | "array_node":
                yield from self._task_parts(node)
            case "workflow_node" if spec is not None and spec.workflow_node.HasField("sub_workflow_ref"):
                graph = self.graph.closure.graph(EntityId.of(spec.workflow_node.sub_workflow_ref))
                inside = _GraphParts(self.course, graph, node.id.node_id, self.depth - 1)
                yield from inside.of(node.closure, node.closure.created_at, "NODE")
            case "workflow_node":
                yield from self._child_parts(node)
            case "branch_node":
                yield from self._branch_parts(node)
            case "gate_node":
                yield from _gate_parts(node)
            case _:
                pass

    def _task_parts(self, node: NodeExecution) -> Iterator[Span]:
        attempts = sorted(self.course.attempts.get(node.id.node_id, ()), key=_by_age)
        if not attempts:
            yield from _operation("NODE_SETUP", node.closure.created_at, node.closure.updated_at)
            return
        yield from _operation("NODE_SETUP", node.closure.created_at, attempts[0].closure.created_at)
        for index, attempt in enumerate(attempts):
            if index:
                yield from _operation("NODE_RESET", attempts[index - 1].closure.updated_at, attempt.closure.created_at)
            if self.depth != 1:
                yield _attempt_span(attempt)
        ended_at = attempts[-1].closure.updated_at
        generated = self.course.generated.get(node.id.node_id)
        if generated is None:
            yield from _operation("NODE_TEARDOWN", ended_at, node.closure.updated_at)
        else:
            inside = _GraphParts(self.course, generated.primary, node.id.node_id, self.depth - 1)
            yield from inside.of(node.closure, ended_at, "NODE", before="RESET")

    def _child_parts(self, node: NodeExecution) -> Iterator[Span]:
        child = self.course.children.get(node.id.node_id)
        yield from _around(node, [] if child is None else [execution_span(child, self.depth - 1)])

    def _branch_parts(self, node: NodeExecution) -> Iterator[Span]:
        inside = _GraphParts(self.course, self.graph.inside(node.metadata.spec_node_id), "", self.depth - 1)
        taken = sorted(self.course.nodes.get(node.id.node_id, ()), key=_by_age)
        yield from _around(node, [inside.node(case, {}) for case in taken])


def _around(node: NodeExecution, inside: Iterable[Span]) -> Iterator[Span]:
    """What a node consists of, and the time before and after it."""
    spans = list(inside)
    if not spans:
        yield from _operation("NODE_SETUP", node.closure.created_at, node.closure.updated_at)
        return
    yield from _operation("NODE_SETUP", node.closure.created_at, spans[0].start_time)
    yield from spans
    yield from _operation("NODE_TEARDOWN", spans[-1].end_time, node.closure.updated_at)


def _gate_parts(node: NodeExecution) -> Iterator[Span]:
    closure = node.closure
    yield from _phases(closure, ("NODE_SETUP", "NODE_IDLE", "NODE_TEARDOWN"))


def _attempt_span(attempt: TaskExecution) -> Span:
    closure = attempt.closure
    span = Span(start_time=closure.created_at, end_time=closure.updated_at, task_id=attempt.id)
    span.spans.extend(_phases(closure, ("TASK_SETUP", "TASK_RUNTIME", "TASK_TEARDOWN")))
    return span


def _phases(closure: _NodeOrAttempt, names: tuple[str, str, str]) -> Iterator[Span]:
    """Until it started, while it ran, and until its end was known."""
    setup, runtime, teardown = names
    if not closure.HasField("started_at"):
        yield from _operation(setup, closure.created_at, closure.updated_at)
        return
    yield from _operation(setup, closure.created_at, closure.started_at)
    if not closure.HasField("duration"):
        yield from _operation(runtime, closure.started_at, closure.updated_at)
        return
    ended_at = Timestamp()
    ended_at.FromNanoseconds(closure.started_at.ToNanoseconds() + closure.duration.ToNanoseconds())
    yield from _operation(runtime, closure.started_at, ended_at)
    yield from _operation(teardown, ended_at, closure.updated_at)


def _operation(name: str, since: Timestamp, until: Timestamp) -> Iterator[Span]:
    if until.ToNanoseconds() >= since.ToNanoseconds():
        yield Span(start_time=since, end_time=until, operation_id=name)


def _by_age(one: NodeExecution | TaskExecution) -> tuple[int, str]:
    id = one.id.node_id if isinstance(one, NodeExecution) else str(one.id.retry_attempt).zfill(10)
    return one.closure.created_at.ToNanoseconds(), id
