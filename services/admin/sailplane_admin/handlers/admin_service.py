"""AdminService: its handlers, by topic. RPCs that are not here are answered with UNIMPLEMENTED by the server."""

from typing import Any

from sailplane_protos.admin import version_pb2

from ..ports import AdminPorts
from .attributes import AttributeHandlers
from .events import EventHandlers
from .executions import ExecutionHandlers
from .launch_plans import LaunchPlanHandlers
from .named_entities import NamedEntityHandlers
from .node_executions import NodeExecutionHandlers
from .projects import ProjectHandlers
from .tasks import TaskHandlers
from .workflows import WorkflowHandlers


class AdminHandlers(
    ProjectHandlers,
    AttributeHandlers,
    TaskHandlers,
    WorkflowHandlers,
    LaunchPlanHandlers,
    NamedEntityHandlers,
    ExecutionHandlers,
    NodeExecutionHandlers,
    EventHandlers,
):
    """All of them."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def GetVersion(self, request: version_pb2.GetVersionRequest, context: Any) -> version_pb2.GetVersionResponse:
        """Of this program."""
        settings = self.ports.settings
        version = version_pb2.Version(Build=settings.build, Version=settings.version, BuildTime=settings.build_time)
        return version_pb2.GetVersionResponse(control_plane_version=version)
