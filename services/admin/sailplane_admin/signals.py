"""Signals: values that gate nodes wait for and somebody gives. The engine is told through the outbox."""

import hashlib

from sailplane_core import validation
from sailplane_core.errors import AlreadyTerminal, InvalidRequest
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_core.types import accepts, describe
from sailplane_protos.admin import signal_pb2
from sailplane_protos.core import identifier_pb2, literals_pb2, types_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, Row, insert, select, update

from . import execution_orders, tables
from .execution_rows import execution_values, in_execution
from .listing import Listing, fields_of, list_page
from .paging import page_request
from .ports import AdminPorts
from .registration import write_once

SIGNAL_ID_CHARS_MAX = 255
VALUE_BYTES_MAX = 1024 * 1024
"""Of a value that is given; larger ones belong into files."""

_SIGNALS = tables.signals.c
_PHASE = tables.executions.c.phase
_LISTING = Listing(Entity.SIGNAL, tables.signals, fields={Entity.SIGNAL: fields_of(Entity.SIGNAL, tables.signals)})


async def get_or_create(ports: AdminPorts, request: signal_pb2.SignalGetOrCreateRequest) -> signal_pb2.Signal:
    """The signal, created without a value if there is none. Its type stays that of the first request."""
    _check_id(request.id)
    if request.type.WhichOneof("type") is None:
        raise InvalidRequest.missing("type")
    id = ExecutionId.of(request.id.execution_id)
    now_us = tables.time_us(ports.clock.now())

    def change(transaction: Transaction) -> signal_pb2.Signal:
        found = _find(transaction.connection, request.id)
        if found is not None:
            return _message(request.id, found)
        values = execution_values(id) | {
            "signal_id": request.id.signal_id,
            "type": request.type.SerializeToString(),
            "created_at_us": now_us,
            "updated_at_us": now_us,
        }
        transaction.connection.execute(insert(tables.signals), values)
        return signal_pb2.Signal(id=request.id, type=request.type)

    return await write_once(ports.store, change)


async def list_signals(ports: AdminPorts, request: signal_pb2.SignalListRequest) -> signal_pb2.SignalList:
    """An execution's signals, with and without values."""
    validation.check_execution_id(request.workflow_execution_id)
    id = ExecutionId.of(request.workflow_execution_id)
    scope = in_execution(tables.signals, id)
    asked = await page_request(ports, "ListSignals", request)
    page = await ports.store.read(
        lambda connection: list_page(connection, _LISTING, list(_SIGNALS), scope, asked, filters=request.filters)
    )
    found = (
        _message(identifier_pb2.SignalIdentifier(signal_id=row.signal_id, execution_id=id.to_message()), row)
        for row in page.rows
    )
    return signal_pb2.SignalList(signals=found, token=page.next_token)


async def set_value(ports: AdminPorts, request: signal_pb2.SignalSetRequest) -> signal_pb2.SignalSetResponse:
    """Give a signal its value, in place of one that it may have.

    Raises `InvalidRequest` when no gate has asked for the signal yet, or the value is not of its type, and
    `AlreadyTerminal` when the execution has ended, as nothing will come of the value.
    """
    _check_id(request.id)
    if request.value.WhichOneof("value") is None:
        raise InvalidRequest.missing("value")
    data = request.value.SerializeToString(deterministic=True)
    if len(data) > VALUE_BYTES_MAX:
        raise InvalidRequest.invalid("value", f"it has {len(data)} bytes, at most {VALUE_BYTES_MAX} are allowed")
    id = ExecutionId.of(request.id.execution_id)
    now_us = tables.time_us(ports.clock.now())
    order = execution_orders.signal_set(id, request.id.signal_id, request.value, hashlib.sha256(data).hexdigest()[:16])

    def change(transaction: Transaction) -> None:
        found = _find(transaction.connection, request.id)
        if found is None:
            raise InvalidRequest(f"signal {request.id.signal_id!r} of execution {id} does not exist")
        declared = types_pb2.LiteralType.FromString(found.type)
        if not accepts(declared, request.value):
            raise InvalidRequest.invalid("value", f"the signal takes {describe(declared)}")
        _require_live(transaction.connection, id)
        given = update(tables.signals).where(_SIGNALS.id == found.id).values(value=data, updated_at_us=now_us)
        transaction.connection.execute(given)
        transaction.send(order)

    await ports.store.write(change)
    return signal_pb2.SignalSetResponse()


def _check_id(id: identifier_pb2.SignalIdentifier) -> None:
    if not id.HasField("execution_id"):
        raise InvalidRequest.missing("execution_id")
    validation.check_execution_id(id.execution_id)
    if not id.signal_id:
        raise InvalidRequest.missing("signal_id")
    if len(id.signal_id) > SIGNAL_ID_CHARS_MAX:
        raise InvalidRequest.invalid("signal_id", f"at most {SIGNAL_ID_CHARS_MAX} characters are allowed")


def _require_live(connection: Connection, id: ExecutionId) -> None:
    phase = connection.execute(select(_PHASE).where(*in_execution(tables.executions, id))).scalar()
    if phase is not None and ExecutionPhase[phase] in EXECUTION_TERMINAL:
        raise AlreadyTerminal(phase, f"execution {id} has ended ({phase}), its gates wait for nothing")


def _find(connection: Connection, id: identifier_pb2.SignalIdentifier) -> "Row[tuple[object, ...]] | None":
    query = select(tables.signals).where(
        *in_execution(tables.signals, ExecutionId.of(id.execution_id)), _SIGNALS.signal_id == id.signal_id
    )
    return connection.execute(query).one_or_none()


def _message(id: identifier_pb2.SignalIdentifier, row: "Row[tuple[object, ...]]") -> signal_pb2.Signal:
    signal = signal_pb2.Signal(id=id, type=types_pb2.LiteralType.FromString(row.type))
    if row.value is not None:
        signal.value.CopyFrom(literals_pb2.Literal.FromString(row.value))
    return signal
