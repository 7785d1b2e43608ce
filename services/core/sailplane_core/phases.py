"""The phases of executions, nodes and task attempts, and the one table of moves between them.

The numbers are Flyte's, so a phase goes to the wire as it is.
"""

from enum import IntEnum

from sailplane_protos.core import execution_pb2

from .errors import InvariantBroken


class ExecutionPhase(IntEnum):
    """`core.WorkflowExecution.Phase`."""

    UNDEFINED = execution_pb2.WorkflowExecution.UNDEFINED
    QUEUED = execution_pb2.WorkflowExecution.QUEUED
    RUNNING = execution_pb2.WorkflowExecution.RUNNING
    SUCCEEDING = execution_pb2.WorkflowExecution.SUCCEEDING
    SUCCEEDED = execution_pb2.WorkflowExecution.SUCCEEDED
    FAILING = execution_pb2.WorkflowExecution.FAILING
    FAILED = execution_pb2.WorkflowExecution.FAILED
    ABORTED = execution_pb2.WorkflowExecution.ABORTED
    TIMED_OUT = execution_pb2.WorkflowExecution.TIMED_OUT
    ABORTING = execution_pb2.WorkflowExecution.ABORTING


class NodePhase(IntEnum):
    """`core.NodeExecution.Phase`. A node that was not reached yet has no state at all."""

    UNDEFINED = execution_pb2.NodeExecution.UNDEFINED
    QUEUED = execution_pb2.NodeExecution.QUEUED
    RUNNING = execution_pb2.NodeExecution.RUNNING
    SUCCEEDED = execution_pb2.NodeExecution.SUCCEEDED
    FAILING = execution_pb2.NodeExecution.FAILING
    FAILED = execution_pb2.NodeExecution.FAILED
    ABORTED = execution_pb2.NodeExecution.ABORTED
    SKIPPED = execution_pb2.NodeExecution.SKIPPED
    TIMED_OUT = execution_pb2.NodeExecution.TIMED_OUT
    DYNAMIC_RUNNING = execution_pb2.NodeExecution.DYNAMIC_RUNNING
    RECOVERED = execution_pb2.NodeExecution.RECOVERED


class TaskPhase(IntEnum):
    """`core.TaskExecution.Phase`: the phase of one attempt."""

    UNDEFINED = execution_pb2.TaskExecution.UNDEFINED
    QUEUED = execution_pb2.TaskExecution.QUEUED
    RUNNING = execution_pb2.TaskExecution.RUNNING
    SUCCEEDED = execution_pb2.TaskExecution.SUCCEEDED
    ABORTED = execution_pb2.TaskExecution.ABORTED
    FAILED = execution_pb2.TaskExecution.FAILED
    INITIALIZING = execution_pb2.TaskExecution.INITIALIZING
    WAITING_FOR_RESOURCES = execution_pb2.TaskExecution.WAITING_FOR_RESOURCES


_E, _N, _T = ExecutionPhase, NodePhase, TaskPhase

EXECUTION_MOVES: dict[ExecutionPhase, frozenset[ExecutionPhase]] = {
    _E.UNDEFINED: frozenset({_E.QUEUED, _E.RUNNING, _E.FAILING, _E.ABORTING}),
    _E.QUEUED: frozenset({_E.RUNNING, _E.FAILING, _E.ABORTING}),
    _E.RUNNING: frozenset({_E.SUCCEEDING, _E.FAILING, _E.ABORTING}),
    _E.SUCCEEDING: frozenset({_E.SUCCEEDED, _E.FAILING, _E.ABORTING}),
    _E.FAILING: frozenset({_E.FAILED, _E.ABORTING}),
    _E.ABORTING: frozenset({_E.ABORTED}),
}
NODE_MOVES: dict[NodePhase, frozenset[NodePhase]] = {
    _N.UNDEFINED: frozenset({_N.QUEUED, _N.RUNNING, _N.SUCCEEDED, _N.SKIPPED, _N.RECOVERED, _N.FAILED, _N.ABORTED}),
    _N.QUEUED: frozenset({_N.QUEUED, _N.RUNNING, _N.SUCCEEDED, _N.FAILED, _N.ABORTED, _N.TIMED_OUT}),
    _N.RUNNING: frozenset({_N.QUEUED, _N.DYNAMIC_RUNNING, _N.SUCCEEDED, _N.FAILED, _N.ABORTED, _N.TIMED_OUT}),
    _N.DYNAMIC_RUNNING: frozenset({_N.SUCCEEDED, _N.FAILED, _N.ABORTED, _N.TIMED_OUT}),
}
TASK_MOVES: dict[TaskPhase, frozenset[TaskPhase]] = {
    _T.UNDEFINED: frozenset(set(_T) - {_T.UNDEFINED}),
    _T.QUEUED: frozenset(set(_T) - {_T.UNDEFINED}),
    _T.WAITING_FOR_RESOURCES: frozenset(set(_T) - {_T.UNDEFINED}),
    _T.INITIALIZING: frozenset(set(_T) - {_T.UNDEFINED, _T.QUEUED}),
    _T.RUNNING: frozenset({_T.RUNNING, _T.SUCCEEDED, _T.FAILED, _T.ABORTED}),
}

EXECUTION_TERMINAL = frozenset(set(_E) - set(EXECUTION_MOVES))
NODE_TERMINAL = frozenset(set(_N) - set(NODE_MOVES) - {_N.FAILING})
NODE_DONE = frozenset({_N.SUCCEEDED, _N.RECOVERED})
"""Terminal phases that leave outputs behind, so that what waits for the node may start."""
TASK_TERMINAL = frozenset(set(_T) - set(TASK_MOVES))


def move_execution(before: ExecutionPhase, after: ExecutionPhase) -> ExecutionPhase:
    """`after`, if the table allows the move; raises `InvariantBroken` otherwise."""
    if after not in EXECUTION_MOVES.get(before, frozenset()):
        raise InvariantBroken(f"an execution cannot go from {before.name} to {after.name}")
    return after


def move_node(before: NodePhase, after: NodePhase) -> NodePhase:
    """`after`, if the table allows the move; raises `InvariantBroken` otherwise."""
    if after not in NODE_MOVES.get(before, frozenset()):
        raise InvariantBroken(f"a node cannot go from {before.name} to {after.name}")
    return after


def move_task(before: TaskPhase, after: TaskPhase) -> TaskPhase:
    """`after`, if the table allows the move; raises `InvariantBroken` otherwise."""
    if after not in TASK_MOVES.get(before, frozenset()):
        raise InvariantBroken(f"a task attempt cannot go from {before.name} to {after.name}")
    return after
