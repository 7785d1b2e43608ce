"""What becomes of a request to start an execution: inputs, tags, origin, notifications, the plan of a single task."""

from datetime import UTC

import pytest
from sailplane_admin import (
    execution_data,
    execution_orders,
    executions,
    launch_plans,
    named_entities,
    projects,
    tables,
    tasks,
    workflows,
)
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import ResourceType
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import common_pb2, execution_pb2, project_pb2
from sailplane_protos.propeller import queue_pb2
from sqlalchemy import func, select

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With something to run."""
    await requests.register(ports)
    return ports


async def start_order(ports: AdminPorts) -> queue_pb2.Start:
    """The newest order to start."""
    pending = await ports.store.pending(execution_orders.TOPIC)
    return queue_pb2.ExecutionCommand.FromString(pending[-1].payload).start


async def listed(ports: AdminPorts, filters: str = "") -> list[str]:
    request = common_pb2.ResourceListRequest(id=registry.name(), limit=10, filters=filters)
    return [one.id.name for one in (await executions.list_executions(ports, request)).executions]


# Inputs


async def test_what_is_fixed_and_defaults_complete_the_inputs_and_a_relaunch_begins_with_what_was_given(
    admin: AdminPorts,
) -> None:
    await launch_plans.create(admin, registry.plan("fixed", fixed_a=7))
    await executions.create(admin, requests.create(a=None, plan="fixed"))
    data = execution_pb2.WorkflowExecutionGetDataRequest(id=requests.execution_id())
    inputs = (await execution_data.of_execution(admin, data)).full_inputs
    assert inputs.literals["a"].scalar.primitive.integer == 7
    await executions.relaunch(admin, execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id(), name="y"))
    assert (await start_order(admin)).inputs_uri
    with pytest.raises(InvalidRequest, match="fixed_inputs a cannot be overridden"):
        await executions.create(admin, requests.create("z", a=1, plan="fixed"))


async def test_inputs_in_the_old_place_count_where_there_are_no_others(admin: AdminPorts) -> None:
    request = requests.create(a=None)
    request.spec.inputs.literals["a"].scalar.primitive.integer = 5
    await executions.create(admin, request)
    data = execution_pb2.WorkflowExecutionGetDataRequest(id=requests.execution_id())
    inputs = (await execution_data.of_execution(admin, data)).full_inputs
    assert inputs.literals["a"].scalar.primitive.integer == 5
    assert not (await executions.get(admin, requests.get())).spec.HasField("inputs")


# Tags and labels


async def test_tags_and_all_labels_can_be_searched_by(admin: AdminPorts) -> None:
    labels = project_pb2.Project(id=registry.PROJECT)
    labels.labels.values.update({"cost": "c1", "team": "project"})
    await projects.update_project(admin, labels)
    tagged = requests.create("x")
    tagged.spec.tags.extend(["nightly", "nightly", "Ä b"])
    tagged.spec.labels.values["team"] = "mine"
    await executions.create(admin, tagged)
    await executions.create(admin, requests.create("y"))
    assert await listed(admin, "eq(admin_tag.name,nightly)") == ["x"]
    assert await listed(admin, "eq(execution_tag.key,Ä b)") == ["x"]
    assert await listed(admin, "eq(execution_tag.key,team)+eq(execution_tag.value,mine)") == ["x"]
    assert await listed(admin, "eq(execution_tag.key,team)+eq(execution_tag.value,project)") == ["y"]
    assert await listed(admin, "eq(execution_tag.key,cost)") == ["x", "y"]
    assert dict((await start_order(admin)).labels) == {"cost": "c1", "team": "project"}
    assert list((await executions.get(admin, requests.get())).spec.tags) == ["nightly", "nightly", "Ä b"]


@pytest.mark.parametrize("tag", ["", "t" * 256, "a\0b", "a\nb"])
async def test_a_tag_that_cannot_be_kept_is_refused(admin: AdminPorts, tag: str) -> None:
    request = requests.create()
    request.spec.tags.extend(["fine", tag])
    with pytest.raises(InvalidRequest, match=r"tags\[1\]"):
        await executions.create(admin, request)
    count = select(func.count()).select_from(tables.execution_tags)
    assert await admin.store.read(lambda connection: connection.execute(count).scalar_one()) == 0


async def test_an_execution_has_so_many_tags(admin: AdminPorts) -> None:
    request = requests.create()
    request.spec.tags.extend(f"t{number}" for number in range(100))
    await executions.create(admin, request)
    request.name = "y"
    request.spec.tags.append("one more")
    with pytest.raises(InvalidRequest, match="tags: there cannot be more than 100"):
        await executions.create(admin, request)


# Origin


async def test_nobody_says_who_he_is_and_a_child_takes_after_its_parent(admin: AdminPorts) -> None:
    parent = requests.create("parent")
    parent.spec.metadata.principal = "placeholder"
    parent.spec.metadata.nesting = 5
    parent.spec.execution_cluster_label.value = "gpu"
    await executions.create(admin, parent)
    child = requests.create("child")
    child.spec.metadata.mode = execution_pb2.ExecutionMetadata.CHILD_WORKFLOW
    child.spec.metadata.parent_node_execution.CopyFrom(requests.node_id(name="parent"))
    await executions.create(admin, child)
    first, second = [(await executions.get(admin, requests.get(name))).spec for name in ("parent", "child")]
    assert (first.metadata.principal, first.metadata.nesting) == ("", 0)
    assert (second.metadata.principal, second.metadata.nesting) == ("", 1)
    assert second.execution_cluster_label.value == "gpu"
    assert second.metadata.mode == execution_pb2.ExecutionMetadata.CHILD_WORKFLOW


async def test_a_relaunch_knows_its_original(admin: AdminPorts) -> None:
    scheduled = requests.create("x")
    scheduled.spec.metadata.mode = execution_pb2.ExecutionMetadata.SCHEDULED
    scheduled.spec.overwrite_cache = True
    await executions.create(admin, scheduled)
    again = execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id(), name="y")
    await executions.relaunch(admin, again)
    spec = (await executions.get(admin, requests.get("y"))).spec
    assert spec.metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    assert spec.metadata.reference_execution == requests.execution_id()
    assert not spec.overwrite_cache
    assert await listed(admin, "eq(source_execution_id,1)") == ["y"]


async def test_a_new_execution_is_of_no_phase_until_the_first_event(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    closure = (await executions.get(admin, requests.get())).closure
    assert closure.phase == ExecutionPhase.UNDEFINED
    assert closure.created_at == closure.updated_at
    assert closure.created_at.ToDatetime(UTC) == admin.clock.now()
    assert closure.workflow_id == registry.workflow_id("chain")


# Notifications


def notification(address: str) -> common_pb2.Notification:
    made = common_pb2.Notification(phases=[ExecutionPhase.FAILED.value])
    made.email.recipients_email.append(address)
    return made


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, ["plan"]),
        ({"disable_all": True}, []),
        ({"notifications": {"notifications": [notification("asked")]}}, ["asked"]),
        ({"notifications": {"notifications": []}}, ["plan"]),
    ],
)
async def test_who_is_told_is_settled_and_kept(admin: AdminPorts, asked: dict[str, object], told: list[str]) -> None:
    plan = registry.plan("telling")
    plan.spec.entity_metadata.notifications.append(notification("plan"))
    await launch_plans.create(admin, plan)
    request = requests.create(plan="telling")
    request.spec.MergeFrom(execution_pb2.ExecutionSpec(**asked))  # type: ignore[arg-type]
    await executions.create(admin, request)
    kept = (await executions.get(admin, requests.get())).closure.notifications
    assert [one.email.recipients_email[0] for one in kept] == told


# A task on its own


async def test_a_task_on_its_own_runs_in_a_generated_workflow(admin: AdminPorts) -> None:
    name = "My." + "module" * 12 + ".Double_it"
    await tasks.create(admin, registry.task(name))
    request = requests.create()
    request.spec.launch_plan.CopyFrom(registry.task_id(name))
    await executions.create(admin, request)
    await executions.create(admin, requests.create("y"))
    found = await executions.get(admin, requests.get())
    assert found.spec.launch_plan.resource_type == ResourceType.TASK
    generated = f".flytegen.{name}"
    workflow = await workflows.get(admin, registry.get(registry.workflow_id(generated)))
    [node] = workflow.closure.compiled_workflow.primary.template.nodes[2:]
    assert (len(node.id), node.id[-8:]) == (61, "doubleit")
    assert node.metadata.retries.retries == 3
    for kind in (ResourceType.WORKFLOW, ResourceType.LAUNCH_PLAN):
        named = common_pb2.NamedEntityGetRequest(resource_type=kind, id=registry.name(generated))
        assert (await named_entities.get(admin, named)).metadata.state == common_pb2.SYSTEM_GENERATED
    assert await listed(admin, "eq(launch_entity,TASK)") == ["x"]
    assert await listed(admin, f"eq(task.name,{name})") == ["x"]


# The archive


async def test_the_archive_says_when_and_can_be_left_again(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    update = execution_pb2.ExecutionUpdateRequest(id=requests.execution_id(), state=execution_pb2.EXECUTION_ARCHIVED)
    await executions.update_state(admin, update)
    await executions.update_state(admin, update)
    details = (await executions.get(admin, requests.get())).closure.state_change_details
    assert (details.state, details.principal) == (execution_pb2.EXECUTION_ARCHIVED, "")
    assert details.occurred_at.ToDatetime(UTC) == admin.clock.now()
    assert await listed(admin) == []
    assert await listed(admin, "value_in(state,0;1)") == ["x"]
    assert await listed(admin, "eq(phase,UNDEFINED)") == []
    update.state = execution_pb2.EXECUTION_ACTIVE
    await executions.update_state(admin, update)
    assert await listed(admin) == ["x"]


async def test_what_is_archived_runs_on(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    update = execution_pb2.ExecutionUpdateRequest(id=requests.execution_id(), state=execution_pb2.EXECUTION_ARCHIVED)
    await executions.update_state(admin, update)
    await executions.terminate(admin, execution_pb2.ExecutionTerminateRequest(id=requests.execution_id()))
    closure = (await executions.get(admin, requests.get())).closure
    assert (closure.phase, closure.state_change_details.state) == (
        ExecutionPhase.ABORTING,
        execution_pb2.EXECUTION_ARCHIVED,
    )
    assert await listed(admin) == []
