"""Names: described and archived, whatever the versions."""

import pytest
from sailplane_admin import named_entities, tasks
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.ids import ResourceType
from sailplane_protos.admin import common_pb2

from services.admin import registry_requests as requests

TASK = ResourceType.TASK
ARCHIVED = common_pb2.NAMED_ENTITY_ARCHIVED


@pytest.fixture
async def ports(ports: AdminPorts) -> AdminPorts:
    """With three tasks."""
    for name in ("a", "b", "c"):
        await tasks.create(ports, requests.task(name))
    return ports


def update(
    name: str, description: str = "", state: int = 0, kind: "ResourceType.ValueType" = TASK
) -> common_pb2.NamedEntityUpdateRequest:
    return common_pb2.NamedEntityUpdateRequest(
        resource_type=kind,
        id=requests.name(name),
        metadata=common_pb2.NamedEntityMetadata(description=description, state=state),  # type: ignore[arg-type]
    )


async def get(ports: AdminPorts, name: str, kind: "ResourceType.ValueType" = TASK) -> common_pb2.NamedEntity:
    return await named_entities.get(ports, common_pb2.NamedEntityGetRequest(resource_type=kind, id=requests.name(name)))


async def listed(ports: AdminPorts, filters: str = "", limit: int = 100, token: str = "") -> tuple[list[str], str]:
    page = await named_entities.list_entities(
        ports,
        common_pb2.NamedEntityListRequest(
            resource_type=TASK,
            project=requests.PROJECT,
            domain=requests.DOMAIN,
            limit=limit,
            token=token,
            filters=filters,
        ),
    )
    return [entity.id.name for entity in page.entities], page.token


async def test_a_name_begins_with_its_first_version(ports: AdminPorts) -> None:
    entity = await get(ports, "a")
    assert (entity.resource_type, entity.metadata.state) == (TASK, common_pb2.NAMED_ENTITY_ACTIVE)
    with pytest.raises(NotFound, match="missing entity of type TASK"):
        await get(ports, "z")
    with pytest.raises(NotFound, match="missing entity of type WORKFLOW"):
        await get(ports, "a", ResourceType.WORKFLOW)


async def test_description_and_state_are_replaced_and_survive_new_versions(ports: AdminPorts) -> None:
    await named_entities.update_metadata(ports, update("a", "first letter", ARCHIVED))
    await tasks.create(ports, requests.task("a", "v2"))
    entity = await get(ports, "a")
    assert (entity.metadata.description, entity.metadata.state) == ("first letter", ARCHIVED)
    await named_entities.update_metadata(ports, update("a"))
    assert (await get(ports, "a")).metadata == common_pb2.NamedEntityMetadata()


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (update("z"), NotFound, "missing entity"),
        (update(""), InvalidRequest, "missing name"),
        (update("a", "d" * 301), InvalidRequest, "description"),
        (update("a", state=9), InvalidRequest, "state"),
        (update("a", kind=ResourceType.UNSPECIFIED), InvalidRequest, "missing resource_type"),
        (update("a", kind=ResourceType.DATASET), InvalidRequest, "invalid value for resource_type"),
        (
            common_pb2.NamedEntityUpdateRequest(resource_type=TASK, id=requests.name("a")),
            InvalidRequest,
            "missing metadata",
        ),
    ],
)
async def test_a_wrong_update_is_refused(
    ports: AdminPorts, request_: common_pb2.NamedEntityUpdateRequest, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await named_entities.update_metadata(ports, request_)


async def test_names_are_listed_by_their_metadata(ports: AdminPorts) -> None:
    await named_entities.update_metadata(ports, update("b", "old stuff", ARCHIVED))
    assert await listed(ports) == (["a", "b", "c"], "")
    assert await listed(ports, "eq(state,0)") == (["a", "c"], "")
    assert await listed(ports, "eq(named_entity_metadata.state,1)") == (["b"], "")
    assert await listed(ports, "contains(description,old)+eq(name,b)") == (["b"], "")
    names, token = await listed(ports, limit=2)
    assert names == ["a", "b"]
    assert await listed(ports, limit=2, token=token) == (["c"], "")
