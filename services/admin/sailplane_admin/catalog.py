"""The catalog: what tasks have made, by dataset and tag, so that it need not be made again.

An artifact's data up to `DATA_ROW_BYTES_MAX` is kept in its row; larger data goes to the blob store, under a name that
holds its digest, so that a reader never sees half of an update.
"""

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from sailplane_core.errors import AlreadyExists, InvalidRequest, NotFound
from sailplane_protos.datacatalog import datacatalog_pb2 as pb
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from . import tables
from .ports import AdminPorts

DATA_ROW_BYTES_MAX = 64 * 1024
NAME_CHARS_MAX = 512

_DATASETS = tables.catalog_datasets.c
_ARTIFACTS = tables.catalog_artifacts.c
_TAGS = tables.catalog_tags.c

_DATASET_KEY = ("project", "domain", "name", "version")
_FIND_DATASET = select(tables.catalog_datasets).where(*(_DATASETS[name] == bindparam(name) for name in _DATASET_KEY))


# Checks


def require(**values: str) -> None:
    """Every one of these is given, and is not too long. Raises `InvalidRequest` naming the first that is not."""
    for name, value in values.items():
        if not value:
            raise InvalidRequest.missing(name)
        if len(value) > NAME_CHARS_MAX:
            raise InvalidRequest.invalid(name, f"at most {NAME_CHARS_MAX} characters are allowed")


def check_dataset_id(id: pb.DatasetID) -> None:
    """A full name of a dataset."""
    require(project=id.project, domain=id.domain, name=id.name, version=id.version)


def dataset_key(id: pb.DatasetID) -> dict[str, str]:
    """The columns that name a dataset."""
    return {"project": id.project, "domain": id.domain, "name": id.name, "version": id.version}


def _shown(id: pb.DatasetID) -> str:
    return f"{id.project}:{id.domain}:{id.name}:{id.version}"


# Datasets


async def create_dataset(ports: AdminPorts, request: pb.CreateDatasetRequest) -> pb.CreateDatasetResponse:
    """Make a dataset. Raises `AlreadyExists`."""
    check_dataset_id(request.dataset.id)
    keys = list(request.dataset.partitionKeys)
    if len(set(keys)) != len(keys) or "" in keys:
        raise InvalidRequest.invalid("partitionKeys", "each must be given once, and none may be empty")
    rest = pb.Dataset(metadata=request.dataset.metadata, partitionKeys=keys)
    row = dataset_key(request.dataset.id) | {
        "uuid": str(uuid.uuid4()),
        "created_at_us": tables.time_us(ports.clock.now()),
        "dataset": rest.SerializeToString(),
    }
    try:
        await ports.store.write(lambda tx: tx.connection.execute(insert(tables.catalog_datasets), row))
    except IntegrityError as error:
        raise AlreadyExists("dataset", _shown(request.dataset.id)) from error
    return pb.CreateDatasetResponse()


async def get_dataset(ports: AdminPorts, request: pb.GetDatasetRequest) -> pb.GetDatasetResponse:
    """A dataset. Raises `NotFound`."""
    check_dataset_id(request.dataset)
    row = await ports.store.read(lambda connection: find_dataset(connection, request.dataset))
    return pb.GetDatasetResponse(dataset=dataset_message(row))


def find_dataset(connection: Connection, id: pb.DatasetID) -> "Row[Any]":
    """The row of a dataset. Raises `NotFound`."""
    row = connection.execute(_FIND_DATASET, dataset_key(id)).one_or_none()
    if row is None:
        raise NotFound("dataset", _shown(id))
    return row


def dataset_message(row: "Row[Any]") -> pb.Dataset:
    """A row of datasets as it is served."""
    dataset = pb.Dataset.FromString(row.dataset)
    dataset.id.CopyFrom(
        pb.DatasetID(project=row.project, domain=row.domain, name=row.name, version=row.version, UUID=row.uuid)
    )
    return dataset


# Artifacts


async def create_artifact(ports: AdminPorts, request: pb.CreateArtifactRequest) -> pb.CreateArtifactResponse:
    """Put an artifact into a dataset. Raises `NotFound` without the dataset, `AlreadyExists`."""
    artifact = request.artifact
    check_dataset_id(artifact.dataset)
    require(id=artifact.id)
    _check_data(artifact.data)
    kept = await _keep_data(ports, artifact.dataset, artifact.id, artifact.data)
    rest = pb.Artifact(metadata=artifact.metadata, partitions=artifact.partitions)
    created_at_us = tables.time_us(ports.clock.now())

    def change(transaction: Transaction) -> None:
        dataset = find_dataset(transaction.connection, artifact.dataset)
        _check_partitions(artifact, pb.Dataset.FromString(dataset.dataset))
        row = kept | {
            "dataset_id": dataset.id,
            "artifact_id": artifact.id,
            "created_at_us": created_at_us,
            "artifact": rest.SerializeToString(),
        }
        transaction.connection.execute(insert(tables.catalog_artifacts), row)

    try:
        await ports.store.write(change)
    except IntegrityError as error:
        raise AlreadyExists("artifact", artifact.id) from error
    return pb.CreateArtifactResponse()


def _check_data(data: Iterable[pb.ArtifactData]) -> None:
    names = [one.name for one in data]
    if not names:
        raise InvalidRequest.missing("data")
    if "" in names or len(set(names)) != len(names):
        raise InvalidRequest.invalid("data", "every value needs a name of its own")
    if any(one.value.WhichOneof("value") is None for one in data):
        raise InvalidRequest.missing("data.value")


def _check_partitions(artifact: pb.Artifact, dataset: pb.Dataset) -> None:
    given = [partition.key for partition in artifact.partitions]
    if sorted(given) != sorted(dataset.partitionKeys):
        raise InvalidRequest.invalid("partitions", f"the dataset has the keys {sorted(dataset.partitionKeys)}")


async def _keep_data(
    ports: AdminPorts, dataset: pb.DatasetID, artifact_id: str, data: Iterable[pb.ArtifactData]
) -> dict[str, Any]:
    """The columns for an artifact's data, stored first if it is large."""
    packed = pb.Artifact(data=data).SerializeToString(deterministic=True)
    return await keep_data(ports, f"{_shown(dataset)}/{artifact_id}", packed)


async def keep_data(ports: AdminPorts, of: str, packed: bytes) -> dict[str, Any]:
    """The columns `data` and `data_uri` for what is kept under a name; what is large is stored first."""
    if len(packed) <= DATA_ROW_BYTES_MAX:
        return {"data": packed, "data_uri": ""}
    name = hashlib.sha256(of.encode() + packed).hexdigest()
    uri = ports.blobs.uri(f"metadata/catalog/{name}.pb")
    await ports.blobs.put(uri, packed)
    return {"data": None, "data_uri": uri}


async def read_data(ports: AdminPorts, row: "Row[Any]") -> bytes:
    """What these columns keep. Raises `NotFound` when it is gone from the blob store."""
    return row.data if row.data is not None else await ports.blobs.get(row.data_uri)


async def get_artifact(ports: AdminPorts, request: pb.GetArtifactRequest) -> pb.GetArtifactResponse:
    """An artifact with its data, by id or by tag. Raises `NotFound`."""
    check_dataset_id(request.dataset)
    _check_handle(request)

    def query(connection: Connection) -> tuple[pb.Artifact, Row[Any]]:
        dataset = find_dataset(connection, request.dataset)
        row = _find_artifact(connection, dataset.id, request)
        return artifact_message(connection, dataset, row), row

    artifact, row = await ports.store.read(query)
    await add_data(ports, artifact, row)
    return pb.GetArtifactResponse(artifact=artifact)


def _check_handle(request: pb.GetArtifactRequest | pb.UpdateArtifactRequest) -> None:
    match request.WhichOneof("query_handle"):
        case "artifact_id":
            require(artifact_id=request.artifact_id)
        case "tag_name":
            require(tag_name=request.tag_name)
        case None:
            raise InvalidRequest.missing("artifact_id or tag_name")


def _find_artifact(
    connection: Connection, dataset_id: int, request: pb.GetArtifactRequest | pb.UpdateArtifactRequest
) -> "Row[Any]":
    query = select(tables.catalog_artifacts).where(_ARTIFACTS.dataset_id == dataset_id)
    if request.WhichOneof("query_handle") == "artifact_id":
        query = query.where(_ARTIFACTS.artifact_id == request.artifact_id)
    else:
        tagged = select(_TAGS.artifact_row).where(_TAGS.dataset_id == dataset_id, _TAGS.name == request.tag_name)
        query = query.where(_ARTIFACTS.id.in_(tagged))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("artifact", request.artifact_id or request.tag_name)
    return row


def artifact_message(connection: Connection, dataset: "Row[Any]", row: "Row[Any]") -> pb.Artifact:
    """A row of artifacts as it is served, without data (`add_data`)."""
    artifact = pb.Artifact.FromString(row.artifact)
    artifact.id = row.artifact_id
    artifact.dataset.CopyFrom(dataset_message(dataset).id)
    artifact.created_at.CopyFrom(tables.timestamp_of(row.created_at_us))
    for name in connection.scalars(select(_TAGS.name).where(_TAGS.artifact_row == row.id).order_by(_TAGS.id)):
        artifact.tags.add(name=name, artifact_id=row.artifact_id, dataset=artifact.dataset)
    return artifact


async def add_data(ports: AdminPorts, artifact: pb.Artifact, row: "Row[Any]") -> None:
    """Put in an artifact's data. Raises `NotFound` when it is gone from the blob store: as good as never made."""
    artifact.data.extend(pb.Artifact.FromString(await read_data(ports, row)).data)


async def update_artifact(ports: AdminPorts, request: pb.UpdateArtifactRequest) -> pb.UpdateArtifactResponse:
    """Replace an artifact's data and notes. Raises `NotFound`."""
    check_dataset_id(request.dataset)
    _check_handle(request)
    _check_data(request.data)
    kept = await _keep_data(ports, request.dataset, request.artifact_id or request.tag_name, request.data)

    def change(transaction: Transaction) -> str:
        dataset = find_dataset(transaction.connection, request.dataset)
        row = _find_artifact(transaction.connection, dataset.id, request)
        rest = pb.Artifact.FromString(row.artifact)
        rest.metadata.CopyFrom(request.metadata)
        transaction.connection.execute(
            update(tables.catalog_artifacts)
            .where(_ARTIFACTS.id == row.id)
            .values(artifact=rest.SerializeToString(), **kept)
        )
        return row.artifact_id

    return pb.UpdateArtifactResponse(artifact_id=await ports.store.write(change))


async def add_tag(ports: AdminPorts, request: pb.AddTagRequest) -> pb.AddTagResponse:
    """Give an artifact a name. Raises `NotFound` without the artifact, `AlreadyExists` when the name is in use."""
    tag = request.tag
    check_dataset_id(tag.dataset)
    require(name=tag.name, artifact_id=tag.artifact_id)

    def change(transaction: Transaction) -> None:
        connection = transaction.connection
        dataset = find_dataset(connection, tag.dataset)
        handle = pb.GetArtifactRequest(artifact_id=tag.artifact_id)
        artifact = _find_artifact(connection, dataset.id, handle)
        row = {"dataset_id": dataset.id, "artifact_row": artifact.id, "name": tag.name}
        connection.execute(insert(tables.catalog_tags), row)

    try:
        await ports.store.write(change)
    except IntegrityError as error:
        raise AlreadyExists("tag", tag.name) from error
    return pb.AddTagResponse()
