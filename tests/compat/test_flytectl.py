"""What each command of flytectl asks for, in its order, over the stubs of the published package.

After https://github.com/flyteorg/flyte/tree/master/flytectl/cmd: the commands that ask a control plane for something.
Attributes are `test_attributes`' part.
"""

import hashlib
import urllib.request
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from compat import raw
from compat.plane import Plane
from compat.runs import VERSION, Runs
from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    node_execution_pb2,
    project_pb2,
    task_execution_pb2,
    version_pb2,
)
from flyteidl.core import execution_pb2 as phases_pb2
from flyteidl.core import identifier_pb2
from flyteidl.service import admin_pb2_grpc, dataproxy_pb2, dataproxy_pb2_grpc

PROJECT, DOMAIN = raw.PROJECT, raw.DOMAIN
TASK, WORKFLOW, LAUNCH_PLAN = identifier_pb2.TASK, identifier_pb2.WORKFLOW, identifier_pb2.LAUNCH_PLAN
LIMIT = 100
"""Of flytectl's lists, unless it is told otherwise."""
NEWEST = common_pb2.Sort(key="created_at", direction=common_pb2.Sort.DESCENDING)
SUCCEEDED = phases_pb2.WorkflowExecution.SUCCEEDED

Stub = admin_pb2_grpc.AdminServiceStub


@pytest.fixture(scope="module")
def admin(runs: Runs) -> Stub:
    """What flytectl calls; the programs are registered."""
    return raw.admin(runs.plane)


@pytest.fixture(scope="module")
def done(runs: Runs) -> identifier_pb2.WorkflowExecutionIdentifier:
    """An execution that has succeeded."""
    name = runs.run("clients.echo", {"text": "ctl"}).id.name
    return identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)


def named(name: str = "") -> common_pb2.NamedEntityIdentifier:
    return common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name)


def id_of(kind: int, name: str) -> identifier_pb2.Identifier:
    return raw.identifier(kind, name, VERSION)


def listing(name: str = "", **more: Any) -> common_pb2.ResourceListRequest:
    return common_pb2.ResourceListRequest(id=named(name), limit=LIMIT, sort_by=NEWEST, **more)


def code_of(call: Callable[[], object]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code()


# get


def test_get_project(admin: Stub) -> None:
    found = admin.ListProjects(project_pb2.ProjectListRequest(limit=LIMIT, sort_by=NEWEST)).projects
    assert PROJECT in [project.id for project in found]
    one = admin.ListProjects(
        project_pb2.ProjectListRequest(limit=LIMIT, filters=f"eq(project.identifier,{PROJECT})", sort_by=NEWEST)
    ).projects
    assert [project.id for project in one] == [PROJECT]
    assert [domain.id for domain in one[0].domains] == ["development", "staging", "production"]


@pytest.mark.parametrize(
    ("listed", "got", "kind", "name"),
    [
        ("ListTasks", "GetTask", TASK, "clients.shout"),
        ("ListWorkflows", "GetWorkflow", WORKFLOW, "clients.echo"),
        ("ListLaunchPlans", "GetLaunchPlan", LAUNCH_PLAN, "clients.daily_plan"),
    ],
)
def test_get_of_what_is_registered(admin: Stub, listed: str, got: str, kind: int, name: str) -> None:
    all_of_them = getattr(admin, listed)(listing())
    [field] = [field.name for field, _ in all_of_them.ListFields() if field.name != "token"]
    assert 0 < len(getattr(all_of_them, field)) <= LIMIT
    latest = common_pb2.ResourceListRequest(id=named(name), limit=1, sort_by=NEWEST)
    assert [one.id.name for one in getattr(getattr(admin, listed)(latest), field)] == [name]
    one = getattr(admin, got)(common_pb2.ObjectGetRequest(id=id_of(kind, name)))
    assert one.id == id_of(kind, name)
    filtered = listing(name, filters=f"eq(version,{VERSION})")
    assert [one.id.version for one in getattr(getattr(admin, listed)(filtered), field)] == [VERSION]


def test_get_workflow_by_names(admin: Stub) -> None:
    request = common_pb2.NamedEntityListRequest(
        resource_type=WORKFLOW, project=PROJECT, domain=DOMAIN, limit=LIMIT, filters="eq(name,clients.echo)"
    )
    assert [entity.id.name for entity in admin.ListNamedEntities(request).entities] == ["clients.echo"]


def test_get_execution(admin: Stub, done: identifier_pb2.WorkflowExecutionIdentifier) -> None:
    assert done in [one.id for one in admin.ListExecutions(listing()).executions]
    failed = admin.ListExecutions(listing(filters="eq(phase,SUCCEEDED)+eq(workflow.name,clients.echo)")).executions
    assert done in [one.id for one in failed]
    assert admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=done)).closure.phase == SUCCEEDED


def test_get_execution_with_details(admin: Stub, done: identifier_pb2.WorkflowExecutionIdentifier) -> None:
    request = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=done, limit=LIMIT)
    nodes = {node.id.node_id: node for node in admin.ListNodeExecutions(request).node_executions}
    assert set(nodes) == {"start-node", "n0", "end-node"}
    attempts = admin.ListTaskExecutions(
        task_execution_pb2.TaskExecutionListRequest(node_execution_id=nodes["n0"].id, limit=LIMIT)
    ).task_executions
    assert [attempt.id.task_id.name for attempt in attempts] == ["clients.shout"]
    data = admin.GetNodeExecutionData(node_execution_pb2.NodeExecutionGetDataRequest(id=nodes["n0"].id))
    assert data.full_outputs.literals["o0"].scalar.primitive.string_value == "CTL"
    whole = admin.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=done))
    assert whole.full_inputs.literals["text"].scalar.primitive.string_value == "ctl"


# create, update, delete


def test_create_and_update_of_a_project(admin: Stub) -> None:
    project = project_pb2.Project(id="ctl", name="ctl", description="d", labels={"values": {"team": "blue"}})
    admin.RegisterProject(project_pb2.ProjectRegisterRequest(project=project))
    again = project_pb2.ProjectRegisterRequest(project=project)
    assert code_of(lambda: admin.RegisterProject(again)) is grpc.StatusCode.ALREADY_EXISTS
    for state in (project_pb2.Project.ARCHIVED, project_pb2.Project.ACTIVE):
        found = admin.GetProject(project_pb2.ProjectGetRequest(id="ctl"))
        found.state = state
        found.ClearField("domains")
        admin.UpdateProject(found)
        assert admin.GetProject(project_pb2.ProjectGetRequest(id="ctl")).state == state


def create(admin: Stub, name: str = "") -> identifier_pb2.WorkflowExecutionIdentifier:
    """As `create execution --execFile`: what is launched is looked up first."""
    plan = admin.GetLaunchPlan(common_pb2.ObjectGetRequest(id=id_of(LAUNCH_PLAN, "clients.echo")))
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, name=name)
    request.spec.launch_plan.CopyFrom(plan.id)
    request.spec.metadata.mode = execution_pb2.ExecutionMetadata.MANUAL
    request.spec.metadata.principal = "sdk"
    request.spec.auth_role.SetInParent()
    request.spec.security_context.run_as.SetInParent()
    request.inputs.CopyFrom(plan.spec.fixed_inputs)
    return admin.CreateExecution(request).id


def test_create_execution_and_again_and_recover(plane: Plane, admin: Stub) -> None:
    first = create(admin, "ctl-first")
    assert raw.wait(plane, first.name).closure.phase == SUCCEEDED
    again = admin.RelaunchExecution(execution_pb2.ExecutionRelaunchRequest(id=first, name="ctl-again")).id
    recovered = admin.RecoverExecution(execution_pb2.ExecutionRecoverRequest(id=first, name="ctl-recovered")).id
    names = [again.name, recovered.name]
    assert raw.wait_all(plane, names, 30) == dict.fromkeys(names, "SUCCEEDED")


def test_create_execution_of_a_task(plane: Plane, admin: Stub) -> None:
    task = admin.GetTask(common_pb2.ObjectGetRequest(id=id_of(TASK, "clients.shout")))
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN)
    request.spec.launch_plan.CopyFrom(task.id)
    request.inputs.literals["text"].scalar.primitive.string_value = "task"
    assert raw.wait(plane, admin.CreateExecution(request).id.name).closure.phase == SUCCEEDED


def test_update_and_delete_of_an_execution(plane: Plane, admin: Stub) -> None:
    id = create(admin, "ctl-archived")
    assert raw.wait(plane, id.name).closure.phase == SUCCEEDED
    admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=id))
    for state in (execution_pb2.EXECUTION_ARCHIVED, execution_pb2.EXECUTION_ACTIVE):
        admin.UpdateExecution(execution_pb2.ExecutionUpdateRequest(id=id, state=state))
        archived = admin.ListExecutions(listing(filters="eq(state,1)")).executions
        assert (id in [one.id for one in archived]) == (state == execution_pb2.EXECUTION_ARCHIVED)
    over = execution_pb2.ExecutionTerminateRequest(id=id, cause="too late")
    assert code_of(lambda: admin.TerminateExecution(over)) is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("kind", "name"), [(TASK, "clients.shout"), (WORKFLOW, "clients.echo"), (LAUNCH_PLAN, "clients.daily_plan")]
)
def test_update_of_what_is_said_about_a_name(admin: Stub, kind: Any, name: str) -> None:
    get = common_pb2.NamedEntityGetRequest(resource_type=kind, id=named(name))
    found = admin.GetNamedEntity(get)
    said = common_pb2.NamedEntityMetadata(description="what it does", state=found.metadata.state)
    admin.UpdateNamedEntity(common_pb2.NamedEntityUpdateRequest(resource_type=kind, id=named(name), metadata=said))
    assert admin.GetNamedEntity(get).metadata.description == "what it does"


def test_update_launchplan(admin: Stub) -> None:
    plan = id_of(LAUNCH_PLAN, "clients.daily_plan")
    for state in (launch_plan_pb2.ACTIVE, launch_plan_pb2.INACTIVE):
        admin.GetLaunchPlan(common_pb2.ObjectGetRequest(id=plan))
        admin.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=state))
        assert admin.GetLaunchPlan(common_pb2.ObjectGetRequest(id=plan)).closure.state == state


# register, version


def test_register_files_with_an_archive_and_a_schedule(plane: Plane, admin: Stub) -> None:
    archive = b"an archive"
    with grpc.insecure_channel(plane.grpc) as channel:
        location = dataproxy_pb2_grpc.DataProxyServiceStub(channel).CreateUploadLocation(
            dataproxy_pb2.CreateUploadLocationRequest(
                project=PROJECT, domain=DOMAIN, filename="fast.tar.gz", content_md5=hashlib.md5(archive).digest()
            )
        )
    put = urllib.request.Request(location.signed_url, data=archive, method="PUT", headers=dict(location.headers))
    with urllib.request.urlopen(put) as answer:
        assert answer.status == 200
    task = raw.task_request("ctl.task", "v1", ["true"])
    workflow = raw.workflow_request("ctl.flow", "v1", "ctl.task", [[]])
    workflow.spec.template.nodes[0].ClearField("inputs")
    plan = launch_plan_pb2.LaunchPlanCreateRequest(id=raw.identifier(LAUNCH_PLAN, "ctl.plan", "v1"))
    plan.spec.workflow_id.CopyFrom(workflow.id)
    plan.spec.entity_metadata.schedule.cron_schedule.schedule = "0 0 29 2 *"
    admin.CreateTask(task)
    admin.CreateWorkflow(workflow)
    admin.GetWorkflow(common_pb2.ObjectGetRequest(id=workflow.id))
    admin.CreateLaunchPlan(plan)
    for call, request in ((admin.CreateTask, task), (admin.CreateWorkflow, workflow), (admin.CreateLaunchPlan, plan)):
        assert code_of(lambda call=call, request=request: call(request)) is grpc.StatusCode.ALREADY_EXISTS
    update = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan.id, state=launch_plan_pb2.ACTIVE)
    update.id.ClearField("resource_type")  # as flytectl leaves it
    admin.UpdateLaunchPlan(update)
    active = admin.GetActiveLaunchPlan(launch_plan_pb2.ActiveLaunchPlanRequest(id=named("ctl.plan")))
    assert active.id == plan.id
    admin.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=plan.id, state=launch_plan_pb2.INACTIVE))


def test_version(admin: Stub) -> None:
    found = admin.GetVersion(version_pb2.GetVersionRequest()).control_plane_version
    assert found.Version
