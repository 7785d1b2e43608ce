"""Tasks: registered once, read and listed."""

import asyncio

import pytest
from google.protobuf.message import Message
from sailplane_admin import description_entities, named_entities, tables, tasks
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import (
    CompileFailed,
    DifferentStructure,
    IdenticalStructure,
    InvalidRequest,
    NotFound,
)
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import common_pb2, description_entity_pb2, task_pb2
from sailplane_runtime.clock import ManualClock
from sqlalchemy import func, select

from services.admin import registry_requests as requests


async def rows(ports: AdminPorts) -> int:
    """Rows of all tables that registering a task writes to."""
    written = (tables.tasks, tables.named_entities, tables.description_entities)
    return await ports.store.read(
        lambda connection: sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one() for table in written
        )
    )


def without(request: task_pb2.TaskCreateRequest, path: str) -> task_pb2.TaskCreateRequest:
    """The request with one field cleared."""
    message: Message = request
    *parents, field = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    message.ClearField(field)
    return request


async def test_what_was_registered_is_read_back_whole(ports: AdminPorts, clock: ManualClock) -> None:
    request = requests.task()
    request.spec.template.id.name = "what the client wrote"
    request.spec.description.short_description = "doubles"
    await tasks.create(ports, request)
    task = await tasks.get(ports, requests.get(request.id))
    assert task.id == request.id
    assert task.closure.compiled_task.template.id == request.id
    assert task.closure.compiled_task.template.container == request.spec.template.container
    assert task.closure.created_at.ToDatetime(tzinfo=clock.now().tzinfo) == clock.now()
    assert task.short_description == "doubles"


async def test_the_same_again_is_identical(ports: AdminPorts) -> None:
    await tasks.create(ports, requests.task())
    with pytest.raises(IdenticalStructure, match="double:v1 task with identical structure already exists"):
        await tasks.create(ports, requests.task())


async def test_the_same_written_otherwise_is_identical(ports: AdminPorts) -> None:
    first, again = requests.task(), requests.task()
    for name in "xyz":
        first.spec.template.config[name] = name
    for name in "zyx":
        again.spec.template.config[name] = name
    again.spec.template.container.resources.SetInParent()
    await tasks.create(ports, first)
    with pytest.raises(IdenticalStructure):
        await tasks.create(ports, again)


async def test_another_content_under_the_same_version_is_refused_with_the_difference(ports: AdminPorts) -> None:
    await tasks.create(ports, requests.task())
    with pytest.raises(DifferentStructure) as refusal:
        await tasks.create(ports, requests.task(image="busybox:2"))
    assert "different structure already exists" in str(refusal.value)
    assert "- 'busybox:1'" in refusal.value.diff
    assert "+ 'busybox:2'" in refusal.value.diff
    task = await tasks.get(ports, requests.get(requests.task_id("double")))
    assert task.closure.compiled_task.template.container.image == "busybox:1"


async def test_of_identical_creates_at_once_one_succeeds(ports: AdminPorts) -> None:
    results = await asyncio.gather(*(tasks.create(ports, requests.task()) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [IdenticalStructure] * 3
    assert await rows(ports) == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("id", "missing id"),
        ("id.project", "missing id.project"),
        ("id.domain", "missing id.domain"),
        ("id.name", "missing id.name"),
        ("id.version", "missing id.version"),
        ("id.resource_type", "unexpected resource type unspecified"),
        ("spec", "missing spec"),
        ("spec.template", "missing spec.template"),
        ("spec.template.type", "missing type"),
        ("spec.template.metadata", "missing metadata"),
        ("spec.template.metadata.runtime.version", "missing runtime version"),
        ("spec.template.interface", "missing typed interface"),
    ],
)
async def test_what_is_missing_is_named_and_nothing_is_written(ports: AdminPorts, path: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await tasks.create(ports, without(requests.task(), path))
    assert said in str(refusal.value)
    assert await rows(ports) == 0


async def test_a_task_that_does_not_compile_is_refused(ports: AdminPorts) -> None:
    with pytest.raises(CompileFailed):
        await tasks.create(ports, requests.task(image=""))
    assert await rows(ports) == 0


async def test_an_unknown_project_or_domain_is_refused(ports: AdminPorts) -> None:
    request = requests.task()
    request.id.project = "nowhere"
    with pytest.raises(InvalidRequest, match=r"project \[nowhere\] and domain \[development\] are registered"):
        await tasks.create(ports, request)
    request = requests.task()
    request.id.domain = "nowhere"
    with pytest.raises(InvalidRequest, match=r"domain \[nowhere\] is unrecognized by system"):
        await tasks.create(ports, request)
    assert await rows(ports) == 0


@pytest.mark.parametrize("name", ["x" * 255, "a/b c", "größe", "a;drop table tasks--", "%_*?["])
async def test_nearly_everything_is_a_name(ports: AdminPorts, name: str) -> None:
    await tasks.create(ports, requests.task(name, name))
    assert (await tasks.get(ports, requests.get(requests.task_id(name, name)))).id.name == name


async def test_a_name_that_columns_cannot_hold_is_refused(ports: AdminPorts) -> None:
    with pytest.raises(InvalidRequest, match=r"id\.name: cannot exceed 255"):
        await tasks.create(ports, requests.task("x" * 256))


async def test_a_version_that_is_not_registered_is_not_found(ports: AdminPorts) -> None:
    await tasks.create(ports, requests.task())
    with pytest.raises(NotFound, match="missing entity of type TASK"):
        await tasks.get(ports, requests.get(requests.task_id("double", "v2")))
    with pytest.raises(InvalidRequest, match="missing id"):
        await tasks.get(ports, common_pb2.ObjectGetRequest())
    with pytest.raises(InvalidRequest, match=r"missing id\.name"):
        await tasks.get(ports, requests.get(requests.task_id("")))


async def test_only_the_registered_of_several_are_loaded(ports: AdminPorts) -> None:
    await tasks.create(ports, requests.task("a"))
    await tasks.create(ports, requests.task("b"))
    ids = [EntityId.of(requests.task_id(name)) for name in ("a", "b", "c")]
    for _ in ("from the table", "from memory"):
        assert set(await tasks.load_compiled(ports, ids)) == set(ids[:2])


async def test_the_latest_version_comes_first_when_sorted_by_age(ports: AdminPorts, clock: ManualClock) -> None:
    for version in ("z", "a", "m"):
        await tasks.create(ports, requests.task("double", version))
        clock.advance(1)
    await tasks.create(ports, requests.task("double", "b"))  # at the same moment as the next
    await tasks.create(ports, requests.task("double", "c"))
    found = await tasks.list_tasks(ports, requests.versions("double", limit=2, sort_by="created_at"))
    assert [task.id.version for task in found.tasks] == ["c", "b"]


async def test_a_name_is_listed_once_however_many_versions_it_has(ports: AdminPorts) -> None:
    for name, version in (("a", "1"), ("b", "1"), ("a", "2")):
        await tasks.create(ports, requests.task(name, version))
    request = common_pb2.NamedEntityIdentifierListRequest(
        project=requests.PROJECT, domain=requests.DOMAIN, limit=1, filters="eq(name,ignored)"
    )
    page = await named_entities.list_ids(ports, ResourceType.TASK, request)
    assert [id.name for id in page.entities] == ["a"]
    request.token = page.token
    with pytest.raises(InvalidRequest, match="invalid pagination token"):
        await named_entities.list_ids(ports, ResourceType.WORKFLOW, request)
    page = await named_entities.list_ids(ports, ResourceType.TASK, request)
    assert [id.name for id in page.entities] == ["b"]
    request.limit = 0
    with pytest.raises(InvalidRequest, match="limit"):
        await named_entities.list_ids(ports, ResourceType.TASK, request)


async def test_a_description_is_kept_beside_the_version(ports: AdminPorts) -> None:
    request = requests.task()
    request.spec.description.short_description = "doubles"
    request.spec.description.long_description.value = "It doubles `a`."
    await tasks.create(ports, request)
    await tasks.create(ports, requests.task("silent"))
    found = await description_entities.get(ports, requests.get(request.id))
    assert (found.id, found.long_description.value) == (request.id, "It doubles `a`.")
    page = await description_entities.list_descriptions(
        ports,
        description_entity_pb2.DescriptionEntityListRequest(
            resource_type=ResourceType.TASK, id=requests.name("double"), limit=5
        ),
    )
    assert list(page.descriptionEntities) == [found]
    with pytest.raises(NotFound):
        await description_entities.get(ports, requests.get(requests.task_id("silent")))


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [(ResourceType.UNSPECIFIED, "double", "missing resource_type"), (ResourceType.TASK, "", "missing name")],
)
async def test_descriptions_are_listed_of_one_name(
    ports: AdminPorts, kind: "ResourceType.ValueType", name: str, said: str
) -> None:
    request = description_entity_pb2.DescriptionEntityListRequest(resource_type=kind, id=requests.name(name), limit=5)
    with pytest.raises(InvalidRequest, match=said):
        await description_entities.list_descriptions(ports, request)


async def test_a_short_description_has_a_limit(ports: AdminPorts) -> None:
    request = requests.task()
    request.spec.description.short_description = "d" * 256
    with pytest.raises(InvalidRequest, match="short_description"):
        await tasks.create(ports, request)
