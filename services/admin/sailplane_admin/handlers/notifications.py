"""NotificationService."""

from typing import Any

from sailplane_protos.notification import service_pb2 as pb
from sailplane_protos.notification import service_pb2_grpc

from .. import notifications
from ..ports import AdminPorts


class NotificationHandlers(service_pb2_grpc.NotificationServiceServicer):
    """The handlers."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Any) -> pb.ListDeliveriesResponse:
        """Messages that executions owe or owed."""
        return await notifications.list_deliveries(self.ports, request)

    async def RetryDelivery(self, request: pb.RetryDeliveryRequest, context: Any) -> pb.RetryDeliveryResponse:
        """Try one now."""
        return await notifications.retry(self.ports, request)

    async def ListChannels(self, request: pb.ListChannelsRequest, context: Any) -> pb.ListChannelsResponse:
        """What notifications may name."""
        return notifications.list_channels(self.ports)
