"""The catalog: datasets, artifacts, tags and reservations, each code of the contract, and nothing written in vain."""

from datetime import timedelta
from typing import Any

import pytest
from sailplane_admin import catalog, catalog_lists, catalog_reservations, tables
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyExists, InvalidRequest, NotFound
from sailplane_protos.core import literals_pb2
from sailplane_protos.datacatalog import datacatalog_pb2 as pb
from sailplane_runtime.clock import ManualClock
from sqlalchemy import func, select

DATASET = pb.DatasetID(project="p", domain="development", name="flyte_task-t", version="1-a-b")
LARGE = "x" * (catalog.DATA_ROW_BYTES_MAX + 1)


def data(value: str = "v", name: str = "o0") -> pb.ArtifactData:
    return pb.ArtifactData(name=name, value=literals_pb2.Literal(scalar={"primitive": {"string_value": value}}))


def artifact(id: str = "a", value: str = "v", **partitions: str) -> pb.Artifact:
    made = pb.Artifact(id=id, dataset=DATASET, data=[data(value)], metadata={"key_map": {"from": "here"}})
    for key, one in partitions.items():
        made.partitions.add(key=key, value=one)
    return made


async def dataset(ports: AdminPorts, *keys: str) -> None:
    await catalog.create_dataset(ports, pb.CreateDatasetRequest(dataset=pb.Dataset(id=DATASET, partitionKeys=keys)))


async def put(ports: AdminPorts, one: pb.Artifact, *tags: str) -> None:
    await catalog.create_artifact(ports, pb.CreateArtifactRequest(artifact=one))
    for tag in tags:
        await catalog.add_tag(ports, pb.AddTagRequest(tag=pb.Tag(name=tag, artifact_id=one.id, dataset=DATASET)))


async def get(ports: AdminPorts, **handle: str) -> pb.Artifact:
    return (await catalog.get_artifact(ports, pb.GetArtifactRequest(dataset=DATASET, **handle))).artifact


async def counts(ports: AdminPorts) -> list[int]:
    """How many rows each table of the catalog has."""
    stored = (tables.catalog_datasets, tables.catalog_artifacts, tables.catalog_tags, tables.catalog_reservations)
    return await ports.store.read(
        lambda connection: [
            connection.execute(select(func.count()).select_from(table)).scalar_one() for table in stored
        ]
    )


# Datasets


async def test_a_dataset_is_made_once(ports: AdminPorts) -> None:
    await dataset(ports, "day")
    with pytest.raises(AlreadyExists):
        await dataset(ports)
    found = (await catalog.get_dataset(ports, pb.GetDatasetRequest(dataset=DATASET))).dataset
    assert list(found.partitionKeys) == ["day"]
    assert found.id.UUID
    with pytest.raises(NotFound):
        await catalog.get_dataset(ports, pb.GetDatasetRequest(dataset=other(version="2")))


def other(**parts: str) -> pb.DatasetID:
    id = pb.DatasetID()
    id.CopyFrom(DATASET)
    for name, value in parts.items():
        setattr(id, name, value)
    return id


# Artifacts


@pytest.mark.parametrize("value", ["v", LARGE])
async def test_an_artifact_is_found_by_id_and_by_tag_with_its_data(ports: AdminPorts, value: str) -> None:
    await dataset(ports)
    await put(ports, artifact(value=value), "t1", "t2")
    for handle in ({"artifact_id": "a"}, {"tag_name": "t1"}, {"tag_name": "t2"}):
        found = await get(ports, **handle)
        assert found.data == artifact(value=value).data
        assert [tag.name for tag in found.tags] == ["t1", "t2"]
        assert found.metadata.key_map == {"from": "here"}
        assert found.created_at.ToDatetime(tzinfo=ports.clock.now().tzinfo) == ports.clock.now()


@pytest.mark.parametrize("before", ["v", LARGE])
@pytest.mark.parametrize("after", ["w", LARGE + "w"])
async def test_an_update_replaces_data_and_notes(ports: AdminPorts, before: str, after: str) -> None:
    await dataset(ports)
    await put(ports, artifact(value=before), "t")
    request = pb.UpdateArtifactRequest(dataset=DATASET, tag_name="t", data=[data(after, "o1")])
    assert (await catalog.update_artifact(ports, request)).artifact_id == "a"
    found = await get(ports, artifact_id="a")
    assert list(found.data) == [data(after, "o1")]
    assert not found.metadata.key_map


async def test_what_is_there_is_not_made_again(ports: AdminPorts) -> None:
    await dataset(ports)
    await put(ports, artifact(), "t")
    await put(ports, artifact("b"))
    before = await counts(ports)
    with pytest.raises(AlreadyExists):
        await put(ports, artifact())
    with pytest.raises(AlreadyExists):
        await catalog.add_tag(ports, pb.AddTagRequest(tag=pb.Tag(name="t", artifact_id="b", dataset=DATASET)))
    assert await counts(ports) == before
    assert (await get(ports, tag_name="t")).id == "a"


async def test_what_is_not_there_is_not_found(ports: AdminPorts) -> None:
    with pytest.raises(NotFound):
        await put(ports, artifact())
    await dataset(ports)
    for handle in ({"artifact_id": "a"}, {"tag_name": "t"}):
        with pytest.raises(NotFound):
            await get(ports, **handle)
        with pytest.raises(NotFound):
            await catalog.update_artifact(ports, pb.UpdateArtifactRequest(dataset=DATASET, data=[data()], **handle))
    with pytest.raises(NotFound):
        await catalog.add_tag(ports, pb.AddTagRequest(tag=pb.Tag(name="t", artifact_id="a", dataset=DATASET)))
    assert await counts(ports) == [1, 0, 0, 0]


async def test_data_that_left_the_blob_store_is_not_found(ports: AdminPorts) -> None:
    await dataset(ports)
    await put(ports, artifact(value=LARGE))
    async for blob in ports.blobs.list(ports.blobs.uri("metadata/catalog/")):
        await ports.blobs.delete(blob.uri)
    with pytest.raises(NotFound):
        await get(ports, artifact_id="a")


def without(message: Any, path: str) -> Any:
    """A copy without one field."""
    copy = type(message)()
    copy.CopyFrom(message)
    *above, last = path.split(".")
    inner = copy
    for name in above:
        inner = getattr(inner, name)
    inner.ClearField(last)
    return copy


CREATE = pb.CreateArtifactRequest(artifact=artifact(day="mon"))
TWICE = pb.CreateArtifactRequest(artifact=artifact(day="mon"))
TWICE.artifact.data.extend([data("w")])
EMPTY = pb.CreateArtifactRequest(artifact=artifact(day="mon"))
EMPTY.artifact.data[0].ClearField("value")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        *((without(CREATE, f"artifact.dataset.{part}"), part) for part in ("project", "domain", "name", "version")),
        (without(CREATE, "artifact.id"), "id"),
        (without(CREATE, "artifact.data"), "data"),
        (without(CREATE, "artifact.partitions"), "partitions"),
        (pb.CreateArtifactRequest(artifact=artifact(day="mon", hour="1")), "partitions"),
        (pb.CreateArtifactRequest(artifact=artifact("a" * 513, day="mon")), "id"),
        (TWICE, "data"),
        (EMPTY, "data.value"),
    ],
)
async def test_an_artifact_that_cannot_be_is_refused_by_its_field(
    ports: AdminPorts, request_: pb.CreateArtifactRequest, field: str
) -> None:
    await dataset(ports, "day")
    with pytest.raises(InvalidRequest, match=rf"\b{field}\b"):
        await catalog.create_artifact(ports, request_)
    assert await counts(ports) == [1, 0, 0, 0]


@pytest.mark.parametrize("keys", [("a", "a"), ("",)])
async def test_partition_keys_are_given_once(ports: AdminPorts, keys: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="partitionKeys"):
        await dataset(ports, *keys)


async def test_an_artifact_is_asked_for_by_id_or_tag(ports: AdminPorts) -> None:
    await dataset(ports)
    with pytest.raises(InvalidRequest, match="artifact_id or tag_name"):
        await get(ports)
    with pytest.raises(InvalidRequest, match="tag_name"):
        await get(ports, tag_name="")


# Lists


async def listed(ports: AdminPorts, *filters: pb.SinglePropertyFilter, **pagination: Any) -> list[str]:
    """The ids of all artifacts, page after page."""
    request = pb.ListArtifactsRequest(dataset=DATASET, filter={"filters": filters}, pagination=pagination)
    found: list[str] = []
    while True:
        page = await catalog_lists.list_artifacts(ports, request)
        found += [one.id for one in page.artifacts]
        assert all(len(one.data) == 1 for one in page.artifacts)
        if not page.next_token:
            return found
        request.pagination.token = page.next_token


async def test_artifacts_are_listed_in_pages_newest_first(ports: AdminPorts, clock: ManualClock) -> None:
    await dataset(ports, "day")
    for number in range(120):
        await put(ports, artifact(f"a{number:03}", day=str(number % 7)), f"t{number}")
        clock.advance(1)
    newest_first = [f"a{number:03}" for number in reversed(range(120))]
    assert await listed(ports) == newest_first
    assert await listed(ports, limit=7) == newest_first
    assert await listed(ports, sortOrder="ASCENDING") == newest_first[::-1]
    by_day = pb.SinglePropertyFilter(partition_filter={"key_val": {"key": "day", "value": "3"}})
    assert await listed(ports, by_day, limit=5) == [one for one in newest_first if int(one[1:]) % 7 == 3]
    assert await listed(ports, pb.SinglePropertyFilter(tag_filter={"tag_name": "t9"})) == ["a009"]
    assert await listed(ports, pb.SinglePropertyFilter(artifact_filter={"artifact_id": "a010"})) == ["a010"]
    assert await listed(ports, by_day, pb.SinglePropertyFilter(tag_filter={"tag_name": "t9"})) == []


async def test_datasets_are_listed(ports: AdminPorts) -> None:
    for name in ("a", "b"):
        made = pb.Dataset(id=other(name=name))
        await catalog.create_dataset(ports, pb.CreateDatasetRequest(dataset=made))
    found = await catalog_lists.list_datasets(ports, pb.ListDatasetsRequest())
    assert [one.id.name for one in found.datasets] == ["b", "a"]
    request = pb.ListDatasetsRequest(filter={"filters": [{"dataset_filter": {"name": "a"}}]})
    assert [one.id.name for one in (await catalog_lists.list_datasets(ports, request)).datasets] == ["a"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListArtifactsRequest(dataset=DATASET, pagination={"limit": 51}), "limit"),
        (pb.ListArtifactsRequest(dataset=DATASET, pagination={"token": "x"}), "token"),
        (pb.ListArtifactsRequest(dataset=DATASET, filter={"filters": [{"dataset_filter": {"name": "a"}}]}), "filter"),
        (pb.ListArtifactsRequest(dataset=DATASET, filter={"filters": [{}]}), "filter"),
        (pb.ListArtifactsRequest(), "project"),
    ],
)
async def test_a_list_that_cannot_be_is_refused(
    ports: AdminPorts, request_: pb.ListArtifactsRequest, field: str
) -> None:
    await dataset(ports)
    with pytest.raises(InvalidRequest, match=field):
        await catalog_lists.list_artifacts(ports, request_)


# Reservations


async def reserve(ports: AdminPorts, owner: str, seconds: int = 2, *, tag: str = "t") -> pb.Reservation:
    request = pb.GetOrExtendReservationRequest(reservation_id={"dataset_id": DATASET, "tag_name": tag}, owner_id=owner)
    request.heartbeat_interval.FromSeconds(seconds)
    return (await catalog_reservations.get_or_extend(ports, request)).reservation


async def release(ports: AdminPorts, owner: str) -> None:
    request = pb.ReleaseReservationRequest(reservation_id={"dataset_id": DATASET, "tag_name": "t"}, owner_id=owner)
    await catalog_reservations.release(ports, request)


async def test_the_first_who_asks_has_the_right_until_it_expires(ports: AdminPorts, clock: ManualClock) -> None:
    assert (await reserve(ports, "one")).owner_id == "one"
    assert (await reserve(ports, "two")).owner_id == "one"
    clock.advance(5.9)
    assert (await reserve(ports, "two")).owner_id == "one"
    clock.advance(0.1)
    assert (await reserve(ports, "two")).owner_id == "two"
    assert (await reserve(ports, "one")).owner_id == "two"


async def test_who_extends_keeps_it(ports: AdminPorts, clock: ManualClock) -> None:
    for _ in range(5):
        found = await reserve(ports, "one")
        assert found.expires_at.ToDatetime(tzinfo=clock.now().tzinfo) == clock.now() + timedelta(seconds=6)
        clock.advance(5)
        assert (await reserve(ports, "two")).owner_id == "one"


async def test_reservations_that_nobody_gave_back_are_cleared_away(ports: AdminPorts, clock: ManualClock) -> None:
    for number in range(catalog_reservations.LAPSED_PER_NEW + 3):
        await reserve(ports, "gone", tag=f"old{number}")
    await reserve(ports, "here", 10)
    clock.advance(15)
    for tag in ("new1", "new2"):
        await reserve(ports, "one", tag=tag)
    left = select(tables.catalog_reservations.c.tag_name)
    assert set(await ports.store.read(lambda connection: connection.scalars(left).all())) == {"t", "new1", "new2"}


async def test_only_its_owner_gives_it_back(ports: AdminPorts) -> None:
    await release(ports, "one")
    await reserve(ports, "one")
    await release(ports, "two")
    assert (await reserve(ports, "two")).owner_id == "one"
    await release(ports, "one")
    assert (await reserve(ports, "two")).owner_id == "two"


@pytest.mark.parametrize(("asked_s", "given_s"), [(3, 3), (0, 10), (3600, 10)])
async def test_the_interval_is_bounded(ports: AdminPorts, asked_s: int, given_s: int) -> None:
    assert (await reserve(ports, "one", asked_s)).heartbeat_interval.ToSeconds() == given_s


async def test_a_reservation_that_cannot_be_is_refused(ports: AdminPorts) -> None:
    for seconds, owner, field in ((-1, "one", "heartbeat_interval"), (1, "", "owner_id")):
        with pytest.raises(InvalidRequest, match=field):
            await reserve(ports, owner, seconds)
    assert await counts(ports) == [0, 0, 0, 0]
