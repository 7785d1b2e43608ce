"""RPCs about matchable attributes."""

from typing import Any

from sailplane_protos.admin import (
    matchable_resource_pb2,
    project_attributes_pb2,
    project_domain_attributes_pb2,
    workflow_attributes_pb2,
)

from .. import attributes
from ..ports import AdminPorts


class AttributeHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def UpdateProjectDomainAttributes(
        self, request: project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest, context: Any
    ) -> project_domain_attributes_pb2.ProjectDomainAttributesUpdateResponse:
        """Set what holds in a project's domain."""
        await attributes.update_of_domain(self.ports, request)
        return project_domain_attributes_pb2.ProjectDomainAttributesUpdateResponse()

    async def GetProjectDomainAttributes(
        self, request: project_domain_attributes_pb2.ProjectDomainAttributesGetRequest, context: Any
    ) -> project_domain_attributes_pb2.ProjectDomainAttributesGetResponse:
        """What holds in a project's domain."""
        return await attributes.get_of_domain(self.ports, request)

    async def DeleteProjectDomainAttributes(
        self, request: project_domain_attributes_pb2.ProjectDomainAttributesDeleteRequest, context: Any
    ) -> project_domain_attributes_pb2.ProjectDomainAttributesDeleteResponse:
        """Take back what was set for a project's domain."""
        await attributes.delete_of_domain(self.ports, request)
        return project_domain_attributes_pb2.ProjectDomainAttributesDeleteResponse()

    async def UpdateProjectAttributes(
        self, request: project_attributes_pb2.ProjectAttributesUpdateRequest, context: Any
    ) -> project_attributes_pb2.ProjectAttributesUpdateResponse:
        """Set what holds in a project."""
        await attributes.update_of_project(self.ports, request)
        return project_attributes_pb2.ProjectAttributesUpdateResponse()

    async def GetProjectAttributes(
        self, request: project_attributes_pb2.ProjectAttributesGetRequest, context: Any
    ) -> project_attributes_pb2.ProjectAttributesGetResponse:
        """What holds in a project."""
        return await attributes.get_of_project(self.ports, request)

    async def DeleteProjectAttributes(
        self, request: project_attributes_pb2.ProjectAttributesDeleteRequest, context: Any
    ) -> project_attributes_pb2.ProjectAttributesDeleteResponse:
        """Take back what was set for a project."""
        await attributes.delete_of_project(self.ports, request)
        return project_attributes_pb2.ProjectAttributesDeleteResponse()

    async def UpdateWorkflowAttributes(
        self, request: workflow_attributes_pb2.WorkflowAttributesUpdateRequest, context: Any
    ) -> workflow_attributes_pb2.WorkflowAttributesUpdateResponse:
        """Set what holds for a workflow."""
        await attributes.update_of_workflow(self.ports, request)
        return workflow_attributes_pb2.WorkflowAttributesUpdateResponse()

    async def GetWorkflowAttributes(
        self, request: workflow_attributes_pb2.WorkflowAttributesGetRequest, context: Any
    ) -> workflow_attributes_pb2.WorkflowAttributesGetResponse:
        """What holds for a workflow."""
        return await attributes.get_of_workflow(self.ports, request)

    async def DeleteWorkflowAttributes(
        self, request: workflow_attributes_pb2.WorkflowAttributesDeleteRequest, context: Any
    ) -> workflow_attributes_pb2.WorkflowAttributesDeleteResponse:
        """Take back what was set for a workflow."""
        await attributes.delete_of_workflow(self.ports, request)
        return workflow_attributes_pb2.WorkflowAttributesDeleteResponse()

    async def ListMatchableAttributes(
        self, request: matchable_resource_pb2.ListMatchableAttributesRequest, context: Any
    ) -> matchable_resource_pb2.ListMatchableAttributesResponse:
        """What is set of one kind, wherever it holds."""
        return await attributes.list_all(self.ports, request)
