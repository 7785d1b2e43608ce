"""RPCs about launch plans."""

from typing import Any

from sailplane_core.ids import ResourceType
from sailplane_protos.admin import common_pb2, launch_plan_pb2

from .. import launch_plans, named_entities
from ..ports import AdminPorts


class LaunchPlanHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def CreateLaunchPlan(
        self, request: launch_plan_pb2.LaunchPlanCreateRequest, context: Any
    ) -> launch_plan_pb2.LaunchPlanCreateResponse:
        """Register a version of a launch plan, inactive."""
        await launch_plans.create(self.ports, request)
        return launch_plan_pb2.LaunchPlanCreateResponse()

    async def UpdateLaunchPlan(
        self, request: launch_plan_pb2.LaunchPlanUpdateRequest, context: Any
    ) -> launch_plan_pb2.LaunchPlanUpdateResponse:
        """Activate a version instead of the active one, deactivate it, or pause its schedule."""
        await launch_plans.change(self.ports, request)
        return launch_plan_pb2.LaunchPlanUpdateResponse()

    async def GetLaunchPlan(self, request: common_pb2.ObjectGetRequest, context: Any) -> launch_plan_pb2.LaunchPlan:
        """One version."""
        return await launch_plans.get(self.ports, request)

    async def GetActiveLaunchPlan(
        self, request: launch_plan_pb2.ActiveLaunchPlanRequest, context: Any
    ) -> launch_plan_pb2.LaunchPlan:
        """The active version of a name."""
        return await launch_plans.get_active(self.ports, request)

    async def ListLaunchPlans(
        self, request: common_pb2.ResourceListRequest, context: Any
    ) -> launch_plan_pb2.LaunchPlanList:
        """A page of versions."""
        return await launch_plans.list_plans(self.ports, request)

    async def ListActiveLaunchPlans(
        self, request: launch_plan_pb2.ActiveLaunchPlanListRequest, context: Any
    ) -> launch_plan_pb2.LaunchPlanList:
        """A page of active versions."""
        return await launch_plans.list_active(self.ports, request)

    async def ListLaunchPlanIds(
        self, request: common_pb2.NamedEntityIdentifierListRequest, context: Any
    ) -> common_pb2.NamedEntityIdentifierList:
        """A page of names."""
        return await named_entities.list_ids(self.ports, ResourceType.LAUNCH_PLAN, request)
