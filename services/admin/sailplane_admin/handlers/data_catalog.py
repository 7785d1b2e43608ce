"""DataCatalog."""

from typing import Any

from sailplane_protos.datacatalog import datacatalog_pb2 as pb
from sailplane_protos.datacatalog import datacatalog_pb2_grpc

from .. import catalog, catalog_lists, catalog_reservations
from ..ports import AdminPorts


class DataCatalogHandlers(datacatalog_pb2_grpc.DataCatalogServicer):
    """The handlers."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def CreateDataset(self, request: pb.CreateDatasetRequest, context: Any) -> pb.CreateDatasetResponse:
        """Make a dataset."""
        return await catalog.create_dataset(self.ports, request)

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> pb.GetDatasetResponse:
        """A dataset."""
        return await catalog.get_dataset(self.ports, request)

    async def CreateArtifact(self, request: pb.CreateArtifactRequest, context: Any) -> pb.CreateArtifactResponse:
        """Put an artifact into a dataset."""
        return await catalog.create_artifact(self.ports, request)

    async def GetArtifact(self, request: pb.GetArtifactRequest, context: Any) -> pb.GetArtifactResponse:
        """An artifact with its data."""
        return await catalog.get_artifact(self.ports, request)

    async def AddTag(self, request: pb.AddTagRequest, context: Any) -> pb.AddTagResponse:
        """Give an artifact a name."""
        return await catalog.add_tag(self.ports, request)

    async def ListArtifacts(self, request: pb.ListArtifactsRequest, context: Any) -> pb.ListArtifactsResponse:
        """The artifacts of a dataset."""
        return await catalog_lists.list_artifacts(self.ports, request)

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:
        """All datasets."""
        return await catalog_lists.list_datasets(self.ports, request)

    async def UpdateArtifact(self, request: pb.UpdateArtifactRequest, context: Any) -> pb.UpdateArtifactResponse:
        """Replace an artifact's data."""
        return await catalog.update_artifact(self.ports, request)

    async def GetOrExtendReservation(
        self, request: pb.GetOrExtendReservationRequest, context: Any
    ) -> pb.GetOrExtendReservationResponse:
        """Who makes an artifact."""
        return await catalog_reservations.get_or_extend(self.ports, request)

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, context: Any
    ) -> pb.ReleaseReservationResponse:
        """Give a reservation back."""
        return await catalog_reservations.release(self.ports, request)
