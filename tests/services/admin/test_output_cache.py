"""Outputs under mere keys: each code of the contract, and nothing written in vain."""

import pytest
from sailplane_admin import catalog, catalog_reservations, output_cache, tables
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyExists, InvalidRequest, NotFound
from sailplane_protos.cacheservice import cacheservice_pb2 as pb
from sailplane_protos.core import literals_pb2
from sailplane_runtime.clock import ManualClock
from sqlalchemy import func, select

LARGE = "x" * (catalog.DATA_ROW_BYTES_MAX + 1)


def output(value: str = "v") -> pb.CachedOutput:
    literal = literals_pb2.Literal(scalar={"primitive": {"string_value": value}})
    made = pb.CachedOutput(output_literals={"literals": {"o0": literal}})
    made.metadata.key_map.values["from"] = "here"
    made.metadata.source_identifier.name = "t"
    return made


async def put(ports: AdminPorts, value: str = "v", *, key: str = "k", overwrite: bool = False) -> None:
    await output_cache.put(ports, pb.PutCacheRequest(key=key, output=output(value), overwrite=overwrite))


async def get(ports: AdminPorts, key: str = "k") -> pb.CachedOutput:
    return (await output_cache.get(ports, pb.GetCacheRequest(key=key))).output


async def rows(ports: AdminPorts) -> int:
    query = select(func.count()).select_from(tables.cache_entries)
    return await ports.store.read(lambda connection: connection.execute(query).scalar_one())


@pytest.mark.parametrize("value", ["v", LARGE])
async def test_what_is_put_comes_back_with_its_times(ports: AdminPorts, value: str) -> None:
    await put(ports, value)
    found = await get(ports)
    assert found.output_literals == output(value).output_literals
    assert found.metadata.key_map.values["from"] == "here"
    assert found.metadata.created_at == found.metadata.last_updated_at
    assert found.metadata.HasField("created_at")


@pytest.mark.parametrize("value", ["w", LARGE + "w"])
async def test_what_is_there_is_replaced_only_on_demand(ports: AdminPorts, value: str) -> None:
    await put(ports, LARGE)
    with pytest.raises(AlreadyExists):
        await put(ports, value)
    assert (await get(ports)).output_literals == output(LARGE).output_literals
    created_at = (await get(ports)).metadata.created_at
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(5)
    await put(ports, value, overwrite=True)
    found = await get(ports)
    assert found.output_literals == output(value).output_literals
    assert found.metadata.created_at == created_at
    assert found.metadata.last_updated_at.seconds - created_at.seconds == 5
    assert [blob.uri async for blob in ports.blobs.list(ports.blobs.uri("metadata/catalog/"))] == [
        uri for uri in [await data_uri(ports)] if uri
    ]


async def data_uri(ports: AdminPorts) -> str:
    query = select(tables.cache_entries.c.data_uri)
    return await ports.store.read(lambda connection: connection.execute(query).scalar_one())


@pytest.mark.parametrize("value", ["v", LARGE])
async def test_what_is_deleted_is_gone(ports: AdminPorts, value: str) -> None:
    await put(ports, value)
    await output_cache.remove(ports, pb.DeleteCacheRequest(key="k"))
    assert [blob async for blob in ports.blobs.list(ports.blobs.uri("metadata/catalog/"))] == []
    with pytest.raises(NotFound):
        await get(ports)
    with pytest.raises(NotFound):
        await output_cache.remove(ports, pb.DeleteCacheRequest(key="k"))


async def test_bad_requests_name_the_field_and_write_nothing(ports: AdminPorts) -> None:
    with pytest.raises(InvalidRequest, match="key"):
        await put(ports, key="")
    with pytest.raises(InvalidRequest, match="key"):
        await put(ports, key="k" * 513)
    with pytest.raises(InvalidRequest, match="output"):
        await output_cache.put(ports, pb.PutCacheRequest(key="k"))
    with pytest.raises(InvalidRequest, match="owner_id"):
        await output_cache.get_or_extend(ports, pb.GetOrExtendReservationRequest(key="k"))
    with pytest.raises(InvalidRequest, match="key"):
        await output_cache.release(ports, pb.ReleaseReservationRequest(owner_id="o"))
    assert await rows(ports) == 0


async def owner(ports: AdminPorts, name: str) -> str:
    request = pb.GetOrExtendReservationRequest(key="k", owner_id=name, heartbeat_interval={"seconds": 2})
    return (await output_cache.get_or_extend(ports, request)).reservation.owner_id


async def test_one_of_several_has_the_right_until_it_gives_it_back_or_is_silent(ports: AdminPorts) -> None:
    assert [await owner(ports, name) for name in ("a", "b", "a")] == ["a", "a", "a"]
    await output_cache.release(ports, pb.ReleaseReservationRequest(key="k", owner_id="b"))
    assert await owner(ports, "b") == "a"
    await output_cache.release(ports, pb.ReleaseReservationRequest(key="k", owner_id="a"))
    assert await owner(ports, "b") == "b"
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(2 * catalog_reservations.HEARTBEATS_OF_GRACE)
    assert await owner(ports, "a") == "a"
