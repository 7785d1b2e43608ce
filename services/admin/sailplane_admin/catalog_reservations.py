"""Reservations: of several that want to make the same artifact, one does and the others wait.

One row for each; whoever asks gets the one in force. It is the asker's if it was free, expired, or the asker's already.
"""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from sailplane_core.durations import timedelta_of
from sailplane_core.errors import InvalidRequest
from sailplane_protos.datacatalog import datacatalog_pb2 as pb
from sailplane_runtime.store.port import Transaction
from sqlalchemy import bindparam, delete, insert, select, update

from . import tables
from .catalog import check_dataset_id, dataset_key, require
from .ports import AdminPorts

HEARTBEAT_MAX = timedelta(seconds=10)
HEARTBEATS_OF_GRACE = 3
"""A reservation that was not extended for so many intervals is anybody's."""

_RESERVATIONS = tables.catalog_reservations.c
_KEY = ("project", "domain", "name", "version", "tag_name")
_FIND = select(tables.catalog_reservations).where(*(_RESERVATIONS[name] == bindparam(name) for name in _KEY))
_TAKE = (
    update(tables.catalog_reservations)
    .where(
        _RESERVATIONS.id == bindparam("row_id"),
        (_RESERVATIONS.owner_id == bindparam("asker")) | (_RESERVATIONS.expires_at_us <= bindparam("now_us")),
    )
    .values({name: bindparam(name) for name in ("owner_id", "heartbeat_us", "expires_at_us")})
)


async def get_or_extend(
    ports: AdminPorts, request: pb.GetOrExtendReservationRequest
) -> pb.GetOrExtendReservationResponse:
    """The reservation in force, which is the caller's if it could be had."""
    key = _key(request.reservation_id)
    require(owner_id=request.owner_id)
    heartbeat = _heartbeat(request.heartbeat_interval)
    now = ports.clock.now()
    now_us = tables.time_us(now)
    mine = {
        "owner_id": request.owner_id,
        "heartbeat_us": heartbeat // timedelta(microseconds=1),
        "expires_at_us": tables.time_us(now + HEARTBEATS_OF_GRACE * heartbeat),
    }

    def change(transaction: Transaction) -> dict[str, object]:
        connection = transaction.connection
        row = connection.execute(_FIND, key).one_or_none()
        if row is None:
            connection.execute(insert(tables.catalog_reservations), key | mine)
            return mine
        taken = connection.execute(_TAKE, mine | {"row_id": row.id, "asker": request.owner_id, "now_us": now_us})
        if taken.rowcount:
            return mine
        return {name: getattr(row, name) for name in mine}

    found = await ports.store.write(change)
    reservation = pb.Reservation(reservation_id=request.reservation_id, owner_id=str(found["owner_id"]))
    reservation.heartbeat_interval.FromMicroseconds(int(str(found["heartbeat_us"])))
    reservation.expires_at.CopyFrom(tables.timestamp_of(int(str(found["expires_at_us"]))))
    return pb.GetOrExtendReservationResponse(reservation=reservation)


async def release(ports: AdminPorts, request: pb.ReleaseReservationRequest) -> pb.ReleaseReservationResponse:
    """Give a reservation back. Fine also if it is not the caller's, or nobody's."""
    key = _key(request.reservation_id)
    require(owner_id=request.owner_id)
    statement = delete(tables.catalog_reservations).filter_by(**key, owner_id=request.owner_id)
    await ports.store.write(lambda tx: tx.connection.execute(statement))
    return pb.ReleaseReservationResponse()


def _key(id: pb.ReservationID) -> dict[str, str]:
    check_dataset_id(id.dataset_id)
    require(tag_name=id.tag_name)
    return dataset_key(id.dataset_id) | {"tag_name": id.tag_name}


def _heartbeat(asked: Duration) -> timedelta:
    """What was asked for, within bounds; the longest one if nothing was."""
    heartbeat = timedelta_of(asked)
    if heartbeat < timedelta():
        raise InvalidRequest.invalid("heartbeat_interval", "it is negative")
    return min(heartbeat, HEARTBEAT_MAX) if heartbeat else HEARTBEAT_MAX
