"""Who has done what: a line in the log at once, and a row soon after.

Rows are written together, so that a call pays nothing for its own. Calls of the last moment before a crash are in the
log alone.
"""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Any

import structlog
from grpc import StatusCode
from sailplane_core.audit import About
from sailplane_core.errors import InvalidRequest
from sailplane_protos.governance import audit_pb2 as pb
from sqlalchemy import Connection, delete, func, insert, select

from . import tables
from .keyset import Order
from .paging import page_request, read_page
from .ports import AdminPorts

WRITE_DELAY_S = 0.5
"""How long rows are collected before they are written."""
WAITING_MAX = 10_000
"""Calls that wait to be written; with more the oldest are in the log alone."""
_TEXT_CHARS_MAX = 255

_EVENTS = tables.audit_events.c
_INSERT = insert(tables.audit_events)
_FILTERS = ("project", "domain", "principal", "rpc", "code")

log = structlog.get_logger(__name__)


class Audit:
    """The record. `run` writes what is told to `record`."""

    def __init__(self, ports: AdminPorts) -> None:
        self._ports = ports
        self._waiting: deque[dict[str, Any]] = deque(maxlen=WAITING_MAX)
        self._told = asyncio.Event()

    def record(self, rpc: str, what: About, code: str, duration_s: float, peer: str, request_id: str) -> None:
        """A call has ended."""
        facts = {
            "rpc": rpc,
            "project": what.project[:_TEXT_CHARS_MAX],
            "domain": what.domain[:_TEXT_CHARS_MAX],
            "entity": what.entity,
            "code": code,
            "principal": "",
            "peer": peer[:_TEXT_CHARS_MAX],
            "request_id": request_id[:_TEXT_CHARS_MAX],
        }
        log.info("audit", **facts, ms=round(duration_s * 1000, 2))
        times = {
            "occurred_at_us": tables.time_us(self._ports.clock.now()),
            "duration_us": tables.duration_us(timedelta(seconds=duration_s)),
        }
        self._waiting.append(facts | times)
        self._told.set()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._told.wait()
            await self._ports.clock.sleep_until(self._ports.clock.now() + timedelta(seconds=WRITE_DELAY_S))
            self._told.clear()
            await self.write()

    async def write(self) -> None:
        """Write what waits, and delete the oldest rows when there are too many. What cannot be written waits on."""
        rows = list(self._waiting)
        if not rows:
            return
        rows_max = self._ports.settings.audit_rows_max

        def change(connection: Connection) -> None:
            connection.execute(_INSERT, rows)
            newest = connection.execute(select(func.max(_EVENTS.id))).scalar_one()
            connection.execute(delete(tables.audit_events).where(_EVENTS.id <= newest - rows_max))

        try:
            await self._ports.store.write(lambda transaction: change(transaction.connection))
        except Exception:
            self._told.set()
            raise
        for row in rows:
            if self._waiting and self._waiting[0] is row:
                self._waiting.popleft()


async def list_events(ports: AdminPorts, request: pb.ListAuditEventsRequest) -> pb.ListAuditEventsResponse:
    """A page of calls, the latest first."""
    if request.code and request.code not in StatusCode.__members__:
        raise InvalidRequest.invalid("code", f"must be one of {', '.join(StatusCode.__members__)}")
    order = Order([_EVENTS.id], is_descending=True)
    asked = await page_request(ports, "ListAuditEvents", request, zero_is_all=True)
    query = select(tables.audit_events).where(
        *(_EVENTS[name] == getattr(request, name) for name in _FILTERS if getattr(request, name))
    )
    if request.HasField("since"):
        query = query.where(_EVENTS.occurred_at_us >= _time_us(request, "since"))
    if request.HasField("until"):
        query = query.where(_EVENTS.occurred_at_us < _time_us(request, "until"))
    page = await ports.store.read(lambda connection: read_page(connection, query, order, asked))
    events = [_event(dict(row._mapping)) for row in page.rows]
    return pb.ListAuditEventsResponse(events=events, token=page.next_token)


def _time_us(request: pb.ListAuditEventsRequest, field: str) -> int:
    try:
        return tables.time_us(getattr(request, field))
    except ValueError as error:
        raise InvalidRequest.invalid(field, "must be a time between the years 1 and 9999") from error


def _event(row: dict[str, Any]) -> pb.AuditEvent:
    del row["id"]
    duration = tables.duration_of(row.pop("duration_us"))
    event = pb.AuditEvent(occurred_at=tables.timestamp_of(row.pop("occurred_at_us")), **row)
    event.duration.FromTimedelta(duration)
    return event
