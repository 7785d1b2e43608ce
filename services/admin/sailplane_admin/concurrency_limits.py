"""The concurrency policies of launch plans, on the rows of their executions (`sailplane_core.concurrency` decides).

A new execution is judged in the transaction that inserts it, and who may start next in the one that records an end.
Both hold the row of the plan's name while they count, so that neither misses the other.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sailplane_core import concurrency
from sailplane_core.concurrency import Running
from sailplane_core.errors import AlreadyExists, LimitReached
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import execution_pb2, launch_plan_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, bindparam, exists, func, select, text, update

from . import execution_aborts, execution_orders, tables
from .execution_rows import EXECUTION_COLUMNS, StoredExecution, find_execution

STARTS_AT_ONCE = 100
"""Executions that wait and are looked at together: an end makes room for one, most of the time."""

_EXECUTIONS = tables.executions.c
_NAMES = tuple(_EXECUTIONS[name] for name in EXECUTION_COLUMNS)
_OF_PLAN = _EXECUTIONS.plan_name_id == bindparam("plan_name_id")
_LOCK = (
    select(tables.named_entities.c.id).where(tables.named_entities.c.id == bindparam("plan_name_id")).with_for_update()
)
_RUNNING = select(_EXECUTIONS.id, _EXECUTIONS.phase, *_NAMES).where(_OF_PLAN, text(tables.RUNS))
_RUNNING_COUNT = select(func.count()).select_from(tables.executions).where(_OF_PLAN, text(tables.RUNS))
_WAITING = select(_EXECUTIONS.id, *_NAMES).where(_OF_PLAN, text(tables.WAITS)).order_by(_EXECUTIONS.id)
_OLDEST_WAITING = (
    select(_EXECUTIONS.id, _EXECUTIONS.starts_below, _EXECUTIONS.start_order, *_NAMES)
    .where(_OF_PLAN, text(tables.WAITS))
    .order_by(_EXECUTIONS.id)
    .limit(STARTS_AT_ONCE)
)
_START = (
    update(tables.executions).where(_EXECUTIONS.id == bindparam("row_id")).values(starts_below=None, start_order=None)
)


def _within_its_own_plan() -> Any:
    """Whether an execution of the plan is the parent, or an ancestor of it."""
    line = (
        select(_EXECUTIONS.id, _EXECUTIONS.parent_execution_id, _EXECUTIONS.plan_name_id)
        .where(_EXECUTIONS.id == bindparam("parent"))
        .cte("line", recursive=True)
    )
    older = tables.executions.alias("older").c
    line = line.union_all(
        select(older.id, older.parent_execution_id, older.plan_name_id).where(older.id == line.c.parent_execution_id)
    )
    return select(exists().where(line.c.plan_name_id == bindparam("plan_name_id")))


_WITHIN_ITS_OWN_PLAN = _within_its_own_plan()


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An execution that is about to be inserted, in phase UNDEFINED.

    `policy` is what it obeys, `start_order` what the engine is to be told. `plan_name_id` is the row of its launch
    plan's name, None if a task is run without one of its own, and `parent` the row of the execution that starts it, if
    one does.
    """

    id: ExecutionId
    plan: launch_plan_pb2.LaunchPlan
    policy: launch_plan_pb2.ConcurrencyPolicy
    plan_name_id: int | None
    parent: int | None
    closure: execution_pb2.ExecutionClosure
    start_order: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """What was decided about a newcomer: the columns of its row that say so, and who is aborted for it."""

    columns: dict[str, Any]
    starts: bool = True
    aborted: tuple[ExecutionId, ...] = ()


def admit(transaction: Transaction, new: Newcomer, waiting_max: int, now: datetime) -> Place:
    """Judge a newcomer by its policy, and abort those that have to go for it.

    Raises `ConcurrencyLimitReached` when it is skipped, `LimitReached` when `waiting_max` executions of its plan wait
    already, and `AlreadyExists` when the name is taken: a repeated request never aborts anybody.
    """
    policy, name_id = new.policy, new.plan_name_id
    if name_id is None or not concurrency.is_enforced(policy):
        return Place({"plan_name_id": name_id})
    connection = transaction.connection
    connection.execute(_LOCK, {"plan_name_id": name_id})
    if find_execution(connection, new.id) is not None:
        raise AlreadyExists("execution", str(new.id))
    if new.parent is not None and _is_within(connection, new.parent, name_id):
        return Place({"plan_name_id": None})
    running = connection.execute(_RUNNING, {"plan_name_id": name_id}).all()
    waiting = connection.execute(_WAITING, {"plan_name_id": name_id}).all()
    plan = ":".join((new.plan.id.project, new.plan.id.domain, new.plan.id.name))
    started = sorted(
        (Running(row.id, is_leaving=row.phase == ExecutionPhase.ABORTING.name) for row in running),
        key=lambda one: one.row_id,
    )
    admission = concurrency.admit(policy, plan, started, [row.id for row in waiting])
    names = {row.id: ExecutionId(*(getattr(row, name) for name in EXECUTION_COLUMNS)) for row in (*running, *waiting)}
    aborted = tuple(names[row_id] for row_id in admission.aborted)
    for id in aborted:
        execution_aborts.abort(transaction, id, f"execution {new.id} takes its place", now)
    if admission.starts_below is None:
        return Place({"plan_name_id": name_id}, aborted=aborted)
    if len({row.id for row in waiting} - set(admission.aborted)) >= waiting_max:
        raise LimitReached(f"{waiting_max} executions of launch plan {plan} that wait for others to end")
    return Place(_waiting_columns(new, name_id, admission.starts_below), starts=False, aborted=aborted)


def _is_within(connection: Connection, parent: int, plan_name_id: int) -> bool:
    return bool(connection.execute(_WITHIN_ITS_OWN_PLAN, {"parent": parent, "plan_name_id": plan_name_id}).scalar())


def _waiting_columns(new: Newcomer, plan_name_id: int, starts_below: int) -> dict[str, Any]:
    closure = execution_pb2.ExecutionClosure()
    closure.CopyFrom(new.closure)
    closure.phase = phases_pb2.WorkflowExecution.QUEUED
    return {
        "phase": ExecutionPhase.QUEUED.name,
        "closure": closure.SerializeToString(),
        "plan_name_id": plan_name_id,
        "starts_below": starts_below,
        "start_order": new.start_order,
    }


def abort(transaction: Transaction, id: ExecutionId, cause: str, now: datetime) -> None:
    """Ask for an execution's end (`execution_aborts.abort`); behind one that waits, others may start by that."""
    stored = execution_aborts.abort(transaction, id, cause, now)
    if stored.starts_below is not None and stored.plan_name_id is not None:
        start_waiting(transaction, stored.plan_name_id)


def leave(transaction: Transaction, ended: StoredExecution) -> None:
    """An execution has ended: others may start that have waited for it."""
    if ended.starts_below is not None:
        execution_aborts.never_start(transaction.connection, ended.row_id)
    if ended.plan_name_id is not None:
        start_waiting(transaction, ended.plan_name_id)


def start_waiting(transaction: Transaction, plan_name_id: int) -> None:
    """Start those executions of a plan that may start now, of those that wait. To be asked whenever room was made."""
    connection, of_plan = transaction.connection, {"plan_name_id": plan_name_id}
    connection.execute(_LOCK, of_plan)
    while waiting := connection.execute(_OLDEST_WAITING, of_plan).all():
        running = connection.execute(_RUNNING_COUNT, of_plan).scalar_one()
        count = concurrency.startable(running, [row.starts_below for row in waiting])
        for row in waiting[:count]:
            id = ExecutionId(*(getattr(row, name) for name in EXECUTION_COLUMNS))
            connection.execute(_START, {"row_id": row.id})
            transaction.send(execution_orders.waited(id, row.start_order))
        if count < STARTS_AT_ONCE:
            return
