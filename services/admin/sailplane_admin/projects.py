"""Projects: where things are registered and run. Each has all domains of the installation."""

from sailplane_core import validation
from sailplane_core.errors import AlreadyExists, InactiveProject, InvalidRequest, NotFound
from sailplane_core.filter_fields import Entity
from sailplane_protos.admin import project_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, bindparam, insert, select, update

from . import domains, tables
from .listing import Listing, fields_of, list_page
from .paging import page_request
from .ports import AdminPorts, AdminSettings
from .registration import write_once

Project = project_pb2.Project

_PROJECTS = tables.projects.c
_GET = select(_PROJECTS.project).where(_PROJECTS.identifier == bindparam("identifier"))
_INSERT = insert(tables.projects)
_UPDATE = update(tables.projects).where(_PROJECTS.identifier == bindparam("which"))
_LISTING = Listing(
    Entity.PROJECT,
    tables.projects,
    fields={Entity.PROJECT: fields_of(Entity.PROJECT, tables.projects)},
    order=(_PROJECTS.identifier,),
)
_HIDE_ARCHIVED = f"ne(state,{Project.ARCHIVED})"


async def ensure_defaults(ports: AdminPorts) -> None:
    """Register the installation's own projects, unless they are."""

    def change(transaction: Transaction) -> None:
        for id in ports.settings.default_projects:
            if _find(transaction.connection, id) is None:
                _insert(transaction.connection, Project(id=id, name=id), now_us)

    now_us = tables.time_us(ports.clock.now())
    await write_once(ports.store, change)


def require_active(connection: Connection, settings: AdminSettings, project: str, domain: str | None) -> Project:
    """The project, if something may be registered or started in it and the domain; None for no domain in particular.

    Raises `InvalidRequest` when either is unknown, `InactiveProject` when the project is archived.
    """
    found = require_known(connection, settings, project, domain)
    if found.state != Project.ACTIVE:
        raise InactiveProject(project)
    return found


def require_known(connection: Connection, settings: AdminSettings, project: str, domain: str | None) -> Project:
    """The same, also if the project is archived."""
    found = _find(connection, project)
    if found is None:
        raise InvalidRequest(
            f"failed to validate that project [{project}] and domain [{domain or ''}] are registered, "
            f"err: [project [{project}] is not registered]"
        )
    if domain is not None:
        validation.check_domain(domain, settings.domains)
    return found


async def register(ports: AdminPorts, request: project_pb2.ProjectRegisterRequest) -> None:
    """A new project."""
    validation.check_project_register(request)
    validation.check_project_update(request.project)

    def change(transaction: Transaction) -> None:
        if _find(transaction.connection, request.project.id) is not None:
            raise AlreadyExists("project", request.project.id)
        _insert(transaction.connection, request.project, now_us)

    now_us = tables.time_us(ports.clock.now())
    await write_once(ports.store, change)


async def update_project(ports: AdminPorts, request: Project) -> None:
    """Change what the request says. Empty texts and labels stay as they are; the state is always taken."""
    validation.check_project_update(request)

    def change(transaction: Transaction) -> None:
        project = _find(transaction.connection, request.id)
        if project is None:
            raise NotFound("project", request.id)
        project.name = request.name or project.name
        project.description = request.description or project.description
        if request.labels.values:
            project.labels.CopyFrom(request.labels)
        project.state = request.state
        transaction.connection.execute(_UPDATE, {"which": request.id, **_columns(project), "updated_at_us": now_us})

    now_us = tables.time_us(ports.clock.now())
    await ports.store.write(change)


async def get(ports: AdminPorts, request: project_pb2.ProjectGetRequest) -> Project:
    """One project, archived ones included."""
    if not request.id:
        raise InvalidRequest.missing("project_id")
    project = await ports.store.read(lambda connection: _find(connection, request.id))
    if project is None:
        raise NotFound("project", request.id)
    return _with_domains(project, ports.settings)


async def list_projects(ports: AdminPorts, request: project_pb2.ProjectListRequest) -> project_pb2.Projects:
    """Projects by their id, as many as a page may have when the limit is 0. Archived ones only if a filter is given."""
    asked = await page_request(ports, "ListProjects", request, zero_is_all=True)
    page = await ports.store.read(
        lambda connection: list_page(
            connection,
            _LISTING,
            [_PROJECTS.project],
            (),
            asked,
            filters=request.filters or _HIDE_ARCHIVED,
        )
    )
    projects = (_with_domains(Project.FromString(row.project), ports.settings) for row in page.rows)
    return project_pb2.Projects(projects=projects, token=page.next_token)


def _find(connection: Connection, id: str) -> Project | None:
    row = connection.execute(_GET, {"identifier": id}).one_or_none()
    return None if row is None else Project.FromString(row.project)


def _insert(connection: Connection, given: Project, now_us: int) -> None:
    project = Project(
        id=given.id, name=given.name, description=given.description, labels=given.labels, state=given.state
    )
    connection.execute(
        _INSERT,
        {"identifier": project.id, **_columns(project), "created_at_us": now_us, "updated_at_us": now_us},
    )


def _columns(project: Project) -> dict[str, str | int | bytes]:
    return {
        "name": project.name,
        "description": project.description,
        "state": project.state,
        "project": project.SerializeToString(),
    }


def _with_domains(project: Project, settings: AdminSettings) -> Project:
    project.domains.extend(domains.of(settings))
    return project
