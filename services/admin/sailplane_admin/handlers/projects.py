"""RPCs about projects and domains."""

from typing import Any

from sailplane_protos.admin import project_pb2

from .. import domains, projects
from ..ports import AdminPorts


class ProjectHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def RegisterProject(
        self, request: project_pb2.ProjectRegisterRequest, context: Any
    ) -> project_pb2.ProjectRegisterResponse:
        """A new project."""
        await projects.register(self.ports, request)
        return project_pb2.ProjectRegisterResponse()

    async def UpdateProject(self, request: project_pb2.Project, context: Any) -> project_pb2.ProjectUpdateResponse:
        """Rename, describe, label, archive or reactivate a project."""
        await projects.update_project(self.ports, request)
        return project_pb2.ProjectUpdateResponse()

    async def GetProject(self, request: project_pb2.ProjectGetRequest, context: Any) -> project_pb2.Project:
        """One project with its domains."""
        return await projects.get(self.ports, request)

    async def ListProjects(self, request: project_pb2.ProjectListRequest, context: Any) -> project_pb2.Projects:
        """A page of projects with their domains."""
        return await projects.list_projects(self.ports, request)

    async def GetDomains(self, request: project_pb2.GetDomainRequest, context: Any) -> project_pb2.GetDomainsResponse:
        """The domains of this installation."""
        return domains.get_all(self.ports.settings)
