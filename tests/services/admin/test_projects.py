"""Projects: registered, changed, archived and listed."""

import pytest
from sailplane_admin import domains, projects, tasks
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyExists, InactiveProject, InvalidRequest, NotFound
from sailplane_protos.admin import project_pb2

from services.admin import registry_requests as requests

Project = project_pb2.Project


def registration(id: str = "lab", **fields: object) -> project_pb2.ProjectRegisterRequest:
    return project_pb2.ProjectRegisterRequest(project=Project(id=id, **{"name": id, **fields}))  # type: ignore[arg-type]


async def listed(ports: AdminPorts, **fields: object) -> list[str]:
    found = await projects.list_projects(ports, project_pb2.ProjectListRequest(**fields))  # type: ignore[arg-type]
    return [project.id for project in found.projects]


async def test_the_default_project_is_there_from_the_first_start_and_stays_as_it_is(ports: AdminPorts) -> None:
    await projects.update_project(ports, Project(id="flytesnacks", name="Snacks", state=Project.ARCHIVED))
    await projects.ensure_defaults(ports)
    project = await projects.get(ports, project_pb2.ProjectGetRequest(id="flytesnacks"))
    assert (project.name, project.state) == ("Snacks", Project.ARCHIVED)


async def test_a_project_has_all_domains(ports: AdminPorts) -> None:
    await projects.register(ports, registration(description="of ours", labels={"values": {"team": "a"}}))
    project = await projects.get(ports, project_pb2.ProjectGetRequest(id="lab"))
    assert [domain.id for domain in project.domains] == ["development", "staging", "production"]
    assert (project.description, dict(project.labels.values)) == ("of ours", {"team": "a"})
    assert list(domains.get_all(ports.settings).domains) == list(project.domains)


async def test_an_id_is_taken_once(ports: AdminPorts) -> None:
    await projects.register(ports, registration())
    with pytest.raises(AlreadyExists):
        await projects.register(ports, registration(name="another"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (project_pb2.ProjectRegisterRequest(), "missing project"),
        (registration("Lab"), "invalid project id [Lab]"),
        (registration(name=""), "missing project_name"),
        (registration(name="n" * 65), "project_name cannot exceed 64"),
        (registration(description="d" * 301), "project_description cannot exceed 300"),
        (registration(domains=[project_pb2.Domain(id="x")]), "domains are currently only set system wide"),
        (registration(labels={"values": {"!": "a"}}), "invalid label key [!]"),
        (registration(state=17), "invalid value for state"),
    ],
)
async def test_what_is_malformed_is_refused_and_not_written(
    ports: AdminPorts, request_: project_pb2.ProjectRegisterRequest, said: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await projects.register(ports, request_)
    assert said in str(refusal.value)
    assert await listed(ports) == ["flytesnacks"]


async def test_an_update_leaves_what_it_does_not_say(ports: AdminPorts) -> None:
    await projects.register(ports, registration(description="old", labels={"values": {"team": "a"}}))
    await projects.update_project(ports, Project(id="lab", description="new"))
    project = await projects.get(ports, project_pb2.ProjectGetRequest(id="lab"))
    assert (project.name, project.description, dict(project.labels.values)) == ("lab", "new", {"team": "a"})


async def test_an_unknown_project_cannot_be_read_or_changed(ports: AdminPorts) -> None:
    with pytest.raises(NotFound):
        await projects.get(ports, project_pb2.ProjectGetRequest(id="lab"))
    with pytest.raises(NotFound):
        await projects.update_project(ports, Project(id="lab"))
    with pytest.raises(InvalidRequest):
        await projects.get(ports, project_pb2.ProjectGetRequest())


async def test_archived_projects_are_hidden_unless_a_filter_is_given(ports: AdminPorts) -> None:
    await projects.register(ports, registration("attic", state=Project.ARCHIVED))
    await projects.register(ports, registration("lab"))
    assert await listed(ports) == ["flytesnacks", "lab"]
    assert await listed(ports, filters="eq(state,1)") == ["attic"]
    assert await listed(ports, filters="contains(identifier,a)") == ["attic", "flytesnacks", "lab"]


async def test_a_list_without_limit_has_all_and_one_with_a_limit_has_pages(ports: AdminPorts) -> None:
    for id in ("p3", "p1", "p2"):
        await projects.register(ports, registration(id))
    assert await listed(ports) == ["flytesnacks", "p1", "p2", "p3"]
    assert await listed(ports, limit=2) == ["flytesnacks", "p1"]
    assert await listed(ports, limit=2, token="2") == ["p2", "p3"]
    assert await listed(ports, token="3") == ["p3"]
    assert await listed(ports, sort_by={"key": "identifier"}) == ["p3", "p2", "p1", "flytesnacks"]


async def test_nothing_is_registered_in_an_archived_project_and_everything_is_still_read(ports: AdminPorts) -> None:
    await tasks.create(ports, requests.task("before"))
    await projects.update_project(ports, Project(id="flytesnacks", state=Project.ARCHIVED))
    with pytest.raises(InactiveProject):
        await tasks.create(ports, requests.task("after"))
    assert await tasks.get(ports, requests.get(requests.task_id("before")))
    await projects.update_project(ports, Project(id="flytesnacks", state=Project.ACTIVE))
    await tasks.create(ports, requests.task("after"))
