"""Reservations: of several that want to make the same artifact, one does and the others wait.

One row for each; whoever asks gets the one in force. It is the asker's if it was free, expired, or the asker's already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
LAPSED_PER_NEW = 10
"""Each new reservation clears away so many that have lapsed and that nobody has asked for again."""

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
_LAPSED = (
    select(_RESERVATIONS.id)
    .where(_RESERVATIONS.expires_at_us <= bindparam("now_us"))
    .order_by(_RESERVATIONS.expires_at_us)
    .limit(LAPSED_PER_NEW)
)
_DELETE_LAPSED = delete(tables.catalog_reservations).where(_RESERVATIONS.id.in_(_LAPSED.scalar_subquery()))


@dataclass(frozen=True, slots=True)
class Held:
    """The reservation in force."""

    owner_id: str
    heartbeat: timedelta
    expires_at: datetime


async def get_or_extend(
    ports: AdminPorts, request: pb.GetOrExtendReservationRequest
) -> pb.GetOrExtendReservationResponse:
    """The reservation in force, which is the caller's if it could be had."""
    held = await take(ports, _key(request.reservation_id), request.owner_id, request.heartbeat_interval)
    reservation = pb.Reservation(reservation_id=request.reservation_id, owner_id=held.owner_id)
    reservation.heartbeat_interval.FromTimedelta(held.heartbeat)
    reservation.expires_at.FromDatetime(held.expires_at)
    return pb.GetOrExtendReservationResponse(reservation=reservation)


async def take(ports: AdminPorts, key: Mapping[str, str], owner_id: str, asked: Duration) -> Held:
    """The reservation of a key that is in force; it is the caller's if it was free, expired or the caller's already."""
    require(owner_id=owner_id)
    heartbeat = _heartbeat(asked)
    now = ports.clock.now()
    now_us = tables.time_us(now)
    mine = Held(owner_id, heartbeat, now + HEARTBEATS_OF_GRACE * heartbeat)
    row_of_mine = {
        "owner_id": owner_id,
        "heartbeat_us": tables.duration_us(heartbeat),
        "expires_at_us": tables.time_us(mine.expires_at),
    }

    def change(transaction: Transaction) -> Held:
        connection = transaction.connection
        row = connection.execute(_FIND, key).one_or_none()
        if row is None:
            connection.execute(_DELETE_LAPSED, {"now_us": now_us})
            connection.execute(insert(tables.catalog_reservations), {**key, **row_of_mine})
            return mine
        taken = connection.execute(_TAKE, {**row_of_mine, "row_id": row.id, "asker": owner_id, "now_us": now_us})
        if taken.rowcount:
            return mine
        expires_at = tables.timestamp_of(row.expires_at_us).ToDatetime(UTC)
        return Held(row.owner_id, tables.duration_of(row.heartbeat_us), expires_at)

    return await ports.store.write(change)


async def release(ports: AdminPorts, request: pb.ReleaseReservationRequest) -> pb.ReleaseReservationResponse:
    """Give a reservation back. Fine also if it is not the caller's, or nobody's."""
    await give_back(ports, _key(request.reservation_id), request.owner_id)
    return pb.ReleaseReservationResponse()


async def give_back(ports: AdminPorts, key: Mapping[str, str], owner_id: str) -> None:
    """End the caller's reservation of a key, if there is one."""
    require(owner_id=owner_id)
    statement = delete(tables.catalog_reservations).filter_by(**key, owner_id=owner_id)
    await ports.store.write(lambda tx: tx.connection.execute(statement))


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
