"""Messages that executions owe when they end: written down with the end, listed, and tried again when asked.

`notification_sender` sends them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sailplane_core import notifications as rules
from sailplane_core.errors import InvalidRequest, NotFound, Refused
from sailplane_core.ids import ExecutionId
from sailplane_core.message_templates import ERROR_CHARS_MAX
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import common_pb2, execution_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.notification import service_pb2 as pb
from sailplane_runtime.store.port import Transaction
from sqlalchemy import bindparam, insert, select, text, update

from . import tables
from .execution_rows import StoredExecution, execution_values
from .keyset import Order
from .paging import page_request, read_page
from .ports import AdminPorts
from .tables.notifications import GIVEN_UP, PENDING

_DELIVERIES = tables.notification_deliveries.c
_INSERT = insert(tables.notification_deliveries)
_GET = select(tables.notification_deliveries).where(_DELIVERIES.delivery_id == bindparam("of_id"))
_RETRY = (
    update(tables.notification_deliveries)
    .where(_DELIVERIES.delivery_id == bindparam("of_id"))
    .values({name: bindparam(f"new_{name}") for name in ("state", "tried_since_us", "next_try_at_us")})
)
_OF_STATE = {pb.DELIVERY_STATE_PENDING: text(PENDING), pb.DELIVERY_STATE_GIVEN_UP: text(GIVEN_UP)}
"""Those that there are few of, in the words of their indexes."""
_STATE_PREFIX = "DELIVERY_STATE_"


def state_name(state: "pb.DeliveryState.ValueType") -> str:
    """A state as the column says it."""
    return pb.DeliveryState.Name(state).removeprefix(_STATE_PREFIX)


# With the end of an execution


def owe(
    transaction: Transaction,
    id: ExecutionId,
    stored: StoredExecution,
    closure: execution_pb2.ExecutionClosure,
    now: datetime,
) -> bool:
    """An execution is terminal now: write down who is to be told. Whether anybody is."""
    owed = rules.owed(closure.notifications, closure.phase)
    if not owed:
        return False
    plan = execution_pb2.ExecutionSpec.FromString(stored.spec).launch_plan
    created_at = closure.created_at.ToDatetime(now.tzinfo)
    now_us = tables.time_us(now)
    of_execution = {
        **execution_values(id),
        "phase": ExecutionPhase(closure.phase).name,
        "error": _error(closure),
        **_version("workflow", closure.workflow_id),
        **_version("launch_plan", plan),
        "state": state_name(pb.DELIVERY_STATE_PENDING),
        "tries": 0,
        "last_error": "",
        "ended_at_us": tables.time_us(closure.updated_at),
        "leased_until_us": 0,
        "delivered_at_us": None,
        **dict.fromkeys(("created_at_us", "tried_since_us", "next_try_at_us"), now_us),
    }
    rows = [
        {
            **of_execution,
            "delivery_id": one.delivery_id(id, created_at),
            "kind": one.kind,
            "target": one.target,
            "template": one.template,
            "route": rules.route_of(one.kind, one.target),
        }
        for one in owed
    ]
    transaction.connection.execute(_INSERT, rows)
    return True


def _error(closure: execution_pb2.ExecutionClosure) -> str:
    """Why it did not succeed. Without what PostgreSQL takes in no text."""
    cause = closure.abort_metadata.cause if closure.WhichOneof("output_result") == "abort_metadata" else ""
    return (closure.error.message or cause).replace("\0", "")[:ERROR_CHARS_MAX]


def _version(entity: str, id: identifier_pb2.Identifier) -> dict[str, str]:
    return {f"{entity}_{part}": getattr(id, part) for part in ("project", "domain", "name", "version")}


# What requests may name


def unknown(ports: AdminPorts, listed: Sequence[common_pb2.Notification]) -> InvalidRequest | None:
    """Why a list of notifications cannot be taken, that names what nobody has configured; None if it can."""
    return rules.unknown(listed, ports.notifier.channels, ports.notifier.templates)


# What operators ask


async def list_deliveries(ports: AdminPorts, request: pb.ListDeliveriesRequest) -> pb.ListDeliveriesResponse:
    """A page of messages, the newest first."""
    if request.state not in pb.DeliveryState.values():
        raise InvalidRequest.invalid("state", f"there is no state {request.state}")
    asked = await page_request(ports, "ListDeliveries", request, zero_is_all=True)
    order = Order([_DELIVERIES.id], is_descending=True)
    of_execution = {
        _DELIVERIES.execution_project: request.project,
        _DELIVERIES.execution_domain: request.domain,
        _DELIVERIES.execution_name: request.execution,
    }
    query = select(tables.notification_deliveries).where(
        *(column == value for column, value in of_execution.items() if value)
    )
    if request.state:
        query = query.where(_OF_STATE.get(request.state, _DELIVERIES.state == state_name(request.state)))
    page = await ports.store.read(lambda connection: read_page(connection, query, order, asked))
    return pb.ListDeliveriesResponse(deliveries=map(_delivery, page.rows), token=page.next_token)


async def retry(ports: AdminPorts, request: pb.RetryDeliveryRequest) -> pb.RetryDeliveryResponse:
    """Try a message now, one that was given up as if it were new. Raises `Refused` when it was delivered."""
    if not request.id:
        raise InvalidRequest.missing("id")
    now_us = tables.time_us(ports.clock.now())

    def change(transaction: Transaction) -> pb.NotificationDelivery:
        row = transaction.connection.execute(_GET.with_for_update(), {"of_id": request.id}).one_or_none()
        if row is None:
            raise NotFound("notification delivery", request.id)
        if row.state == state_name(pb.DELIVERY_STATE_DELIVERED):
            raise Refused(f"notification delivery {request.id} was delivered")
        state = state_name(pb.DELIVERY_STATE_PENDING)
        since_us = row.tried_since_us if row.state == state else now_us
        times = {"new_tried_since_us": since_us, "new_next_try_at_us": max(now_us, row.leased_until_us)}
        transaction.connection.execute(_RETRY, {"of_id": request.id, "new_state": state, **times})
        return _delivery(transaction.connection.execute(_GET, {"of_id": request.id}).one())

    delivery = await ports.store.write(change)
    ports.deliveries_owed.set()
    return pb.RetryDeliveryResponse(delivery=delivery)


def list_channels(ports: AdminPorts) -> pb.ListChannelsResponse:
    """What notifications may name."""
    notifier = ports.notifier
    channels = [pb.NotificationChannel(name=name, kind=kind) for name, kind in sorted(notifier.channels.items())]
    return pb.ListChannelsResponse(channels=channels, templates=sorted(notifier.templates), has_mail=notifier.has_mail)


def _delivery(row: Any) -> pb.NotificationDelivery:
    execution = identifier_pb2.WorkflowExecutionIdentifier(
        project=row.execution_project, domain=row.execution_domain, name=row.execution_name
    )
    delivery = pb.NotificationDelivery(
        id=row.delivery_id,
        execution=execution,
        phase=ExecutionPhase[row.phase].value,
        kind=row.kind,
        target=row.target,
        template=row.template,
        state=pb.DeliveryState.Value(_STATE_PREFIX + row.state),
        tries=row.tries,
        last_error=row.last_error,
        created_at=tables.timestamp_of(row.created_at_us),
    )
    if delivery.state == pb.DELIVERY_STATE_PENDING:
        delivery.next_try_at.CopyFrom(tables.timestamp_of(row.next_try_at_us))
    if row.delivered_at_us is not None:
        delivery.delivered_at.CopyFrom(tables.timestamp_of(row.delivered_at_us))
    return delivery
