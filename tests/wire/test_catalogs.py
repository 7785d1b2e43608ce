"""The catalog and the cache over the published stubs, in the order in which Flyte's propeller asks."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from compat.plane import Plane
from flyteidl.cacheservice import cacheservice_pb2, cacheservice_pb2_grpc
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.datacatalog import datacatalog_pb2 as pb
from flyteidl.datacatalog import datacatalog_pb2_grpc

DATASET = pb.DatasetID(project="flytesnacks", domain="development", name="flyte_task-t", version="1-a-b")
RESERVATION = pb.ReservationID(dataset_id=DATASET, tag_name="flyte_cached-x")


def literal(text: str) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=text)))


def code_of(call: Any, request: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    error: Any = caught.value
    return error.code()


@pytest.fixture
def catalog(plane: Plane) -> Iterator[datacatalog_pb2_grpc.DataCatalogStub]:
    with grpc.insecure_channel(plane.grpc) as channel:
        yield datacatalog_pb2_grpc.DataCatalogStub(channel)


@pytest.fixture
def cache(plane: Plane) -> Iterator[cacheservice_pb2_grpc.CacheServiceStub]:
    with grpc.insecure_channel(plane.grpc) as channel:
        yield cacheservice_pb2_grpc.CacheServiceStub(channel)


def test_what_a_task_has_made_is_found_again(catalog: datacatalog_pb2_grpc.DataCatalogStub) -> None:
    reserve = pb.GetOrExtendReservationRequest(reservation_id=RESERVATION, owner_id="one")
    assert catalog.GetOrExtendReservation(reserve).reservation.owner_id == "one"
    reserve.owner_id = "two"
    assert catalog.GetOrExtendReservation(reserve).reservation.owner_id == "one"
    by_tag = pb.GetArtifactRequest(dataset=DATASET, tag_name=RESERVATION.tag_name)
    assert code_of(catalog.GetArtifact, by_tag) is grpc.StatusCode.NOT_FOUND
    create = pb.CreateDatasetRequest(dataset=pb.Dataset(id=DATASET))
    catalog.CreateDataset(create)
    assert code_of(catalog.CreateDataset, create) is grpc.StatusCode.ALREADY_EXISTS
    assert catalog.GetDataset(pb.GetDatasetRequest(dataset=DATASET)).dataset.id.name == DATASET.name
    made = pb.Artifact(id="a", dataset=DATASET, data=[pb.ArtifactData(name="o0", value=literal("v"))])
    catalog.CreateArtifact(pb.CreateArtifactRequest(artifact=made))
    tag = pb.Tag(name=RESERVATION.tag_name, artifact_id="a", dataset=DATASET)
    catalog.AddTag(pb.AddTagRequest(tag=tag))
    assert code_of(catalog.AddTag, pb.AddTagRequest(tag=tag)) is grpc.StatusCode.ALREADY_EXISTS
    assert catalog.GetArtifact(by_tag).artifact.data == made.data
    catalog.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id=RESERVATION, owner_id="one"))
    assert catalog.GetOrExtendReservation(reserve).reservation.owner_id == "two"


def test_what_is_made_again_takes_its_place(catalog: datacatalog_pb2_grpc.DataCatalogStub) -> None:
    dataset = pb.DatasetID(project="flytesnacks", domain="staging", name="flyte_task-u", version="1")
    catalog.CreateDataset(pb.CreateDatasetRequest(dataset=pb.Dataset(id=dataset)))
    made = pb.Artifact(id="b", dataset=dataset, data=[pb.ArtifactData(name="o0", value=literal("old"))])
    catalog.CreateArtifact(pb.CreateArtifactRequest(artifact=made))
    new = [pb.ArtifactData(name="o0", value=literal("new"))]
    catalog.UpdateArtifact(pb.UpdateArtifactRequest(dataset=dataset, artifact_id="b", data=new))
    listed = catalog.ListArtifacts(pb.ListArtifactsRequest(dataset=dataset)).artifacts
    assert [list(artifact.data) for artifact in listed] == [new]
    filters = [pb.SinglePropertyFilter(dataset_filter=pb.DatasetPropertyFilter(name=dataset.name))]
    found = catalog.ListDatasets(pb.ListDatasetsRequest(filter=pb.FilterExpression(filters=filters))).datasets
    assert [one.id.domain for one in found] == ["staging"]


def test_outputs_under_a_key(cache: cacheservice_pb2_grpc.CacheServiceStub) -> None:
    get = cacheservice_pb2.GetCacheRequest(key="k")
    assert code_of(cache.Get, get) is grpc.StatusCode.NOT_FOUND
    output = cacheservice_pb2.CachedOutput(output_literals=literals_pb2.LiteralMap(literals={"o0": literal("v")}))
    output.metadata.source_identifier.CopyFrom(identifier_pb2.Identifier(name="t"))
    reserve = cacheservice_pb2.GetOrExtendReservationRequest(key="k", owner_id="one")
    assert cache.GetOrExtendReservation(reserve).reservation.owner_id == "one"
    cache.Put(cacheservice_pb2.PutCacheRequest(key="k", output=output))
    assert cache.Get(get).output.output_literals == output.output_literals
    cache.ReleaseReservation(cacheservice_pb2.ReleaseReservationRequest(key="k", owner_id="one"))
    cache.Delete(cacheservice_pb2.DeleteCacheRequest(key="k"))
    assert code_of(cache.Get, get) is grpc.StatusCode.NOT_FOUND
