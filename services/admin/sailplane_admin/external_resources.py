"""What attempts run elsewhere, such as the elements of a map: a row for each, so that an event writes what it tells of.

Clients read them as part of the attempt's closure. Replies are put together here, within limits: of an attempt that has
more, the first by index are shown, and the others left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sailplane_core import closures
from sailplane_core.phases import TASK_TERMINAL, TaskPhase
from sailplane_protos.admin import task_execution_pb2
from sailplane_protos.event import event_pb2
from sqlalchemy import Connection, bindparam, insert, select, update

from . import tables

_TABLE = tables.external_resources
_ROWS = _TABLE.c

RESOURCES_AT_ONCE = 500
"""Of one SELECT; SQLite takes 32,766 parameters."""

Key = tuple[int, int]
"""Index and retry attempt."""

_INSERT = insert(_TABLE)
# Pairs of item and attempt would be looked for in every row of the map: SQLite's index serves single columns.
_OF_ITEMS = select(_ROWS.item, _ROWS.retry_attempt, _ROWS.resource).where(
    _ROWS.task_execution_id == bindparam("row_id"), _ROWS.item.in_(bindparam("items", expanding=True))
)
_OF_ATTEMPT = select(_ROWS.item, _ROWS.retry_attempt, _ROWS.resource).where(
    _ROWS.task_execution_id == bindparam("row_id")
)
_UPDATE = (
    update(_TABLE)
    .where(
        _ROWS.task_execution_id == bindparam("row_id"),
        _ROWS.item == bindparam("of_item"),
        _ROWS.retry_attempt == bindparam("of_attempt"),
    )
    .values(resource=bindparam("resource"))
)


@dataclass(slots=True)
class Resources:
    """Those of one attempt that the events at hand tell of: as they are recorded, and what has become of them."""

    recorded: dict[Key, event_pb2.ExternalResourceInfo] = field(
        default_factory=dict[Key, event_pb2.ExternalResourceInfo]
    )
    changed: dict[Key, event_pb2.ExternalResourceInfo] = field(
        default_factory=dict[Key, event_pb2.ExternalResourceInfo]
    )

    def tell(self, event: event_pb2.TaskExecutionEvent) -> None:
        """Take in what an accepted event tells."""
        phase = closures.task_phase(event)
        for told in event.metadata.external_resources:
            key = closures.resource_key(told)
            known = self.changed.get(key) or self.recorded.get(key)
            self.changed[key] = closures.merged_resource(known, told, phase)


def load(connection: Connection, row_id: int, keys: Iterable[Key]) -> dict[Key, event_pb2.ExternalResourceInfo]:
    """Those of an attempt's external resources that are recorded."""
    wanted = set(keys)
    items = sorted({item for item, _ in wanted})
    found: dict[Key, event_pb2.ExternalResourceInfo] = {}
    for start in range(0, len(items), RESOURCES_AT_ONCE):
        values = {"row_id": row_id, "items": items[start : start + RESOURCES_AT_ONCE]}
        for item, attempt, data in connection.execute(_OF_ITEMS, values):
            if (item, attempt) in wanted:
                found[item, attempt] = event_pb2.ExternalResourceInfo.FromString(data)
    return found


def end_open(connection: Connection, row_id: int) -> None:
    """Those of an attempt that have not ended are told as aborted."""
    updates: list[dict[str, Any]] = []
    for item, attempt, data in connection.execute(_OF_ATTEMPT, {"row_id": row_id}):
        resource = event_pb2.ExternalResourceInfo.FromString(data)
        if TaskPhase(resource.phase) not in TASK_TERMINAL:
            resource.phase = TaskPhase.ABORTED.value
            of = {"row_id": row_id, "of_item": item, "of_attempt": attempt}
            updates.append(of | {"resource": resource.SerializeToString()})
    if updates:
        connection.execute(_UPDATE, updates)


def save(connection: Connection, resources: Mapping[int, Resources]) -> None:
    """Write what has changed, by the attempt's row."""
    updates: list[dict[str, Any]] = []
    inserts: list[dict[str, Any]] = []
    for row_id, of_attempt in resources.items():
        for key, resource in of_attempt.changed.items():
            item, attempt = key
            data = resource.SerializeToString()
            if key in of_attempt.recorded:
                updates.append({"row_id": row_id, "of_item": item, "of_attempt": attempt, "resource": data})
            else:
                inserts.append({"task_execution_id": row_id, "item": item, "retry_attempt": attempt, "resource": data})
    if inserts:
        connection.execute(_INSERT, inserts)
    if updates:
        connection.execute(_UPDATE, updates)


@dataclass(frozen=True, slots=True)
class Limit:
    """What one reply may show: `rows` external resources, of together not much more than `bytes`."""

    rows: int
    bytes: int

    def share(self, among: int) -> "Limit":
        """What each of so many attempts may show."""
        return Limit(self.rows // max(1, among), self.bytes // max(1, among))


def show(connection: Connection, row_id: int, closure: task_execution_pb2.TaskExecutionClosure, limit: Limit) -> None:
    """Put an attempt's external resources into its closure, in order, as many as the limit allows."""
    query = (
        select(_ROWS.resource)
        .where(_ROWS.task_execution_id == row_id)
        .order_by(_ROWS.item, _ROWS.retry_attempt)
        .limit(limit.rows)
    )
    left = limit.bytes
    for data in connection.scalars(query):
        if left <= 0:
            return
        left -= len(data)
        closure.metadata.external_resources.add().ParseFromString(data)
