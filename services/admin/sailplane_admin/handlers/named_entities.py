"""RPCs about names, and what versions say about themselves."""

from typing import Any

from sailplane_protos.admin import common_pb2, description_entity_pb2

from .. import description_entities, named_entities
from ..ports import AdminPorts


class NamedEntityHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def GetNamedEntity(self, request: common_pb2.NamedEntityGetRequest, context: Any) -> common_pb2.NamedEntity:
        """Description and state of a name."""
        return await named_entities.get(self.ports, request)

    async def UpdateNamedEntity(
        self, request: common_pb2.NamedEntityUpdateRequest, context: Any
    ) -> common_pb2.NamedEntityUpdateResponse:
        """Replace description and state of a name."""
        await named_entities.update_metadata(self.ports, request)
        return common_pb2.NamedEntityUpdateResponse()

    async def ListNamedEntities(
        self, request: common_pb2.NamedEntityListRequest, context: Any
    ) -> common_pb2.NamedEntityList:
        """A page of names with description and state."""
        return await named_entities.list_entities(self.ports, request)

    async def GetDescriptionEntity(
        self, request: common_pb2.ObjectGetRequest, context: Any
    ) -> description_entity_pb2.DescriptionEntity:
        """What one version says about itself."""
        return await description_entities.get(self.ports, request)

    async def ListDescriptionEntities(
        self, request: description_entity_pb2.DescriptionEntityListRequest, context: Any
    ) -> description_entity_pb2.DescriptionEntityList:
        """A page of what the versions of a name say."""
        return await description_entities.list_descriptions(self.ports, request)
