"""RetentionService."""

from typing import Any

from sailplane_protos.governance import retention_pb2 as pb
from sailplane_protos.governance import retention_pb2_grpc

from .. import retention
from ..ports import AdminPorts


class RetentionHandlers(retention_pb2_grpc.RetentionServiceServicer):
    """The handlers."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def SetRetentionPolicy(
        self, request: pb.SetRetentionPolicyRequest, context: Any
    ) -> pb.SetRetentionPolicyResponse:
        """Replace a policy."""
        return await retention.set_policy(self.ports, request)

    async def GetRetentionPolicy(
        self, request: pb.GetRetentionPolicyRequest, context: Any
    ) -> pb.GetRetentionPolicyResponse:
        """A policy."""
        return await retention.get_policy(self.ports, request)

    async def ListRetentionPolicies(
        self, request: pb.ListRetentionPoliciesRequest, context: Any
    ) -> pb.ListRetentionPoliciesResponse:
        """The policies."""
        return await retention.list_policies(self.ports, request)

    async def DeleteRetentionPolicy(
        self, request: pb.DeleteRetentionPolicyRequest, context: Any
    ) -> pb.DeleteRetentionPolicyResponse:
        """Take a policy away."""
        return await retention.delete_policy(self.ports, request)

    async def PreviewRetention(self, request: pb.PreviewRetentionRequest, context: Any) -> pb.PreviewRetentionResponse:
        """What would be deleted now."""
        return await retention.preview(self.ports, request)

    async def RunRetention(self, request: pb.RunRetentionRequest, context: Any) -> pb.RunRetentionResponse:
        """Delete some of it."""
        return await retention.run(self.ports, request)
