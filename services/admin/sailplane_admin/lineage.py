"""Executions that a node of another one has started, its children.

Both directions are told in the transaction that records an end, so that neither is lost: the parent's engine learns how
a child ended, and children that outlive their parent are aborted. The second is rare: a parent ends its children itself
and waits for them, but a request to start one may reach admin after the parent has given it up.
"""

from sailplane_core.errors import AlreadyTerminal
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.admin import execution_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import bindparam, select

from . import execution_orders, tables
from .execution_rows import EXECUTION_COLUMNS, StoredExecution, lock_execution

_EXECUTIONS = tables.executions.c
_NAMES = select(*(_EXECUTIONS[name] for name in EXECUTION_COLUMNS))
_BY_ROW = _NAMES.where(_EXECUTIONS.id == bindparam("row_id"))
_LIVE_CHILDREN = _NAMES.where(
    _EXECUTIONS.parent_execution_id == bindparam("row_id"),
    _EXECUTIONS.phase.not_in([phase.name for phase in EXECUTION_TERMINAL]),
)


def tell_of_end(
    transaction: Transaction, id: ExecutionId, stored: StoredExecution, closure: execution_pb2.ExecutionClosure
) -> None:
    """An execution is terminal now: say so to its parent, if it has one, and abort the children it has left."""
    connection = transaction.connection
    if stored.parent_execution_id is not None:
        parent = ExecutionId(*connection.execute(_BY_ROW, {"row_id": stored.parent_execution_id}).one())
        transaction.send(execution_orders.child_ended(parent, stored.parent_node_id or "", id, closure))
    for child in connection.execute(_LIVE_CHILDREN, {"row_id": stored.row_id}):
        transaction.send(execution_orders.abort(ExecutionId(*child), f"its parent execution {id} has ended", ""))


def require_live_parent(transaction: Transaction, node: identifier_pb2.NodeExecutionIdentifier) -> None:
    """A new execution is to be the child of `node`. Raises `AlreadyTerminal` when nobody is left to wait for it."""
    id = ExecutionId.of(node.execution_id)
    stored = lock_execution(transaction.connection, id)
    phase = ExecutionPhase(execution_pb2.ExecutionClosure.FromString(stored.closure).phase)
    if phase in EXECUTION_TERMINAL:
        raise AlreadyTerminal(phase.name, f"execution {id} has ended, its node {node.node_id} can start nothing more")
