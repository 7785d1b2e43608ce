"""Matchable attributes: stored per kind and place; which of them hold is `sailplane_core.attributes`' to say."""

from collections.abc import Sequence
from typing import Any

from sailplane_core import attributes as rules
from sailplane_core.attributes import Place
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_protos.admin import (
    matchable_resource_pb2,
    project_attributes_pb2,
    project_domain_attributes_pb2,
    workflow_attributes_pb2,
)
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, Row, delete, insert, select, update

from . import projects, tables
from .ports import AdminPorts, AdminSettings
from .tables.registry import NAME_CHARS_MAX

Matching = matchable_resource_pb2.MatchingAttributes
Config = matchable_resource_pb2.WorkflowExecutionConfig

ROWS_MAX = 10_000
"""Of one kind, in one reply."""

_ATTRIBUTES = tables.attributes.c


# Of a project's domain


async def update_of_domain(
    ports: AdminPorts, request: project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest
) -> None:
    """Say something about all executions in a project's domain."""
    given = request.attributes
    await _put(ports, _domain_place(given.project, given.domain), given.matching_attributes)


async def get_of_domain(
    ports: AdminPorts, request: project_domain_attributes_pb2.ProjectDomainAttributesGetRequest
) -> project_domain_attributes_pb2.ProjectDomainAttributesGetResponse:
    """What is said about them here, or else further up. Raises `NotFound`."""
    place, found = await _get(ports, _domain_place(request.project, request.domain), request.resource_type)
    attributes = project_domain_attributes_pb2.ProjectDomainAttributes(
        project=place.project, domain=place.domain, matching_attributes=found
    )
    return project_domain_attributes_pb2.ProjectDomainAttributesGetResponse(attributes=attributes)


async def delete_of_domain(
    ports: AdminPorts, request: project_domain_attributes_pb2.ProjectDomainAttributesDeleteRequest
) -> None:
    """Say nothing about them any more."""
    await _delete(ports, _domain_place(request.project, request.domain), request.resource_type)


def _domain_place(project: str, domain: str) -> Place:
    _require(project=project, domain=domain)
    return Place(project, domain)


# Of a project


async def update_of_project(ports: AdminPorts, request: project_attributes_pb2.ProjectAttributesUpdateRequest) -> None:
    """Say something about all executions in a project."""
    given = request.attributes
    await _put(ports, _project_place(given.project), given.matching_attributes)


async def get_of_project(
    ports: AdminPorts, request: project_attributes_pb2.ProjectAttributesGetRequest
) -> project_attributes_pb2.ProjectAttributesGetResponse:
    """What is said about them. How executions run is always said: by the installation, if not by the project."""
    place = _project_place(request.project)
    is_config = request.resource_type == matchable_resource_pb2.WORKFLOW_EXECUTION_CONFIG
    try:
        _, found = await _get(ports, place, request.resource_type)
    except NotFound:
        if not is_config:
            raise
        found = Matching()
    if is_config:
        found = Matching(workflow_execution_config=_with_defaults(found.workflow_execution_config, ports.settings))
    attributes = project_attributes_pb2.ProjectAttributes(project=place.project, matching_attributes=found)
    return project_attributes_pb2.ProjectAttributesGetResponse(attributes=attributes)


async def delete_of_project(ports: AdminPorts, request: project_attributes_pb2.ProjectAttributesDeleteRequest) -> None:
    """Say nothing about them any more."""
    await _delete(ports, _project_place(request.project), request.resource_type)


def _project_place(project: str) -> Place:
    _require(project=project)
    return Place(project)


def _with_defaults(config: Config, settings: AdminSettings) -> Config:
    whole = Config()
    whole.CopyFrom(config)
    whole.max_parallelism = config.max_parallelism or settings.max_parallelism
    return whole


# Of a workflow


async def update_of_workflow(
    ports: AdminPorts, request: workflow_attributes_pb2.WorkflowAttributesUpdateRequest
) -> None:
    """Say something about all executions of a workflow, whatever its version."""
    given = request.attributes
    await _put(ports, _workflow_place(given.project, given.domain, given.workflow), given.matching_attributes)


async def get_of_workflow(
    ports: AdminPorts, request: workflow_attributes_pb2.WorkflowAttributesGetRequest
) -> workflow_attributes_pb2.WorkflowAttributesGetResponse:
    """What is said about them here, or else further up. Raises `NotFound`."""
    asked = _workflow_place(request.project, request.domain, request.workflow)
    place, found = await _get(ports, asked, request.resource_type)
    attributes = workflow_attributes_pb2.WorkflowAttributes(
        project=place.project, domain=place.domain, workflow=place.workflow, matching_attributes=found
    )
    return workflow_attributes_pb2.WorkflowAttributesGetResponse(attributes=attributes)


async def delete_of_workflow(
    ports: AdminPorts, request: workflow_attributes_pb2.WorkflowAttributesDeleteRequest
) -> None:
    """Say nothing about them any more."""
    asked = _workflow_place(request.project, request.domain, request.workflow)
    await _delete(ports, asked, request.resource_type)


def _workflow_place(project: str, domain: str, workflow: str) -> Place:
    _require(project=project, domain=domain, workflow=workflow)
    return Place(project, domain, workflow)


# All of them


async def list_all(
    ports: AdminPorts, request: matchable_resource_pb2.ListMatchableAttributesRequest
) -> matchable_resource_pb2.ListMatchableAttributesResponse:
    """What is said of one kind anywhere, the most specific first."""
    rules.check_resource_type(request.resource_type)
    query = select(tables.attributes).where(_ATTRIBUTES.resource_type == request.resource_type)
    rows = await ports.store.read(lambda connection: connection.execute(query.limit(ROWS_MAX)).all())
    found = [(_place(row), Matching.FromString(row.attributes)) for row in rows]
    found.sort(key=lambda one: (one[0].project, one[0].domain, one[0].workflow))
    found.sort(key=lambda one: one[0].rank, reverse=True)
    return matchable_resource_pb2.ListMatchableAttributesResponse(
        configurations=[
            matchable_resource_pb2.MatchableAttributesConfiguration(
                attributes=matching,
                project=place.project,
                domain=place.domain,
                workflow=place.workflow,
                launch_plan=place.launch_plan,
            )
            for place, matching in found
        ]
    )


def holding(connection: Connection, about: Place) -> Sequence[Matching]:
    """Everything that holds at a place, the most specific first."""
    return [matching for _, matching in _holding(connection, about)]


def _holding(connection: Connection, about: Place) -> list[tuple[Place, Matching]]:
    query = select(tables.attributes).where(
        *(
            _ATTRIBUTES[name].in_(["", getattr(about, name)])
            for name in ("project", "domain", "workflow", "launch_plan")
        )
    )
    rows = connection.execute(query).all()
    found = [(_place(row), Matching.FromString(row.attributes)) for row in rows]
    return sorted(found, key=lambda one: one[0].rank, reverse=True)


async def _put(ports: AdminPorts, place: Place, given: Matching) -> None:
    resource = rules.resource_of(given)
    now_us = tables.time_us(ports.clock.now())
    key = _key(place, resource)

    def change(transaction: Transaction) -> None:
        connection = transaction.connection
        projects.require_active(connection, ports.settings, place.project, place.domain or None)
        row = connection.execute(select(tables.attributes).filter_by(**key)).one_or_none()
        old = None if row is None else Matching.FromString(row.attributes)
        values = {"attributes": rules.replaced(old, given).SerializeToString(), "updated_at_us": now_us}
        if row is None:
            connection.execute(insert(tables.attributes), key | values)
        else:
            connection.execute(update(tables.attributes).where(_ATTRIBUTES.id == row.id).values(**values))

    await ports.store.write(change)


async def _get(ports: AdminPorts, place: Place, resource: int) -> tuple[Place, Matching]:
    rules.check_resource_type(resource)

    def query(connection: Connection) -> tuple[Place, Matching]:
        projects.require_known(connection, ports.settings, place.project, place.domain or None)
        for where, matching in _holding(connection, place):
            target = matching.WhichOneof("target")
            if target is not None and rules.RESOURCE_OF_TARGET[target] == resource:
                return where, matching
        name = matchable_resource_pb2.MatchableResource.Name(resource)  # type: ignore[arg-type]
        raise NotFound(f"{name} attributes", ":".join(filter(None, (place.project, place.domain, place.workflow))))

    return await ports.store.read(query)


async def _delete(ports: AdminPorts, place: Place, resource: int) -> None:
    rules.check_resource_type(resource)
    statement = delete(tables.attributes).filter_by(**_key(place, resource))

    def change(transaction: Transaction) -> None:
        projects.require_known(transaction.connection, ports.settings, place.project, place.domain or None)
        transaction.connection.execute(statement)

    await ports.store.write(change)


def _key(place: Place, resource: int) -> dict[str, str | int]:
    return {
        "resource_type": resource,
        "project": place.project,
        "domain": place.domain,
        "workflow": place.workflow,
        "launch_plan": place.launch_plan,
    }


def _place(row: "Row[Any]") -> Place:
    return Place(row.project, row.domain, row.workflow, row.launch_plan)


def _require(**values: str) -> None:
    for name, value in values.items():
        if not value:
            raise InvalidRequest.missing(name)
        if len(value) > NAME_CHARS_MAX or "\0" in value:
            raise InvalidRequest.invalid(name, f"a text of at most {NAME_CHARS_MAX} characters is expected")
