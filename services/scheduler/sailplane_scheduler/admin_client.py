"""Admin as the scheduler sees it, over gRPC."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from grpc import aio
from sailplane_core.errors import NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import common_pb2, execution_pb2, launch_plan_pb2, project_pb2
from sailplane_protos.service import admin_pb2_grpc
from sailplane_runtime.admin_calls import TIMEOUT_S, reply

PAGE = 100


class AdminClient:
    """Implements `AdminPort` with admin's own RPCs."""

    def __init__(self, channel: aio.Channel) -> None:
        self._channel = channel
        self._admin = admin_pb2_grpc.AdminServiceStub(channel)

    @classmethod
    def connect(cls, target: str) -> "AdminClient":
        """A client of the admin at `host:port`, without TLS. Connects when first used, and again whenever needed."""
        return cls(aio.insecure_channel(target))

    async def close(self) -> None:
        """Let go of the connection. Calls under way fail."""
        await self._channel.close()

    async def create_execution(self, request: execution_pb2.ExecutionCreateRequest) -> ExecutionId:
        """Start an execution."""
        id = str(ExecutionId(request.project, request.domain, request.name))
        answer = await reply("execution", id, self._admin.CreateExecution(request, timeout=TIMEOUT_S))
        return ExecutionId.of(answer.id)

    async def phase(self, id: ExecutionId) -> ExecutionPhase | None:
        """How far an execution has come; None if there is none of this name."""
        request = execution_pb2.WorkflowExecutionGetRequest(id=id.to_message())
        try:
            found = await reply("execution", str(id), self._admin.GetExecution(request, timeout=TIMEOUT_S))
        except NotFound:
            return None
        return ExecutionPhase(found.closure.phase)

    async def terminate_execution(self, id: ExecutionId, cause: str) -> None:
        """Ask for an execution's end."""
        request = execution_pb2.ExecutionTerminateRequest(id=id.to_message(), cause=cause)
        await reply("execution", str(id), self._admin.TerminateExecution(request, timeout=TIMEOUT_S))

    async def active_launch_plan(self, project: str, domain: str, name: str) -> launch_plan_pb2.LaunchPlan:
        """The active version."""
        id = common_pb2.NamedEntityIdentifier(project=project, domain=domain, name=name)
        request = launch_plan_pb2.ActiveLaunchPlanRequest(id=id)
        call = self._admin.GetActiveLaunchPlan(request, timeout=TIMEOUT_S)
        return await reply("launch plan", f"{project}:{domain}:{name}", call)

    async def update_launch_plan(self, request: launch_plan_pb2.LaunchPlanUpdateRequest) -> None:
        """Change its state, or pause its schedule."""
        await reply("launch plan", request.id.name, self._admin.UpdateLaunchPlan(request, timeout=TIMEOUT_S))

    async def scheduled_launch_plans(self) -> AsyncIterator[launch_plan_pb2.LaunchPlan]:
        """The active versions that have a schedule, of all projects."""
        async for project in self._projects():
            for domain in project.domains:
                request = launch_plan_pb2.ActiveLaunchPlanListRequest(project=project.id, domain=domain.id, limit=PAGE)
                while True:
                    call = self._admin.ListActiveLaunchPlans(request, timeout=TIMEOUT_S)
                    page = await reply("launch plans", f"{project.id}:{domain.id}", call)
                    for plan in page.launch_plans:
                        if plan.spec.entity_metadata.HasField("schedule"):
                            yield plan
                    if not page.token:
                        break
                    request.token = page.token

    async def _projects(self) -> AsyncIterator[project_pb2.Project]:
        request = project_pb2.ProjectListRequest(limit=PAGE)
        while True:
            page = await reply("projects", "", self._admin.ListProjects(request, timeout=TIMEOUT_S))
            for project in page.projects:
                yield project
            if not page.token:
                return
            request.token = page.token

    async def last_slot(self, project: str, domain: str, name: str) -> datetime | None:
        """The slot of the execution that its schedule started last."""
        request = common_pb2.ResourceListRequest(
            id=common_pb2.NamedEntityIdentifier(project=project, domain=domain),
            filters=f"eq(launch_plan.name,{name})+eq(mode,{execution_pb2.ExecutionMetadata.SCHEDULED})",
            sort_by=common_pb2.Sort(key="created_at", direction=common_pb2.Sort.DESCENDING),
            limit=1,
        )
        page = await reply("executions", name, self._admin.ListExecutions(request, timeout=TIMEOUT_S))
        slots = [one.spec.metadata.scheduled_at for one in page.executions]
        return slots[0].ToDatetime(UTC) if slots else None
