"""Whether an event may be recorded, given what is recorded already.

    recorded      event                        ruling
    ended         any                          TERMINAL    FAILED_PRECONDITION, the client stops
    a phase       the same one                 DUPLICATE   ALREADY_EXISTS, the client goes on
    a phase       one that cannot follow it    REFUSED     FAILED_PRECONDITION
    a phase       any other                    ACCEPTED

What comes from the queue may come twice and late, and whatever is not ACCEPTED is dropped; who calls the RPC gets
`Verdict.error`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TypeVar

from sailplane_protos.core import execution_pb2
from sailplane_protos.event import event_pb2

from .errors import AlreadyExists, AlreadyTerminal, Refused, SailplaneError, WrongCluster
from .phases import EXECUTION_TERMINAL, NODE_TERMINAL, TASK_TERMINAL, ExecutionPhase, NodePhase, TaskPhase

RETRYABLE_FAILED = execution_pb2.TaskExecution.RETRYABLE_FAILED
"""A phase that only connectors know between themselves; as an event it is a failure."""


class Ruling(Enum):
    """What becomes of an event."""

    ACCEPTED = auto()
    DUPLICATE = auto()
    TERMINAL = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ruling, and what to tell the caller of an RPC unless it is ACCEPTED."""

    ruling: Ruling
    error: SailplaneError | None = None

    @property
    def accepted(self) -> bool:
        """Whether the event is to be recorded."""
        return self.ruling is Ruling.ACCEPTED


ACCEPTED = Verdict(Ruling.ACCEPTED)

P = TypeVar("P", ExecutionPhase, NodePhase, TaskPhase)

_E = ExecutionPhase
_ORDER: dict[ExecutionPhase, int] = {
    _E.UNDEFINED: 0,
    _E.QUEUED: 1,
    _E.RUNNING: 2,
    _E.SUCCEEDING: 3,
    _E.FAILING: 4,
    _E.ABORTING: 5,
    _E.SUCCEEDED: 6,
    _E.FAILED: 6,
    _E.ABORTED: 6,
    _E.TIMED_OUT: 6,
}
"""An execution only moves forward, and may skip steps: its events are reported by somebody who may miss some."""
_T = TaskPhase
_STARTED = {
    _T.UNDEFINED: 0,
    _T.QUEUED: 1,
    _T.WAITING_FOR_RESOURCES: 2,
    _T.INITIALIZING: 3,
    _T.RUNNING: 4,
    **dict.fromkeys(TASK_TERMINAL, 5),
}
"""How far an attempt has come."""
_NOBODY = frozenset({"", "propeller"})
"""Producers that name no cluster."""


def judge_workflow(current: int, event: event_pb2.WorkflowExecutionEvent, cluster: str = "") -> Verdict:
    """An event of an execution whose recorded phase is `current` and which runs on `cluster` ("" if that is one).

    A repeated QUEUED is accepted: the execution is handed to another cluster.
    """
    before, after = ExecutionPhase(current), _known(ExecutionPhase, event.phase)
    what = f"execution {event.execution_id.project}:{event.execution_id.domain}:{event.execution_id.name}"
    if after is None:
        return _refused(f"{what}: unknown phase {event.phase}")
    if before is after and after is not ExecutionPhase.QUEUED:
        return _duplicate(what, event.execution_id.name, before.name)
    assigns = after in (ExecutionPhase.UNDEFINED, ExecutionPhase.QUEUED)
    if not assigns and cluster and event.producer_id not in _NOBODY and event.producer_id != cluster:
        return Verdict(Ruling.REFUSED, WrongCluster(event.producer_id, cluster))
    if before in EXECUTION_TERMINAL:
        return _terminal(what, before.name, after.name)
    if _ORDER[after] < _ORDER[before]:
        return _refused(f"Cannot go from {before.name} to {after.name} for {what}")
    return ACCEPTED


def judge_node(current: int | None, event: event_pb2.NodeExecutionEvent, updated_at: datetime | None = None) -> Verdict:
    """An event of a node whose recorded phase is `current`, or None if nothing is recorded of it.

    A node may go back, from RUNNING to QUEUED for another attempt, but not by an event older than `updated_at`, the
    time of the last one recorded: that one is only late. Once it runs what its task has generated, it never goes back.
    """
    after = _known(NodePhase, event.phase)
    what = f"node {event.id.node_id} of execution {event.id.execution_id.name}"
    if after is None or after is NodePhase.UNDEFINED:
        return _refused(f"{what}: {event.phase} is not a phase to be in")
    if current is None:
        return ACCEPTED
    before = NodePhase(current)
    if before is after:
        return _duplicate(what, event.id.node_id, before.name)
    if before in NODE_TERMINAL:
        return _terminal(what, before.name, after.name)
    if after is NodePhase.QUEUED and updated_at is not None and _reported_at(event) < updated_at:
        return _duplicate(what, event.id.node_id, after.name)
    if before is NodePhase.DYNAMIC_RUNNING and after in (NodePhase.QUEUED, NodePhase.RUNNING):
        return _duplicate(what, event.id.node_id, after.name)
    return ACCEPTED


def judge_task(
    current: int | None, current_version: int, event: event_pb2.TaskExecutionEvent, updated_at: datetime | None = None
) -> Verdict:
    """An event of a task attempt, recorded in phase `current` (None: not at all) with version `current_version`.

    The same phase again is news if its version is higher. An attempt may go back as long as it has not ended, but not
    by an event that is no younger than `updated_at`, the time of the last one recorded: that one is only late.
    """
    node = event.parent_node_execution_id
    what = f"attempt {event.retry_attempt} of node {node.node_id} of execution {node.execution_id.name}"
    after = TaskPhase.FAILED if event.phase == RETRYABLE_FAILED else _known(TaskPhase, event.phase)
    if after is None:
        return _refused(f"{what}: unknown phase {event.phase}")
    if current is None:
        return ACCEPTED
    before = TaskPhase(current)
    if before is after and event.phase_version <= current_version:
        return _duplicate(what, node.node_id, before.name)
    if before in TASK_TERMINAL:
        return _terminal(what, before.name, after.name)
    if _STARTED[after] < _STARTED[before] and updated_at is not None and _reported_at(event) <= updated_at:
        return _duplicate(what, node.node_id, after.name)
    return ACCEPTED


def _reported_at(event: event_pb2.NodeExecutionEvent | event_pb2.TaskExecutionEvent) -> datetime:
    reported = event.reported_at if event.HasField("reported_at") else event.occurred_at
    return reported.ToDatetime(UTC)


def _known(phases: type[P], value: int) -> P | None:
    try:
        return phases(value)
    except ValueError:
        return None


def _duplicate(what: str, id: str, phase: str) -> Verdict:
    message = f"This phase {phase} was already recorded for {what}"
    return Verdict(Ruling.DUPLICATE, AlreadyExists("event", id, message))


def _terminal(what: str, before: str, after: str) -> Verdict:
    message = f"invalid phase change from {before} to {after} for {what}: it is in a terminal phase"
    return Verdict(Ruling.TERMINAL, AlreadyTerminal(before, message))


def _refused(reason: str) -> Verdict:
    return Verdict(Ruling.REFUSED, Refused(reason))
