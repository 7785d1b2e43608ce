"""Asking for an execution's end, within a transaction, and what every request that changes a closure writes."""

from datetime import datetime

from sailplane_core import closures
from sailplane_core.errors import AlreadyTerminal
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.admin import execution_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, bindparam, update

from . import execution_orders, tables
from .execution_rows import StoredExecution, lock_execution

_OF_ROW = update(tables.executions).where(tables.executions.c.id == bindparam("row_id"))
_NEXT_CHANGE = tables.executions.c.last_change + 1
_SET_CLOSURE = _OF_ROW.values(
    {name: bindparam(name) for name in ("phase", "abort_cause", "state", "execution_updated_at_us", "closure")}
    | {"change": _NEXT_CHANGE, "last_change": _NEXT_CHANGE}
)
_NEVER_START = _OF_ROW.values(plan_name_id=None, starts_below=None, start_order=None)


def abort(transaction: Transaction, id: ExecutionId, cause: str, now: datetime) -> StoredExecution:
    """Ask for an execution's end: it is ABORTING, and the engine is told. One that waits to start never does.

    Twice is once. Raises `AlreadyTerminal` when it has ended, and `NotFound`.
    """
    stored = lock_execution(transaction.connection, id)
    closure = execution_pb2.ExecutionClosure.FromString(stored.closure)
    phase = ExecutionPhase(closure.phase)
    if phase in EXECUTION_TERMINAL:
        raise AlreadyTerminal(phase.name, f"execution {id} is already in terminal phase {phase.name}")
    if phase is not ExecutionPhase.ABORTING:
        set_closure(transaction.connection, stored.row_id, closures.apply_abort(closure, cause, "", now))
        transaction.send(execution_orders.abort(id, cause, ""))
    if stored.starts_below is not None:
        never_start(transaction.connection, stored.row_id)
    return stored


def never_start(connection: Connection, row_id: int) -> None:
    """An execution that waits to start is no longer to."""
    connection.execute(_NEVER_START, {"row_id": row_id})


def set_closure(connection: Connection, row_id: int, closure: execution_pb2.ExecutionClosure) -> None:
    """Write a closure that a request has changed, with the columns that follow from it."""
    aborted = closure.WhichOneof("output_result") == "abort_metadata"
    connection.execute(
        _SET_CLOSURE,
        {
            "row_id": row_id,
            "phase": ExecutionPhase(closure.phase).name,
            "abort_cause": closure.abort_metadata.cause if aborted else None,
            "state": closure.state_change_details.state,
            "execution_updated_at_us": tables.time_us(closure.updated_at),
            "closure": closure.SerializeToString(),
        },
    )
