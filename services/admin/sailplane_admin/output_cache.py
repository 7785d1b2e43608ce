"""Outputs under keys that whoever computes them makes up: the catalog's simple form (`cacheservice.CacheService`)."""

from typing import Any

from sailplane_core.errors import AlreadyExists, InvalidRequest, NotFound
from sailplane_protos.cacheservice import cacheservice_pb2 as pb
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, Row, delete, insert, select, update

from . import catalog_reservations, tables
from .catalog import keep_data, read_data, require
from .ports import AdminPorts

_ENTRIES = tables.cache_entries.c


async def get(ports: AdminPorts, request: pb.GetCacheRequest) -> pb.GetCacheResponse:
    """What is kept under a key. Raises `NotFound`, also when the data is gone: as good as never made."""
    require(key=request.key)
    row = await ports.store.read(lambda connection: _find(connection, request.key))
    output = pb.CachedOutput.FromString(await read_data(ports, row))
    output.metadata.created_at.CopyFrom(tables.timestamp_of(row.created_at_us))
    output.metadata.last_updated_at.CopyFrom(tables.timestamp_of(row.last_updated_at_us))
    return pb.GetCacheResponse(output=output)


async def put(ports: AdminPorts, request: pb.PutCacheRequest) -> pb.PutCacheResponse:
    """Keep outputs under a key. Raises `AlreadyExists` unless what is there may be replaced."""
    require(key=request.key)
    if request.output.WhichOneof("output") is None:
        raise InvalidRequest.missing("output.output_literals or output_uri")
    kept = await keep_data(ports, request.key, request.output.SerializeToString(deterministic=True))
    now_us = tables.time_us(ports.clock.now())

    def change(transaction: Transaction) -> str:
        connection = transaction.connection
        old = connection.execute(select(_ENTRIES.data_uri).where(_ENTRIES.key == request.key)).one_or_none()
        if old is None:
            row = {"key": request.key, "created_at_us": now_us, "last_updated_at_us": now_us, **kept}
            connection.execute(insert(tables.cache_entries), row)
            return ""
        if not request.overwrite:
            raise AlreadyExists("cache entry", request.key)
        changed = update(tables.cache_entries).where(_ENTRIES.key == request.key)
        connection.execute(changed.values(last_updated_at_us=now_us, **kept))
        return old.data_uri

    replaced_uri = await ports.store.write(change)
    if replaced_uri and replaced_uri != kept["data_uri"]:
        await ports.blobs.delete(replaced_uri)
    return pb.PutCacheResponse()


async def remove(ports: AdminPorts, request: pb.DeleteCacheRequest) -> pb.DeleteCacheResponse:
    """Forget what is kept under a key; files that it names stay. Raises `NotFound`."""
    require(key=request.key)

    def change(transaction: Transaction) -> str:
        row = _find(transaction.connection, request.key)
        transaction.connection.execute(delete(tables.cache_entries).where(_ENTRIES.id == row.id))
        return row.data_uri

    data_uri = await ports.store.write(change)
    if data_uri:
        await ports.blobs.delete(data_uri)
    return pb.DeleteCacheResponse()


def _find(connection: Connection, key: str) -> "Row[Any]":
    row = connection.execute(select(tables.cache_entries).where(_ENTRIES.key == key)).one_or_none()
    if row is None:
        raise NotFound("cache entry", key)
    return row


async def get_or_extend(
    ports: AdminPorts, request: pb.GetOrExtendReservationRequest
) -> pb.GetOrExtendReservationResponse:
    """The reservation of a key that is in force, which is the caller's if it could be had."""
    key, asked = _reservation_key(request.key), request.heartbeat_interval
    held = await catalog_reservations.take(ports, key, request.owner_id, asked)
    reservation = pb.Reservation(key=request.key, owner_id=held.owner_id)
    reservation.heartbeat_interval.FromTimedelta(held.heartbeat)
    reservation.expires_at.FromDatetime(held.expires_at)
    return pb.GetOrExtendReservationResponse(reservation=reservation)


async def release(ports: AdminPorts, request: pb.ReleaseReservationRequest) -> pb.ReleaseReservationResponse:
    """Give a reservation back. Fine also if it is not the caller's, or nobody's."""
    await catalog_reservations.give_back(ports, _reservation_key(request.key), request.owner_id)
    return pb.ReleaseReservationResponse()


def _reservation_key(key: str) -> dict[str, str]:
    """Among the catalog's reservations, whose datasets all have names: a key alone is none of theirs."""
    require(key=key)
    return {"project": "", "domain": "", "name": "", "version": "", "tag_name": key}
