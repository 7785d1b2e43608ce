"""Executions that are being deleted: with what their nodes have started, and all that is stored of them.

What has been begun is in the rows, and is gone on with until it is done, whatever happens meanwhile: `begin` is one
transaction, after which nothing can be started that needs what goes; then propeller is told to forget, blobs are
deleted, and then rows, those of an execution last of all, children before parents. So its name is not free while
something of it is left, and every step may be done again. Until then it can be seen, with less and less of it.

What the cache of outputs may still give out is not deleted: the outputs of an execution stay in the blob store if it,
or one that goes with it, has run a task with a cache. Raw output stays too where its prefix was somebody's own choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sailplane_core.errors import NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.layout import admin_key, engine_key, raw_key
from sailplane_core.phases import EXECUTION_TERMINAL
from sailplane_protos.admin import task_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import CTE, Connection, Delete, Select, Table, bindparam, delete, func, insert, select, tuple_, update

from . import execution_orders, tables
from .execution_rows import EXECUTION_COLUMNS, execution_values, is_of_execution
from .ports import AdminPorts

EXECUTIONS_AT_ONCE = 500
"""Executions that propeller is told to forget in one commit."""
ROWS_AT_ONCE = 1_000
"""Rows that go in one commit: some milliseconds, in which nobody else writes."""
RETRY_S = 0.5
"""Between two looks whether propeller has forgotten."""

log = structlog.get_logger(__name__)

_EXECUTIONS, _DELETIONS, _TASKS = tables.executions.c, tables.execution_deletions.c, tables.task_executions.c
_ENDED = [phase.name for phase in EXECUTION_TERMINAL]


def _whole() -> CTE:
    """The rows of an execution and of what its nodes have started, directly or not; `root_id` says of which."""
    top = select(_EXECUTIONS.id).where(_EXECUTIONS.id == bindparam("root_id")).cte("whole", recursive=True)
    return top.union_all(select(_EXECUTIONS.id).where(_EXECUTIONS.parent_execution_id == top.c.id))


def _of_whole(*columns: Any) -> "Select[*tuple[Any, ...]]":
    whole = _whole()
    return select(*columns).select_from(tables.executions.join(whole, whole.c.id == _EXECUTIONS.id))


_COUNT = _of_whole(func.count())
_RUNNING = _of_whole(_EXECUTIONS.id).where(_EXECUTIONS.phase.not_in(_ENDED)).limit(1)
_LATER = tables.executions.alias("later").c
_MEMBERS = _whole()
_NEEDED = (
    select(_LATER.id)
    .join(_MEMBERS, _MEMBERS.c.id == _LATER.source_execution_id)
    .where(_LATER.id.not_in(select(_MEMBERS.c.id)))
    .limit(1)
)
_TASK_KEY = ("project", "domain", "name", "version")
_TASKS_RUN = (
    _of_whole(tables.tasks.c.task)
    .join(
        tables.task_executions,
        tuple_(*(_TASKS[name] for name in EXECUTION_COLUMNS))
        == tuple_(*(_EXECUTIONS[name] for name in EXECUTION_COLUMNS)),
    )
    .outerjoin(
        tables.tasks,
        tuple_(*(tables.tasks.c[name] for name in _TASK_KEY)) == tuple_(*(_TASKS[name] for name in _TASK_KEY)),
    )
    .distinct()
)
_ROOTS = select(_DELETIONS.root_id, _DELETIONS.keeps_outputs).where(_DELETIONS.execution_id == _DELETIONS.root_id)
_LAST_MEMBERS = (
    _of_whole(_EXECUTIONS.id, *(_EXECUTIONS[name] for name in EXECUTION_COLUMNS), _DELETIONS.is_told)
    .outerjoin(tables.execution_deletions, _DELETIONS.execution_id == _EXECUTIONS.id)
    .order_by(_EXECUTIONS.id.desc())  # what a node starts is newer
    .limit(EXECUTIONS_AT_ONCE)
)
_LOCK = select(_EXECUTIONS.id, _EXECUTIONS.parent_execution_id).where(_EXECUTIONS.id == bindparam("row_id"))
_LOCK = _LOCK.with_for_update()
_BEGUN = select(_DELETIONS.execution_id).where(_DELETIONS.execution_id == bindparam("row_id"))
_INSERT = insert(tables.execution_deletions)
_TOLD = update(tables.execution_deletions).where(_DELETIONS.execution_id == bindparam("row_id")).values(is_told=True)


_DELETE = delete(tables.executions).where(_EXECUTIONS.id == bindparam("row_id"))
_UNMARK = delete(tables.execution_deletions).where(_DELETIONS.execution_id == bindparam("row_id"))
_SIGNALS = delete(tables.signals).where(*is_of_execution(tables.signals))
_TAGS = delete(tables.execution_tags).where(*is_of_execution(tables.execution_tags))


def _some_of(table: Table) -> Delete:
    """Deletes the last rows of an execution: what lies in a node is newer than the node."""
    last = select(table.c.id).where(*is_of_execution(table)).order_by(table.c.id.desc()).limit(ROWS_AT_ONCE)
    return delete(table).where(table.c.id.in_(last))


_SOME_TASKS, _SOME_NODES = _some_of(tables.task_executions), _some_of(tables.node_executions)
_RESOURCE_KEY = [tables.external_resources.c[name] for name in ("task_execution_id", "item", "retry_attempt")]
_SOME_RESOURCES = delete(tables.external_resources).where(
    tuple_(*_RESOURCE_KEY).in_(
        select(*_RESOURCE_KEY)
        .join(tables.task_executions, _TASKS.id == tables.external_resources.c.task_execution_id)
        .where(*is_of_execution(tables.task_executions))
        .limit(ROWS_AT_ONCE)
    )
)


@dataclass(frozen=True, slots=True)
class Member:
    """An execution that is being deleted. `is_told` is None where there is no row of it among the deletions yet."""

    row_id: int
    id: ExecutionId
    is_told: bool | None


# Beginning


def count(connection: Connection, root_id: int) -> int:
    """Executions that go with this one, itself included."""
    return connection.execute(_COUNT, {"root_id": root_id}).scalar_one()


def may_go(connection: Connection, root_id: int) -> bool:
    """Whether it has ended with all that its nodes have started, and nothing else relaunches or recovers any of it."""
    values = {"root_id": root_id}
    if connection.execute(_RUNNING, values).first() is not None:
        return False
    return connection.execute(_NEEDED, values).first() is None


def begin(transaction: Transaction, root_id: int) -> bool:
    """An execution that no node has started is to go, if it may. Whether it has begun to."""
    connection = transaction.connection
    row = connection.execute(_LOCK, {"row_id": root_id}).one_or_none()
    if row is None or row.parent_execution_id is not None or not may_go(connection, root_id):
        return False
    if connection.execute(_BEGUN, {"row_id": root_id}).first() is not None:
        return False
    keeps = any(_may_be_cached(task) for task in connection.scalars(_TASKS_RUN, {"root_id": root_id}))
    mark = {"execution_id": root_id, "root_id": root_id, "keeps_outputs": keeps, "is_told": False}
    connection.execute(_INSERT, mark)
    return True


def _may_be_cached(task: bytes | None) -> bool:
    """Whether a task's outputs may be in the cache. Of one that is not registered nobody knows."""
    return task is None or task_pb2.Task.FromString(task).closure.compiled_task.template.metadata.discoverable


def require_kept(transaction: Transaction, source: ExecutionId, row_id: int) -> None:
    """An execution is to relaunch or recover `source`. Raises `NotFound` when that is being deleted, or is gone."""
    at: int | None = row_id
    root_id = row_id
    while at is not None:
        row = transaction.connection.execute(_LOCK, {"row_id": at}).one_or_none()
        if row is None:
            raise NotFound("execution", str(source))
        root_id, at = at, row.parent_execution_id
    if transaction.connection.execute(_BEGUN, {"row_id": root_id}).first() is not None:
        raise NotFound("execution", str(source))


# Going on


async def finish(ports: AdminPorts) -> None:
    """Go on until nothing that has been begun is left."""
    while await ports.store.read(lambda connection: connection.execute(_ROOTS.limit(1)).first()) is not None:
        if not await go_on(ports):
            await ports.clock.sleep_until(ports.clock.now() + timedelta(seconds=RETRY_S))


async def go_on(ports: AdminPorts) -> int:
    """Delete what can be now of all that has been begun; how many executions are gone.

    One at a time: whoever comes late with the blobs of an execution could meet those of its successor in name.
    """
    deleted = 0
    async with ports.deleting:
        for root_id, keeps_outputs in await ports.store.read(lambda connection: connection.execute(_ROOTS).all()):
            while members := await _members(ports, root_id):
                await ports.store.write(lambda tx, root_id=root_id, members=members: _tell(tx, root_id, members))
                gone = [await _delete(ports, member, keeps_outputs=keeps_outputs) for member in members]
                deleted += sum(gone)
                if not all(gone):
                    break
    return deleted


async def _members(ports: AdminPorts, root_id: int) -> list[Member]:
    """The next to go, the newest of it."""
    rows = await ports.store.read(lambda connection: connection.execute(_LAST_MEMBERS, {"root_id": root_id}).all())
    return [
        Member(row.id, ExecutionId(row.execution_project, row.execution_domain, row.execution_name), row.is_told)
        for row in rows
    ]


def _tell(transaction: Transaction, root_id: int, members: Sequence[Member]) -> None:
    """Propeller is to forget those that it was not yet told to."""
    for member in members:
        if member.is_told:
            continue
        if member.is_told is None:
            mark = {"execution_id": member.row_id, "root_id": root_id, "keeps_outputs": False, "is_told": True}
            transaction.connection.execute(_INSERT, mark)
        else:
            transaction.connection.execute(_TOLD, {"row_id": member.row_id})
        transaction.send(execution_orders.forget(member.id))


async def _delete(ports: AdminPorts, member: Member, *, keeps_outputs: bool) -> bool:
    """Delete an execution; False when propeller has still to confirm an order, and its row stays for now."""
    outputs = () if keeps_outputs else (engine_key(member.id), raw_key(member.id))
    for key in (admin_key(member.id), *outputs):
        async for blob in ports.blobs.list(ports.blobs.uri(key)):
            await ports.blobs.delete(blob.uri)
    for statement in (_SOME_RESOURCES, _SOME_TASKS, _SOME_NODES):
        while await ports.store.write(lambda tx, some=statement: _rowcount(tx, some, execution_values(member.id))):
            await ports.turns.next()
    if await ports.store.pending(execution_orders.TOPIC, str(member.id)):
        return False

    def change(transaction: Transaction) -> bool:
        for statement in (_SIGNALS, _TAGS):
            transaction.connection.execute(statement, execution_values(member.id))
        row_id = {"row_id": member.row_id}
        transaction.connection.execute(_UNMARK, row_id)
        return _rowcount(transaction, _DELETE, row_id) > 0

    is_gone = await ports.store.write(change)
    if is_gone:
        log.info("execution_deleted", execution=str(member.id))
        ports.changes.publish([member.id])
    return is_gone


def _rowcount(transaction: Transaction, statement: Delete, values: Mapping[str, Any]) -> int:
    return transaction.connection.execute(statement, values).rowcount
