"""Workflows: compiled, registered once, and never without a launch plan."""

import asyncio

import pytest
from sailplane_admin import launch_plans, named_entities, projects, single_tasks, tables, tasks, workflows
from sailplane_admin.ports import AdminPorts, AdminSettings
from sailplane_core.errors import (
    CompileFailed,
    DifferentStructure,
    IdenticalStructure,
    InvalidRequest,
    NotFound,
)
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import common_pb2, launch_plan_pb2, project_pb2, workflow_pb2
from sailplane_runtime.threads import INLINE_BYTES_MAX
from sqlalchemy import func, select

from services.admin import registry_requests as requests


@pytest.fixture
async def ports(ports: AdminPorts) -> AdminPorts:
    """With the task that the workflows run."""
    await tasks.create(ports, requests.task())
    return ports


async def rows(ports: AdminPorts) -> int:
    """Workflows and launch plans."""
    return await ports.store.read(
        lambda connection: sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.workflows, tables.launch_plans)
        )
    )


async def test_the_whole_closure_is_read_back(ports: AdminPorts) -> None:
    request = requests.workflow()
    await workflows.create(ports, request)
    workflow = await workflows.get(ports, requests.get(request.id))
    compiled = workflow.closure.compiled_workflow
    assert [node.id for node in compiled.primary.template.nodes] == ["start-node", "end-node", "n0", "n1"]
    assert [task.template.id.name for task in compiled.tasks] == ["double"]
    assert list(compiled.primary.connections.downstream["n0"].ids) == ["n1"]
    assert workflow.closure.created_at.seconds


async def test_a_list_has_interfaces_and_nothing_else_that_is_compiled(ports: AdminPorts) -> None:
    await workflows.create(ports, requests.workflow())
    page = await workflows.list_workflows(ports, requests.versions())
    compiled = page.workflows[0].closure.compiled_workflow
    assert "a" in compiled.primary.template.interface.inputs.variables
    assert not compiled.primary.template.nodes
    assert not compiled.tasks
    assert page.workflows[0].closure.created_at.seconds


async def test_the_same_again_is_identical_and_another_is_refused(ports: AdminPorts) -> None:
    await workflows.create(ports, requests.workflow())
    with pytest.raises(IdenticalStructure, match="workflow with identical structure already exists"):
        await workflows.create(ports, requests.workflow())
    with pytest.raises(DifferentStructure) as refusal:
        await workflows.create(ports, requests.workflow(tasks=["double"]))
    assert "/primary/" in refusal.value.diff


async def test_of_identical_creates_at_once_one_succeeds(ports: AdminPorts) -> None:
    results = await asyncio.gather(
        *(workflows.create(ports, requests.workflow()) for _ in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [IdenticalStructure] * 3
    assert await rows(ports) == 2


async def test_what_it_refers_to_must_be_registered(ports: AdminPorts) -> None:
    with pytest.raises(CompileFailed) as refusal:
        await workflows.create(ports, requests.workflow(tasks=["double", "missing"]))
    assert [(problem.code, problem.node_id) for problem in refusal.value.found] == [("TaskReferenceNotFound", "n1")]
    assert await rows(ports) == 0


async def test_a_node_may_run_a_launch_plan_even_the_implicit_one(ports: AdminPorts) -> None:
    await workflows.create(ports, requests.workflow("inner"))
    request = requests.workflow("outer", tasks=["double"])
    request.spec.template.nodes[0].workflow_node.launchplan_ref.CopyFrom(requests.plan_id("inner"))
    await workflows.create(ports, request)
    request = requests.workflow("lost", tasks=["double"])
    request.spec.template.nodes[0].workflow_node.launchplan_ref.CopyFrom(requests.plan_id("missing"))
    with pytest.raises(CompileFailed):
        await workflows.create(ports, request)


async def test_a_workflow_has_a_limit_of_nodes(ports: AdminPorts) -> None:
    tight = AdminPorts(ports.store, ports.blobs, ports.clock, AdminSettings(nodes_max=3))
    await workflows.create(tight, requests.workflow("fits", tasks=["double"] * 3))
    with pytest.raises(CompileFailed):
        await workflows.create(tight, requests.workflow("large", tasks=["double"] * 4))


async def test_a_large_workflow_is_registered_like_a_small_one(ports: AdminPorts) -> None:
    request = requests.workflow(tasks=["double"] * 1_000)
    assert request.spec.ByteSize() > INLINE_BYTES_MAX
    await workflows.create(ports, request)
    workflow = await workflows.get(ports, requests.get(request.id))
    assert len(workflow.closure.compiled_workflow.primary.template.nodes) == 1_002
    with pytest.raises(IdenticalStructure):
        await workflows.create(ports, request)
    request.spec.template.nodes[500].metadata.name = "another"
    with pytest.raises(DifferentStructure, match="nodes/502/metadata"):
        await workflows.create(ports, request)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (workflow_pb2.WorkflowCreateRequest(), "missing id"),
        (workflow_pb2.WorkflowCreateRequest(id=requests.workflow_id("w")), "missing spec"),
        (workflow_pb2.WorkflowCreateRequest(id=requests.workflow_id("w"), spec={}), "missing spec.template"),
        (workflow_pb2.WorkflowCreateRequest(id=requests.task_id("w"), spec={}), "unexpected resource type task"),
    ],
)
async def test_what_is_missing_is_named_and_nothing_is_written(
    ports: AdminPorts, request_: workflow_pb2.WorkflowCreateRequest, said: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await workflows.create(ports, request_)
    assert said in str(refusal.value)
    assert await rows(ports) == 0


async def test_an_archived_project_takes_none(ports: AdminPorts) -> None:
    await projects.update_project(ports, project_pb2.Project(id=requests.PROJECT, state=project_pb2.Project.ARCHIVED))
    with pytest.raises(InvalidRequest):
        await workflows.create(ports, requests.workflow())
    assert await rows(ports) == 0


async def test_what_is_not_registered_is_not_found(ports: AdminPorts) -> None:
    with pytest.raises(NotFound, match="missing entity of type WORKFLOW"):
        await workflows.get(ports, requests.get(requests.workflow_id("chain")))
    with pytest.raises(InvalidRequest, match="unexpected resource type task"):
        await workflows.get(ports, requests.get(requests.task_id("chain")))


async def test_every_workflow_has_a_launch_plan(ports: AdminPorts) -> None:
    await workflows.create(ports, requests.workflow())
    plan = await launch_plans.get(ports, requests.get(requests.plan_id("chain")))
    assert plan.spec.workflow_id == requests.workflow_id("chain")
    assert plan.closure.expected_inputs.parameters["a"].required
    assert "o0" in plan.closure.expected_outputs.variables
    assert plan.closure.state == launch_plan_pb2.INACTIVE


async def test_a_plan_registered_before_is_kept(ports: AdminPorts) -> None:
    await workflows.create(ports, requests.workflow("other"))
    await launch_plans.create(ports, requests.plan("chain", workflow="other", fixed_a=1))
    await workflows.create(ports, requests.workflow("chain"))
    plan = await launch_plans.get(ports, requests.get(requests.plan_id("chain")))
    assert plan.spec.workflow_id.name == "other"


async def plan_for_task(ports: AdminPorts, name: str) -> launch_plan_pb2.LaunchPlan:
    plan, unregistered = await single_tasks.launch_plan_of(ports, EntityId.of(requests.task_id(name)))
    if unregistered is not None:
        await single_tasks.register(ports, unregistered)
    return plan


async def test_a_task_run_on_its_own_gets_a_workflow_once(ports: AdminPorts) -> None:
    before = await rows(ports)
    await single_tasks.launch_plan_of(ports, EntityId.of(requests.task_id("double")))
    assert await rows(ports) == before  # whoever asks may yet be refused
    plans = await asyncio.gather(*(plan_for_task(ports, "double") for _ in range(3)))
    assert {plan.id.name for plan in plans} == {".flytegen.double"}
    assert await single_tasks.launch_plan_of(ports, EntityId.of(requests.task_id("double"))) == (plans[0], None)
    generated = await workflows.get(ports, requests.get(requests.workflow_id(".flytegen.double")))
    assert len(generated.closure.compiled_workflow.primary.template.nodes) == 3
    assert await rows(ports) == 2


async def test_generated_names_are_hidden_from_lists_of_names(ports: AdminPorts) -> None:
    await plan_for_task(ports, "double")
    listed = common_pb2.NamedEntityListRequest(
        resource_type=ResourceType.WORKFLOW, project=requests.PROJECT, domain=requests.DOMAIN, limit=5
    )
    assert not (await named_entities.list_entities(ports, listed)).entities
    listed.filters = "eq(state,2)"
    found = (await named_entities.list_entities(ports, listed)).entities
    assert [(entity.id.name, entity.metadata.state) for entity in found] == [
        (".flytegen.double", common_pb2.SYSTEM_GENERATED)
    ]
    ids = common_pb2.NamedEntityIdentifierListRequest(project=requests.PROJECT, domain=requests.DOMAIN, limit=5)
    assert not (await named_entities.list_ids(ports, ResourceType.WORKFLOW, ids)).entities


async def test_a_task_that_is_not_registered_cannot_be_run(ports: AdminPorts) -> None:
    with pytest.raises(NotFound, match="TASK"):
        await single_tasks.launch_plan_of(ports, EntityId.of(requests.task_id("missing")))
