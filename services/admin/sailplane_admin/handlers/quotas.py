"""QuotaService."""

from typing import Any

from sailplane_protos.governance import quotas_pb2 as pb
from sailplane_protos.governance import quotas_pb2_grpc

from .. import quotas
from ..ports import AdminPorts


class QuotaHandlers(quotas_pb2_grpc.QuotaServiceServicer):
    """The handlers."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def SetQuotas(self, request: pb.SetQuotasRequest, context: Any) -> pb.SetQuotasResponse:
        """Replace a domain's quotas."""
        return await quotas.set_quotas(self.ports, request)

    async def GetQuotas(self, request: pb.GetQuotasRequest, context: Any) -> pb.GetQuotasResponse:
        """A domain's quotas and their use."""
        return await quotas.get_quotas(self.ports, request)

    async def ListQuotas(self, request: pb.ListQuotasRequest, context: Any) -> pb.ListQuotasResponse:
        """The domains that have quotas."""
        return await quotas.list_quotas(self.ports, request)

    async def DeleteQuotas(self, request: pb.DeleteQuotasRequest, context: Any) -> pb.DeleteQuotasResponse:
        """Take a domain's quotas away."""
        return await quotas.delete_quotas(self.ports, request)
