"""The walk through graphs: what follows when a node ends, and how scopes end.

The same walk serves the workflow, every sub-workflow and every generated graph in it: a *scope* is the unique id of
the node that the graph lies in, "" for the workflow itself.
"""

from dataclasses import replace

from sailplane_protos.core import workflow_pb2

from ..failures import Failure, FailureKind
from ..ids import END_NODE_ID
from ..phases import NODE_DONE, ExecutionPhase, NodePhase, move_execution
from . import deadlines, lifecycle, report
from .kinds import CONTAINERS, GRAPH_CONTAINERS, KINDS, PARALLEL_KINDS
from .state import NodeKind, NodeState
from .step import Step

AUTO_ABORTED = Failure("NodeAborted", "Some node execution failed, auto-abort.", FailureKind.USER, retryable=False)
"""Flyte's words for what happens to the other nodes when one fails."""
OUT_OF_TIME = Failure(
    "NodeAborted", "What this is a part of did not end in time, auto-abort.", FailureKind.USER, retryable=False
)

NESTING_MAX = 100
"""Nodes that a node may lie in: what a dynamic task that calls itself for ever comes to."""
_NESTED_TOO_DEEP = Failure(
    "NestedTooDeep", f"a node may lie in {NESTING_MAX} others at most", FailureKind.USER, retryable=False
)


def settle(step: Step) -> None:
    """Follow every node that ended to what waited for it, until nothing more ends or begins."""
    while True:
        if step.ended:
            _follow(step, step.ended.popleft())
        elif step.beginning:
            _begin(step, step.beginning.popleft())
        elif step.has_slot() and (held_back := step.next_waiting()) is not None:
            _admit(step, held_back)
        else:
            return


def abort_within(step: Step, scope: str, failure: Failure) -> None:
    """End everything active in a scope, what lies in a node before the node."""
    for node in step.active_in(scope):
        abort_within(step, node.id, failure)
        KINDS[node.kind].abort(step, node, failure, NodePhase.ABORTED)


def end_too_late(step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
    """End a node that took too long, with everything in it."""
    abort_within(step, node.id, OUT_OF_TIME)
    KINDS[node.kind].abort(step, node, failure, phase)


def end_removal(step: Step, node: NodeState) -> None:
    """A Pod or child execution is gone, for which failure nodes around it may have waited."""
    step.put(replace(node, removing=False))
    for container in step.containers(node):
        if container.culprit_id and not container.is_terminal:
            _clean_up(step, container.id)


def fail_execution(step: Step, failure: Failure, culprit_id: str) -> None:
    """The execution fails, of a node or, without a culprit, of its deadline: whatever is active ends."""
    phase = move_execution(step.header.phase, ExecutionPhase.FAILING)
    step.header = replace(step.header, phase=phase, failure=failure, failed_node_id=culprit_id)
    report.execution(step, phase, failure=failure)
    abort_within(step, "", AUTO_ABORTED if culprit_id else OUT_OF_TIME)


def failure_node(step: Step, scope: str) -> workflow_pb2.Node | None:
    """The node that runs when the scope's workflow fails."""
    if scope and step.node(scope).kind is not NodeKind.SUBWORKFLOW:
        return None
    template = step.graph(scope).template
    return template.failure_node if template.HasField("failure_node") else None


# Beginning


def _begin(step: Step, node: NodeState) -> None:
    """Its turn has come: take over what an earlier execution finished, hold it back, or let it go on."""
    reached = step.find(node.id)
    if _is_closed(step, node) or (reached is not None and reached.phase is not NodePhase.UNDEFINED):
        return
    earlier = step.earlier(node) if _may_be_recovered(step, node) else None
    if earlier is not None and earlier.phase in NODE_DONE:
        _recover(step, node, earlier)
        return
    queued = step.move(replace(node, inputs_uri=_inputs_uri(step, node)), NodePhase.QUEUED)
    report.node(step, queued, NodePhase.QUEUED)
    if step.depth(queued) > NESTING_MAX:
        lifecycle.fail(step, queued, _NESTED_TOO_DEEP)
    elif _is_counted(step, queued) and (step.is_anybody_waiting() or not step.has_slot()):
        step.put(replace(queued, is_waiting=True, reason="waits for a place: max_parallelism nodes run"))
    else:
        _admit(step, queued)


def _admit(step: Step, node: NodeState) -> None:
    admitted = replace(node, is_waiting=False, holds_slot=_is_counted(step, node), reason="")
    step.put(admitted)
    deadlines.arm_node(step, admitted)
    if admitted.kind is not NodeKind.TASK:
        deadlines.arm_attempt(step, admitted)
    KINDS[admitted.kind].ready(step, admitted)


def _recover(step: Step, node: NodeState, earlier: NodeState) -> None:
    taken = replace(
        node,
        inputs_uri=earlier.inputs_uri,
        outputs_uri=earlier.outputs_uri,
        deck_uri=earlier.deck_uri,
        child_name=earlier.child_name,
        size=earlier.size,
    )
    report.node(step, step.move(taken, NodePhase.RECOVERED), NodePhase.RECOVERED)


def _may_be_recovered(step: Step, node: NodeState) -> bool:
    """A failure node cleans up after this run, whatever it did after the earlier one."""
    if node.kind is NodeKind.END or any(container.culprit_id for container in step.containers(node)):
        return False
    return step.header.phase is ExecutionPhase.RUNNING


def _is_counted(step: Step, node: NodeState) -> bool:
    return node.kind in PARALLEL_KINDS and not any(above.kind is NodeKind.ARRAY for above in step.containers(node))


def _inputs_uri(step: Step, node: NodeState) -> str:
    """Where its inputs will lie: an array's tasks all read the array's own, and find their elements themselves."""
    if node.is_item and node.kind is NodeKind.TASK:
        array = step.node(node.scope)
        if step.spec(array).array_node.data_mode == workflow_pb2.ArrayNode.SINGLE_INPUT_FILE:
            return array.inputs_uri
    return step.layout.inputs_uri(node.id)


def _is_closed(step: Step, node: NodeState) -> bool:
    """Whether nothing may begin beside this node any more.

    When a workflow has failed, only what belongs to its failure node goes on.
    """
    inner = node
    for container in step.containers(node):
        if container.is_terminal:
            return True
        if container.culprit_id and not _is_failure_node(step, inner):
            return True
        inner = container
    if step.header.phase is ExecutionPhase.FAILING:
        return not _is_failure_node(step, inner)
    return step.header.phase is ExecutionPhase.ABORTING or step.header.is_terminal


def _is_failure_node(step: Step, node: NodeState) -> bool:
    spec = failure_node(step, node.scope)
    return spec is not None and node.spec_id == spec.id


# Ending


def _follow(step: Step, node: NodeState) -> None:
    if not node.scope:
        if step.header.phase is ExecutionPhase.FAILING and _is_failure_node(step, node):
            step.header = replace(step.header, failure=node.failure or step.header.failure)
            return
    else:
        container = step.node(node.scope)
        if container.culprit_id and not container.is_terminal and _is_failure_node(step, node):
            failure = node.failure or container.failure or AUTO_ABORTED
            GRAPH_CONTAINERS[container.kind].fail(step, container, failure)
            return
    if _is_closed(step, node):
        return
    if node.scope and (container := step.node(node.scope)).kind in CONTAINERS:
        failure = CONTAINERS[container.kind].child_ended(step, container, node)
        if failure is not None:
            abort_within(step, container.id, AUTO_ABORTED)
            CONTAINERS[container.kind].fail(step, container, failure)
    elif node.spec_id == END_NODE_ID:
        _leave_graph(step, node)
    elif node.phase in (NodePhase.FAILED, NodePhase.TIMED_OUT) and _fails_immediately(step, node.scope):
        _fail_graph(step, node)
    else:
        for spec_id in step.graph(node.scope).downstream.get(node.spec_id, ()):
            if step.count_down(node.scope, spec_id) == 0:
                _reach(step, node.scope, spec_id)


def _fails_immediately(step: Step, scope: str) -> bool:
    policy = step.graph(scope).template.metadata.on_failure
    return policy == workflow_pb2.WorkflowMetadata.FAIL_IMMEDIATELY


def _reach(step: Step, scope: str, spec_id: str) -> None:
    """Every upstream node has ended: begin, or skip if one of them left nothing to go on with."""
    upstream = [step.node(step.id_in(scope, above)) for above in step.graph(scope).upstream.get(spec_id, ())]
    if all(above.phase in NODE_DONE for above in upstream):
        if spec_id == END_NODE_ID and not scope:
            step.header = replace(step.header, phase=move_execution(step.header.phase, ExecutionPhase.SUCCEEDING))
            report.execution(step, ExecutionPhase.SUCCEEDING)
        step.begin(scope, spec_id)
    else:
        spec = step.graph(scope).nodes[spec_id]
        skipped = NodeState(step.id_in(scope, spec_id), spec_id, scope, NodeKind.of(spec))
        report.node(step, step.move(skipped, NodePhase.SKIPPED), NodePhase.SKIPPED)


def _leave_graph(step: Step, end: NodeState) -> None:
    """A graph's end node has ended, and the graph with it; an execution that has its outputs ends in `workflow.py`."""
    if end.phase is NodePhase.SUCCEEDED:
        if end.scope:
            container = step.node(end.scope)
            outputs_uri = KINDS[container.kind].outputs(step, container)
            GRAPH_CONTAINERS[container.kind].graph_succeeded(step, container, outputs_uri)
    elif end.phase is NodePhase.SKIPPED:
        _fail_graph(step, _last_failed(step, end.scope))
    else:
        _fail_graph(step, end)


def _last_failed(step: Step, scope: str) -> NodeState:
    """The node whose error a graph shows that let its other nodes run on: the one that failed last."""
    nodes = (step.find(step.id_in(scope, spec_id)) for spec_id in step.graph(scope).nodes)
    failed = [node for node in nodes if node is not None and node.failure is not None]
    return max(failed, key=lambda node: (node.ended_at or step.now, node.id))


def _fail_graph(step: Step, culprit: NodeState) -> None:
    """A graph fails because of one of its nodes: whatever is active in it ends, then its failure node runs."""
    failure = culprit.failure or Failure("NodeFailed", f"node {culprit.id} failed", FailureKind.SYSTEM, retryable=False)
    if not culprit.scope:
        fail_execution(step, failure, culprit.id)
        return
    abort_within(step, culprit.scope, AUTO_ABORTED)
    container = step.node(culprit.scope)
    if failure_node(step, container.id) is None:
        GRAPH_CONTAINERS[container.kind].fail(step, container, failure)
    else:
        step.put(replace(container, culprit_id=culprit.id, failure=failure))
        _clean_up(step, container.id)


def _clean_up(step: Step, scope: str) -> None:
    """Begin the failure node of a sub-workflow that has failed, once nothing is left that it might clean up after."""
    cleanup = failure_node(step, scope)
    if cleanup is not None and not step.is_removing_within(scope):
        step.begin(scope, cleanup.id)
