"""What has changed of an execution after a version, a page at a time.

A version is the number of a change (`tables.executions`): rows are told in the order of their last changes, each as it
is now. A row that changes again after its page was read has a new number, and comes again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.watch import service_pb2 as watch_pb2
from sqlalchemy import Connection, Table, bindparam, select

from . import external_resources, node_executions, tables, task_executions
from .execution_rows import EXECUTION_COLUMNS, execution_of, execution_values, is_of_execution
from .ports import AdminSettings

_EXECUTIONS = tables.executions.c
_NODES = tables.node_executions.c
_PARENTS = tables.node_executions.alias("parents")

_WHERE_IT_STANDS = select(_EXECUTIONS.change, _EXECUTIONS.last_change, _EXECUTIONS.phase).where(
    *is_of_execution(tables.executions)
)
_EXECUTION = select(*(_EXECUTIONS[name] for name in (*EXECUTION_COLUMNS, "spec", "closure"))).where(
    *is_of_execution(tables.executions)
)


def _changed(table: Table) -> list[Any]:
    return [*is_of_execution(table), table.c.change > bindparam("after")]


_CHANGED_NODES = (
    select(
        *(_NODES[name] for name in ("change", "node_id", "input_uri", "metadata", "closure")),
        _PARENTS.c.node_id.label("parent_node_id"),
    )
    .select_from(tables.node_executions.outerjoin(_PARENTS, _PARENTS.c.id == _NODES.parent_id))
    .where(*_changed(tables.node_executions))
    .order_by(_NODES.change)
    .limit(bindparam("rows_max"))
)
_CHANGED_TASKS = (
    select(tables.task_executions)
    .where(*_changed(tables.task_executions))
    .order_by(tables.task_executions.c.change)
    .limit(bindparam("rows_max"))
)


@dataclass(frozen=True, slots=True)
class PageLimit:
    """What one page may hold: `rows` nodes and attempts; no more of them once they have so many `bytes`."""

    rows: int
    bytes: int
    resources: external_resources.Limit

    @classmethod
    def of(cls, settings: AdminSettings) -> "PageLimit":
        """As the settings say."""
        resources = external_resources.Limit(settings.watch_resources_max, settings.watch_bytes_max)
        return cls(settings.watch_rows_max, settings.watch_bytes_max, resources)


def read(connection: Connection, id: ExecutionId, after: int, limit: PageLimit) -> watch_pb2.WatchExecutionResponse:
    """The page that follows a version. After version 0 the execution itself is on it in any case.

    Raises `NotFound`, and `InvalidRequest` when the execution has not had that version.
    """
    values = execution_values(id)
    stands = connection.execute(_WHERE_IT_STANDS, values).one_or_none()
    if stands is None:
        raise NotFound("execution", str(id))
    if after > stands.last_change:
        raise InvalidRequest.invalid("resume_version", f"the last of execution {id} is {stands.last_change}")
    page = watch_pb2.WatchExecutionResponse(version=stands.last_change)
    if after < stands.last_change:
        _tell_rows(connection, page, id, after, limit)
    if after == 0 or after < stands.change <= page.version:
        page.execution.CopyFrom(execution_of(connection.execute(_EXECUTION, values).one()))
    page.is_current = page.version == stands.last_change
    page.has_ended = page.is_current and ExecutionPhase[stands.phase] in EXECUTION_TERMINAL
    return page


def last_change(connection: Connection, id: ExecutionId) -> int | None:
    """The newest version of an execution; None if there is none."""
    stands = connection.execute(_WHERE_IT_STANDS, execution_values(id)).one_or_none()
    return None if stands is None else stands.last_change


def _tell_rows(
    connection: Connection, page: watch_pb2.WatchExecutionResponse, id: ExecutionId, after: int, limit: PageLimit
) -> None:
    """Put nodes and attempts on the page, and if not all fit, the version that whoever has read it has."""
    values = execution_values(id) | {"after": after, "rows_max": limit.rows + 1}
    nodes, attempts = connection.execute(_CHANGED_NODES, values).all(), connection.execute(_CHANGED_TASKS, values).all()
    page.version = _last_that_fits(nodes, attempts, limit) or page.version
    execution = id.to_message()
    for row in nodes:
        if row.change <= page.version:
            node = node_executions.message(execution, row)
            page.nodes.add(node_execution=node, parent_node_id=row.parent_node_id or "")
    told = [row for row in attempts if row.change <= page.version]
    share = limit.resources.share(len(told))
    for row in told:
        attempt = task_executions.message(node_executions.id_of(execution, row.node_id), row)
        external_resources.show(connection, row.id, attempt.closure, share)
        page.task_executions.append(attempt)


def _last_that_fits(nodes: Sequence[Any], attempts: Sequence[Any], limit: PageLimit) -> int | None:
    """The change of the last row that fits on a page, at least the first; None if all do."""
    left, last = limit.bytes, None
    for taken, row in enumerate(sorted([*nodes, *attempts], key=lambda row: row.change)):
        if taken == limit.rows or left <= 0:
            return last
        left -= len(row.closure)
        last = row.change
    return None
