"""Named entities: what is said about a task, workflow or launch plan as such, whatever its version.

One begins with the first registered version. Archiving it hides it from lists that ask for that, and nothing else.
"""

from typing import Any

from sailplane_core import validation
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import ResourceType
from sailplane_core.naming import GENERATED_PREFIX
from sailplane_protos.admin import common_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import ColumnElement, Row, bindparam, select, update

from . import tables
from .listing import Listing, fields_of, list_page
from .paging import page_request
from .ports import AdminPorts

_NAMES = tables.named_entities.c
_KINDS = (ResourceType.TASK, ResourceType.WORKFLOW, ResourceType.LAUNCH_PLAN)
_KEY = ("resource_type", "project", "domain", "name")
_COLUMNS = [*(_NAMES[name] for name in _KEY), _NAMES.description, _NAMES.state]
_GET = select(*_COLUMNS).where(*(_NAMES[name] == bindparam(name) for name in _KEY))
_UPDATE = update(tables.named_entities).where(*(_NAMES[name] == bindparam(f"which_{name}") for name in _KEY))
_LISTING = Listing(
    Entity.NAMED_ENTITY,
    tables.named_entities,
    fields={
        entity: fields_of(entity, tables.named_entities)
        for entity in (Entity.NAMED_ENTITY, Entity.NAMED_ENTITY_METADATA)
    },
    order=(_NAMES.name, _NAMES.id),
)
_HIDE_GENERATED = f"not_like(name,{GENERATED_PREFIX}%)"


async def get(ports: AdminPorts, request: common_pb2.NamedEntityGetRequest) -> common_pb2.NamedEntity:
    """One named entity. Raises `NotFound` when nothing was registered under the name."""
    _check(request.resource_type, request.id)
    key = _key(request.resource_type, request.id)
    row = await ports.store.read(lambda connection: connection.execute(_GET, key).one_or_none())
    if row is None:
        raise _not_found(request.resource_type, request.id)
    return _entity(row)


async def update_metadata(ports: AdminPorts, request: common_pb2.NamedEntityUpdateRequest) -> None:
    """Replace description and state."""
    _check(request.resource_type, request.id)
    if not request.HasField("metadata"):
        raise InvalidRequest.missing("metadata")
    if len(request.metadata.description) > validation.ENTITY_DESCRIPTION_CHARS_MAX:
        raise InvalidRequest.invalid(
            "description", f"cannot exceed {validation.ENTITY_DESCRIPTION_CHARS_MAX} characters"
        )
    if request.metadata.state not in common_pb2.NamedEntityState.values():
        raise InvalidRequest.invalid("state", str(request.metadata.state))
    values = {
        **{f"which_{name}": value for name, value in _key(request.resource_type, request.id).items()},
        "description": request.metadata.description,
        "state": request.metadata.state,
        "updated_at_us": tables.time_us(ports.clock.now()),
    }

    def change(transaction: Transaction) -> None:
        if transaction.connection.execute(_UPDATE, values).rowcount == 0:
            raise _not_found(request.resource_type, request.id)

    await ports.store.write(change)


async def list_entities(ports: AdminPorts, request: common_pb2.NamedEntityListRequest) -> common_pb2.NamedEntityList:
    """Names of one kind in a project and domain. Those made around single tasks only if a filter is given."""
    _check_kind(request.resource_type)
    validation.check_scope(request.project, request.domain)
    scope = _scope(request.resource_type, request.project, request.domain)
    asked = await page_request(ports, "ListNamedEntities", request)
    page = await ports.store.read(
        lambda connection: list_page(
            connection, _LISTING, _COLUMNS, scope, asked, filters=request.filters or _HIDE_GENERATED
        )
    )
    return common_pb2.NamedEntityList(entities=map(_entity, page.rows), token=page.next_token)


async def list_ids(
    ports: AdminPorts,
    kind: "ResourceType.ValueType",
    request: common_pb2.NamedEntityIdentifierListRequest,
) -> common_pb2.NamedEntityIdentifierList:
    """The names of one kind in a project and domain, without generated ones. Filters are ignored, as in Flyte."""
    validation.check_scope(request.project, request.domain)
    scope = [
        *_scope(kind, request.project, request.domain),
        _NAMES.state != common_pb2.SYSTEM_GENERATED,
    ]
    asked = await page_request(ports, f"List{ResourceType.Name(kind)}Ids", request)
    page = await ports.store.read(lambda connection: list_page(connection, _LISTING, [_NAMES.name], scope, asked))
    ids = (
        common_pb2.NamedEntityIdentifier(project=request.project, domain=request.domain, name=row.name)
        for row in page.rows
    )
    return common_pb2.NamedEntityIdentifierList(entities=ids, token=page.next_token)


def _check(kind: "ResourceType.ValueType", id: common_pb2.NamedEntityIdentifier) -> None:
    _check_kind(kind)
    validation.check_scope(id.project, id.domain)
    if not id.name:
        raise InvalidRequest.missing("name")


def _check_kind(kind: "ResourceType.ValueType") -> None:
    if kind == ResourceType.UNSPECIFIED:
        raise InvalidRequest.missing("resource_type")
    if kind not in _KINDS:
        raise InvalidRequest.invalid("resource_type", "only tasks, workflows and launch plans have names")


def _key(kind: "ResourceType.ValueType", id: common_pb2.NamedEntityIdentifier) -> dict[str, str | int]:
    return {"resource_type": kind, "project": id.project, "domain": id.domain, "name": id.name}


def _scope(kind: "ResourceType.ValueType", project: str, domain: str) -> list[ColumnElement[bool]]:
    return [_NAMES.resource_type == kind, _NAMES.project == project, _NAMES.domain == domain]


def _not_found(kind: "ResourceType.ValueType", id: common_pb2.NamedEntityIdentifier) -> NotFound:
    return NotFound(ResourceType.Name(kind), f"{id.project}:{id.domain}:{id.name}")


def _entity(row: Row[Any]) -> common_pb2.NamedEntity:
    return common_pb2.NamedEntity(
        resource_type=row.resource_type,
        id=common_pb2.NamedEntityIdentifier(project=row.project, domain=row.domain, name=row.name),
        metadata=common_pb2.NamedEntityMetadata(description=row.description, state=row.state),
    )
