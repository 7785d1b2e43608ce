"""Array nodes: the same work for each element of lists.

Every item is a row like any other node's, with retries, caching and Pods of its own; only its reports differ: they are
parts of the array's one task execution. Items are begun as places become free, so an array of any length costs a
transition no more than a short one. An item that failed may leave None in the outputs, where the array allows it.
"""

from dataclasses import replace

from .. import arrays
from ..failures import Failure, FailureKind
from ..phases import NODE_DONE, TASK_TERMINAL, NodePhase, TaskPhase
from . import lifecycle, report, scopes
from .commands import GatherItems, OpenArray, SetTimer, Timer
from .observations import ArrayOpened, BindingFailed, ItemsGathered, NodeObservation, TimerFired
from .state import NodeState
from .step import Step

FAILURES_SHOWN_MAX = 10
"""Items whose errors the array's own error repeats."""


def ready(step: Step, node: NodeState) -> None:
    """Everything upstream is there: find out how many items there are."""
    step.do(OpenArray(node.id, node.attempt))


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """The items are counted, or their results collected."""
    match seen:
        case ArrayOpened(size=size) if node.size < 0:
            opened = lifecycle.run(step, replace(node, size=size, task_phase=TaskPhase.RUNNING))
            report.array(step, opened, TaskPhase.RUNNING)
            _go_on(step, opened)
        case ItemsGathered() if _all_ended(step, node):
            report.array(step, node, TaskPhase.SUCCEEDED)
            lifecycle.succeed(step, replace(node, task_phase=TaskPhase.SUCCEEDED), outputs(step, node))
        case TimerFired(timer=Timer.ITEMS) if not _all_ended(step, node):
            _go_on(step, node)
        case BindingFailed(failure=failure) if node.size < 0 or _all_ended(step, node):
            fail(step, node, failure)
        case _:
            pass


def abort(step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
    """The items are ended one by one by whoever ends the node."""
    _end(step, node, failure, TaskPhase.ABORTED, phase)


def outputs(step: Step, node: NodeState) -> str:
    """Lists of what the items gave."""
    return step.layout.outputs_uri(node.id, node.attempt)


def child_ended(step: Step, node: NodeState, child: NodeState) -> Failure | None:
    """An item ended: begin others, or collect the results; why the array fails, if it does."""
    spec = step.spec(node).array_node
    counts = step.items(node.id)
    allowed = node.size - arrays.successes_needed(spec, node.size)
    if counts.failed > allowed and (_all_ended(step, node) or not spec.run_all_sub_nodes):
        return _failure(step, node)
    _go_on(step, node)
    return None


def fail(step: Step, node: NodeState, failure: Failure) -> None:
    """Too many items failed, or there is nothing to begin with."""
    _end(step, node, failure, TaskPhase.FAILED, NodePhase.FAILED)


def _go_on(step: Step, node: NodeState) -> None:
    spec = step.spec(node).array_node
    counts = step.items(node.id)
    if _all_ended(step, node):
        step.do(GatherItems(node.id, node.attempt))
        return
    at_once = spec.parallelism or step.policies.array_items_at_once_max
    wanted = min(node.size, counts.begun + at_once - counts.active)
    begun_to = min(wanted, counts.begun + step.items_left_to_begin(node.id))
    for index in range(counts.begun, begun_to):
        step.begin_item(node, index)
    if begun_to < wanted:
        step.do(SetTimer(node.id, node.attempt, Timer.ITEMS, step.now))


def _all_ended(step: Step, node: NodeState) -> bool:
    counts = step.items(node.id)
    return counts.succeeded + counts.failed == node.size


def _end(step: Step, node: NodeState, failure: Failure, task_phase: TaskPhase, phase: NodePhase) -> None:
    if node.task_phase is not TaskPhase.UNDEFINED and node.task_phase not in TASK_TERMINAL:
        report.array(step, node, task_phase, failure=failure)
        node = replace(node, task_phase=task_phase)
    lifecycle.fail(step, node, failure, phase)


def _failure(step: Step, node: NodeState) -> Failure:
    """What the array shows: how many items failed, and the errors of the first of them."""
    counts = step.items(node.id)
    lines = [f"{counts.failed} of {node.size} items failed"]
    first: Failure | None = None
    for index in range(counts.begun):
        item = step.node(scopes.item_id(node, index))
        if item.is_terminal and item.phase not in NODE_DONE and item.failure is not None:
            first = first or item.failure
            lines.append(f"[{index}]: {item.failure.code}: {item.failure.message}")
            if len(lines) > FAILURES_SHOWN_MAX:
                lines.append("...")
                break
    code, kind = (first.code, first.kind) if first is not None else ("ItemsFailed", FailureKind.USER)
    return Failure(code, "\n".join(lines), kind, retryable=False)
