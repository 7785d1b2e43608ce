"""RPCs about workflows."""

from typing import Any

from sailplane_core.ids import ResourceType
from sailplane_protos.admin import common_pb2, workflow_pb2

from .. import named_entities, workflows
from ..ports import AdminPorts


class WorkflowHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def CreateWorkflow(
        self, request: workflow_pb2.WorkflowCreateRequest, context: Any
    ) -> workflow_pb2.WorkflowCreateResponse:
        """Compile and register a version of a workflow."""
        await workflows.create(self.ports, request)
        return workflow_pb2.WorkflowCreateResponse()

    async def GetWorkflow(self, request: common_pb2.ObjectGetRequest, context: Any) -> workflow_pb2.Workflow:
        """One version, compiled."""
        return await workflows.get(self.ports, request)

    async def ListWorkflows(self, request: common_pb2.ResourceListRequest, context: Any) -> workflow_pb2.WorkflowList:
        """A page of versions, with nothing compiled but their interfaces."""
        return await workflows.list_workflows(self.ports, request)

    async def ListWorkflowIds(
        self, request: common_pb2.NamedEntityIdentifierListRequest, context: Any
    ) -> common_pb2.NamedEntityIdentifierList:
        """A page of names."""
        return await named_entities.list_ids(self.ports, ResourceType.WORKFLOW, request)
