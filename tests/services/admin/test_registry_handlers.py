"""The registry's RPCs take and give what the contract says, and do it by the use case of their name."""

import typing

import pytest
from sailplane_admin.handlers.launch_plans import LaunchPlanHandlers
from sailplane_admin.handlers.named_entities import NamedEntityHandlers
from sailplane_admin.handlers.projects import ProjectHandlers
from sailplane_admin.handlers.tasks import TaskHandlers
from sailplane_admin.handlers.workflows import WorkflowHandlers
from sailplane_admin.ports import AdminPorts
from sailplane_protos.admin import common_pb2, launch_plan_pb2, project_pb2
from sailplane_protos.service import admin_pb2

from services.admin import registry_requests as requests

HANDLERS = (TaskHandlers, WorkflowHandlers, LaunchPlanHandlers, NamedEntityHandlers, ProjectHandlers)
CONTRACT = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods_by_name


class Registry(*HANDLERS):
    """All of them, on these ports."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports


@pytest.mark.parametrize("handlers", HANDLERS)
def test_messages_are_those_of_the_contract(handlers: type) -> None:
    for name in (name for name in vars(handlers) if name[0].isupper()):
        types = typing.get_type_hints(getattr(handlers, name))
        assert types["request"].DESCRIPTOR is CONTRACT[name].input_type, name
        assert types["return"].DESCRIPTOR is CONTRACT[name].output_type, name


async def test_what_one_rpc_writes_the_others_read(ports: AdminPorts) -> None:
    registry = Registry(ports)
    await registry.RegisterProject(project_pb2.ProjectRegisterRequest(project={"id": "lab", "name": "Lab"}), None)
    await registry.UpdateProject(project_pb2.Project(id="lab", name="Laboratory"), None)
    assert (await registry.GetProject(project_pb2.ProjectGetRequest(id="lab"), None)).name == "Laboratory"
    assert len((await registry.ListProjects(project_pb2.ProjectListRequest(), None)).projects) == 2
    assert len((await registry.GetDomains(project_pb2.GetDomainRequest(), None)).domains) == 3

    await registry.CreateTask(requests.task(), None)
    await registry.CreateWorkflow(requests.workflow(), None)
    await registry.CreateLaunchPlan(requests.plan("plan"), None)
    await registry.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=requests.plan_id("plan"), state=1), None)
    assert (await registry.GetTask(requests.get(requests.task_id("double")), None)).id.name == "double"
    assert (await registry.GetWorkflow(requests.get(requests.workflow_id("chain")), None)).id.name == "chain"
    assert (await registry.GetLaunchPlan(requests.get(requests.plan_id("plan")), None)).closure.state
    active = launch_plan_pb2.ActiveLaunchPlanRequest(id=requests.name("plan"))
    assert (await registry.GetActiveLaunchPlan(active, None)).id.name == "plan"
    actives = launch_plan_pb2.ActiveLaunchPlanListRequest(project=requests.PROJECT, domain=requests.DOMAIN, limit=9)
    assert len((await registry.ListActiveLaunchPlans(actives, None)).launch_plans) == 1
    assert len((await registry.ListTasks(requests.versions(), None)).tasks) == 1
    assert len((await registry.ListWorkflows(requests.versions(), None)).workflows) == 1
    assert len((await registry.ListLaunchPlans(requests.versions(), None)).launch_plans) == 2

    ids = common_pb2.NamedEntityIdentifierListRequest(project=requests.PROJECT, domain=requests.DOMAIN, limit=9)
    assert [id.name for id in (await registry.ListTaskIds(ids, None)).entities] == ["double"]
    assert [id.name for id in (await registry.ListWorkflowIds(ids, None)).entities] == ["chain"]
    assert [id.name for id in (await registry.ListLaunchPlanIds(ids, None)).entities] == ["chain", "plan"]
