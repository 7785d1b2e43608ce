"""The catalog as propeller sees it: over gRPC, with what went wrong as our own errors."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Protocol, TypeVar

from grpc import aio
from sailplane_core.catalog_keys import CatalogKey
from sailplane_protos.datacatalog import datacatalog_pb2 as pb
from sailplane_protos.datacatalog import datacatalog_pb2_grpc
from sailplane_runtime.grpc_errors import error_of

TIMEOUT_S = 10.0

T = TypeVar("T")


class CatalogPort(Protocol):
    """The catalog. Every method raises `Unavailable` when asking later may help."""

    async def artifact(self, key: CatalogKey) -> pb.Artifact:
        """What is tagged with the key. Raises `NotFound`."""
        ...

    async def create_dataset(self, dataset: pb.Dataset) -> None:
        """Raises `AlreadyExists`."""
        ...

    async def create_artifact(self, artifact: pb.Artifact) -> None:
        """Raises `AlreadyExists`."""
        ...

    async def update_artifact(self, key: CatalogKey, artifact: pb.Artifact) -> str:
        """Replace the data and notes of what is tagged with the key; its id. Raises `NotFound`."""
        ...

    async def add_tag(self, key: CatalogKey, artifact_id: str) -> None:
        """Raises `AlreadyExists` when the tag is in use."""
        ...

    async def reserve(self, key: CatalogKey, owner_id: str, heartbeat: timedelta) -> str:
        """Who makes it: the owner if it was to be had."""
        ...

    async def release(self, key: CatalogKey, owner_id: str) -> None:
        """Give the right back."""
        ...


class CatalogClient:
    """Implements `CatalogPort` over a channel."""

    def __init__(self, channel: aio.Channel) -> None:
        self._catalog = datacatalog_pb2_grpc.DataCatalogStub(channel)

    async def artifact(self, key: CatalogKey) -> pb.Artifact:
        """What is tagged with the key."""
        request = pb.GetArtifactRequest(dataset=key.dataset, tag_name=key.tag)
        return (await _reply(key.tag, self._catalog.GetArtifact(request, timeout=TIMEOUT_S))).artifact

    async def create_dataset(self, dataset: pb.Dataset) -> None:
        """Make a dataset."""
        request = pb.CreateDatasetRequest(dataset=dataset)
        await _reply(dataset.id.name, self._catalog.CreateDataset(request, timeout=TIMEOUT_S))

    async def create_artifact(self, artifact: pb.Artifact) -> None:
        """Put an artifact into its dataset."""
        request = pb.CreateArtifactRequest(artifact=artifact)
        await _reply(artifact.id, self._catalog.CreateArtifact(request, timeout=TIMEOUT_S))

    async def update_artifact(self, key: CatalogKey, artifact: pb.Artifact) -> str:
        """Replace what is tagged with the key."""
        request = pb.UpdateArtifactRequest(
            dataset=key.dataset, tag_name=key.tag, data=artifact.data, metadata=artifact.metadata
        )
        return (await _reply(key.tag, self._catalog.UpdateArtifact(request, timeout=TIMEOUT_S))).artifact_id

    async def add_tag(self, key: CatalogKey, artifact_id: str) -> None:
        """Tag an artifact with the key."""
        request = pb.AddTagRequest(tag=pb.Tag(name=key.tag, artifact_id=artifact_id, dataset=key.dataset))
        await _reply(key.tag, self._catalog.AddTag(request, timeout=TIMEOUT_S))

    async def reserve(self, key: CatalogKey, owner_id: str, heartbeat: timedelta) -> str:
        """Who makes what the key will find."""
        request = pb.GetOrExtendReservationRequest(reservation_id=key.reservation, owner_id=owner_id)
        request.heartbeat_interval.FromTimedelta(heartbeat)
        reply = await _reply(key.tag, self._catalog.GetOrExtendReservation(request, timeout=TIMEOUT_S))
        return reply.reservation.owner_id

    async def release(self, key: CatalogKey, owner_id: str) -> None:
        """Give the right back."""
        request = pb.ReleaseReservationRequest(reservation_id=key.reservation, owner_id=owner_id)
        await _reply(key.tag, self._catalog.ReleaseReservation(request, timeout=TIMEOUT_S))


async def _reply(id: str, call: Awaitable[T]) -> T:
    try:
        return await call
    except aio.AioRpcError as error:
        raise error_of(error.code(), error.details() or "", asked="the catalog", kind="artifact", id=id) from error
