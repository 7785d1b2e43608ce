"""What the state of a project or name forbids, hides and leaves alone, and what versions say of themselves."""

import pytest
from sailplane_admin import description_entities, executions, launch_plans, named_entities, projects, tasks, workflows
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import IdenticalStructure, InactiveProject, InvalidRequest, NotFound
from sailplane_core.ids import ResourceType
from sailplane_protos.admin import common_pb2, description_entity_pb2, project_pb2

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

Project = project_pb2.Project
KINDS = (ResourceType.TASK, ResourceType.WORKFLOW, ResourceType.LAUNCH_PLAN)


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With a task, a workflow, its launch plan and an execution."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    return ports


# Projects


@pytest.mark.parametrize("state", [Project.ARCHIVED, Project.SYSTEM_GENERATED, Project.SYSTEM_ARCHIVED])
async def test_nothing_new_begins_in_a_project_that_is_not_active(
    admin: AdminPorts, state: "Project.ProjectState.ValueType"
) -> None:
    await projects.update_project(admin, Project(id=registry.PROJECT, state=state))
    for refused in (
        tasks.create(admin, registry.task("other")),
        workflows.create(admin, registry.workflow("other")),
        launch_plans.create(admin, registry.plan("other")),
        executions.create(admin, requests.create("y")),
    ):
        with pytest.raises(InactiveProject, match=registry.PROJECT):
            await refused
    assert (await executions.get(admin, requests.get())).id.name == "x"
    assert (await tasks.get(admin, registry.get(registry.task_id("double")))).id.name == "double"


async def test_an_update_always_takes_the_state_and_labels_whole(admin: AdminPorts) -> None:
    first = Project(id=registry.PROJECT, name="n" * 64, state=Project.ARCHIVED)
    first.labels.values.update({"a": "1", "b": "2"})
    await projects.update_project(admin, first)
    second = Project(id=registry.PROJECT)
    second.labels.values["c"] = "3"
    await projects.update_project(admin, second)
    found = await projects.get(admin, project_pb2.ProjectGetRequest(id=registry.PROJECT))
    assert (found.name, found.state, dict(found.labels.values)) == ("n" * 64, Project.ACTIVE, {"c": "3"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Project(), "missing project_id"),
        (Project(id="flytesnacks", name="n" * 65), "project_name cannot exceed 64"),
        (Project(id="flytesnacks", description="d" * 301), "project_description cannot exceed 300"),
        (Project(id="flytesnacks", domains=[project_pb2.Domain(id="d")]), "domains are currently only set system wide"),
        (Project(id="flytesnacks", labels={"values": {f"k{i}": "" for i in range(17)}}), "labels"),
        (Project(id="flytesnacks", labels={"values": {"k": "no good"}}), r"invalid label value \[no good\]"),
        (Project(id="flytesnacks", state=4), "invalid value for state"),  # type: ignore[arg-type]
    ],
)
async def test_a_malformed_update_changes_nothing(admin: AdminPorts, change: Project, said: str) -> None:
    before = await projects.get(admin, project_pb2.ProjectGetRequest(id=registry.PROJECT))
    with pytest.raises(InvalidRequest, match=said):
        await projects.update_project(admin, change)
    assert await projects.get(admin, project_pb2.ProjectGetRequest(id=registry.PROJECT)) == before


# Names


async def archive(ports: AdminPorts, kind: "ResourceType.ValueType", name: str) -> None:
    metadata = common_pb2.NamedEntityMetadata(state=common_pb2.NAMED_ENTITY_ARCHIVED, description="old")
    request = common_pb2.NamedEntityUpdateRequest(resource_type=kind, id=registry.name(name), metadata=metadata)
    await named_entities.update_metadata(ports, request)


async def names(ports: AdminPorts, kind: "ResourceType.ValueType", filters: str = "") -> list[str]:
    request = common_pb2.NamedEntityListRequest(
        resource_type=kind, project=registry.PROJECT, domain=registry.DOMAIN, limit=10, filters=filters
    )
    return [one.id.name for one in (await named_entities.list_entities(ports, request)).entities]


async def test_an_archived_name_is_hidden_from_those_who_ask_and_works_on(admin: AdminPorts) -> None:
    for kind, name in zip(KINDS, ("double", "chain", "chain"), strict=True):
        await archive(admin, kind, name)
        assert await names(admin, kind) == [name]
        assert await names(admin, kind, "eq(state,0)") == []
        assert await names(admin, kind, "eq(state,1)+eq(description,old)") == [name]
    await tasks.create(admin, registry.task("double", "v2"))
    await workflows.create(admin, registry.workflow("chain", "v2"))
    await executions.create(admin, requests.create("y"))
    assert await names(admin, ResourceType.TASK, "eq(state,1)") == ["double"]


async def test_generated_names_are_shown_to_whoever_filters(admin: AdminPorts) -> None:
    alone = requests.create("alone")
    alone.spec.launch_plan.CopyFrom(registry.task_id("double"))
    await executions.create(admin, alone)
    for kind in (ResourceType.WORKFLOW, ResourceType.LAUNCH_PLAN):
        assert await names(admin, kind) == ["chain"]
        assert await names(admin, kind, "ne(name,chain)") == [".flytegen.double"]


# Descriptions


async def test_a_description_is_written_with_its_version_and_never_changed(admin: AdminPorts) -> None:
    task, workflow = registry.task("told"), registry.workflow("told")
    for request in (task, workflow):
        request.spec.description.short_description = "short"
        request.spec.description.long_description.uri = "https://docs.example/told"
        request.spec.description.source_code.link = "https://code.example/told"
    await tasks.create(admin, task)
    await workflows.create(admin, workflow)
    task.spec.description.short_description = workflow.spec.description.short_description = "another"
    with pytest.raises(IdenticalStructure):
        await tasks.create(admin, task)
    with pytest.raises(IdenticalStructure):
        await workflows.create(admin, workflow)
    assert (await tasks.get(admin, registry.get(task.id))).short_description == "short"
    assert (await workflows.get(admin, registry.get(workflow.id))).short_description == "short"
    for id in (task.id, workflow.id):
        found = await description_entities.get(admin, registry.get(id))
        assert (found.id, found.short_description) == (id, "short")
        assert (found.long_description.uri, found.source_code.link) == (
            "https://docs.example/told",
            "https://code.example/told",
        )


async def test_descriptions_are_of_one_kind_and_name(admin: AdminPorts) -> None:
    for name, version in (("a", "v1"), ("a", "v2"), ("b", "v1")):
        request = registry.task(name, version)
        request.spec.description.short_description = f"{name} {version}"
        await tasks.create(admin, request)
    asked = description_entity_pb2.DescriptionEntityListRequest(
        resource_type=ResourceType.TASK, id=registry.name("a"), limit=1
    )
    told: list[str] = []
    while True:
        page = await description_entities.list_descriptions(admin, asked)
        told += [one.short_description for one in page.descriptionEntities]
        asked.token = page.token
        if not page.token:
            break
    assert told == ["a v1", "a v2"]
    asked.token, asked.limit, asked.filters = "", 10, "eq(version,v2)"
    [one] = (await description_entities.list_descriptions(admin, asked)).descriptionEntities
    assert one.short_description == "a v2"
    asked.resource_type, asked.filters = ResourceType.WORKFLOW, ""
    assert not (await description_entities.list_descriptions(admin, asked)).descriptionEntities
    asked.limit = 0
    with pytest.raises(InvalidRequest, match="limit"):
        await description_entities.list_descriptions(admin, asked)
    with pytest.raises(NotFound):
        await description_entities.get(admin, registry.get(registry.workflow_id("chain")))
    with pytest.raises(InvalidRequest, match="version"):
        await description_entities.get(admin, registry.get(registry.task_id("a", "")))
