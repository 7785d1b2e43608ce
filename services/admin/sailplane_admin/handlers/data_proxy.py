"""DataProxyService."""

from typing import Any

from sailplane_protos.service import dataproxy_pb2, dataproxy_pb2_grpc

from .. import data_proxy
from ..ports import AdminPorts


class DataProxyHandlers(dataproxy_pb2_grpc.DataProxyServiceServicer):
    """The handlers."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def CreateUploadLocation(
        self, request: dataproxy_pb2.CreateUploadLocationRequest, context: Any
    ) -> dataproxy_pb2.CreateUploadLocationResponse:
        """A URL to put a file to."""
        return await data_proxy.create_upload_location(self.ports, request)

    async def CreateDownloadLocation(
        self, request: dataproxy_pb2.CreateDownloadLocationRequest, context: Any
    ) -> dataproxy_pb2.CreateDownloadLocationResponse:
        """A URL to fetch an object by."""
        return await data_proxy.create_download_location(self.ports, request)

    async def CreateDownloadLink(
        self, request: dataproxy_pb2.CreateDownloadLinkRequest, context: Any
    ) -> dataproxy_pb2.CreateDownloadLinkResponse:
        """A URL to read a deck by."""
        return await data_proxy.create_download_link(self.ports, request)

    async def GetData(self, request: dataproxy_pb2.GetDataRequest, context: Any) -> dataproxy_pb2.GetDataResponse:
        """Data by `flyte://` URL."""
        return await data_proxy.get_data(self.ports, request)
