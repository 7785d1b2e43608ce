"""Description entities: what a version says about itself at length. Written with the version, and never changed."""

from sailplane_core import validation
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import common_pb2, description_entity_pb2
from sqlalchemy import bindparam, select

from . import tables
from .listing import Listing, fields_of, list_page
from .paging import page_request
from .ports import AdminPorts
from .registration import is_version, version_values

DescriptionEntity = description_entity_pb2.DescriptionEntity

_DESCRIPTIONS = tables.description_entities.c
_GET = select(_DESCRIPTIONS.description).where(
    _DESCRIPTIONS.resource_type == bindparam("resource_type"), *is_version(tables.description_entities)
)
_LISTING = Listing(
    Entity.DESCRIPTION_ENTITY,
    tables.description_entities,
    fields={Entity.DESCRIPTION_ENTITY: fields_of(Entity.DESCRIPTION_ENTITY, tables.description_entities)},
)


async def get(ports: AdminPorts, request: common_pb2.ObjectGetRequest) -> DescriptionEntity:
    """What one version says. Raises `NotFound`, also when the version exists and says nothing."""
    _check_kind(request.id.resource_type)
    validation.check_id(request.id, request.id.resource_type)
    id = EntityId.of(request.id)
    key = {"resource_type": id.kind, **version_values(id)}
    data = await ports.store.read(lambda connection: connection.execute(_GET, key).scalar_one_or_none())
    if data is None:
        raise NotFound(f"description of {ResourceType.Name(id.kind)}", str(id))
    return DescriptionEntity.FromString(data)


async def list_descriptions(
    ports: AdminPorts, request: description_entity_pb2.DescriptionEntityListRequest
) -> description_entity_pb2.DescriptionEntityList:
    """What the versions of a name say."""
    _check_kind(request.resource_type)
    validation.check_scope(request.id.project, request.id.domain)
    if not request.id.name:
        raise InvalidRequest.missing("name")
    scope = [
        _DESCRIPTIONS.resource_type == request.resource_type,
        _DESCRIPTIONS.project == request.id.project,
        _DESCRIPTIONS.domain == request.id.domain,
        _DESCRIPTIONS.name == request.id.name,
    ]
    asked = await page_request(ports, "ListDescriptionEntities", request)
    page = await ports.store.read(
        lambda connection: list_page(
            connection, _LISTING, [_DESCRIPTIONS.description], scope, asked, filters=request.filters
        )
    )
    found = (DescriptionEntity.FromString(row.description) for row in page.rows)
    return description_entity_pb2.DescriptionEntityList(descriptionEntities=found, token=page.next_token)


def _check_kind(kind: "ResourceType.ValueType") -> None:
    if kind == ResourceType.UNSPECIFIED:
        raise InvalidRequest.missing("resource_type")
    if kind not in ResourceType.values():
        raise InvalidRequest.invalid("resource_type", str(kind))
