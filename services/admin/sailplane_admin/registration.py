"""What registering a version means, the same for tasks, workflows and launch plans: versions are immutable."""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from google.protobuf.message import Message
from sailplane_core import structure
from sailplane_core.errors import DifferentStructure, IdenticalStructure, InvalidRequest, SailplaneError
from sailplane_core.ids import EntityId
from sailplane_protos.admin import common_pb2, description_entity_pb2
from sailplane_runtime.store.port import Store, Transaction
from sailplane_runtime.threads import inline_or_thread
from sqlalchemy import ColumnElement, Connection, Table, bindparam, insert, text
from sqlalchemy.exc import IntegrityError

from . import tables

T = TypeVar("T")

SHORT_DESCRIPTION_CHARS_MAX = 255

_INSERT_NAME = text(
    "INSERT INTO named_entities"
    " (resource_type, project, domain, name, description, state, created_at_us, updated_at_us)"
    " VALUES (:resource_type, :project, :domain, :name, '', :state, :now_us, :now_us) ON CONFLICT DO NOTHING"
)
_INSERT_DESCRIPTION = insert(tables.description_entities)


def is_version(table: Table) -> list[ColumnElement[bool]]:
    """The condition that picks one version; its parameters are `version_values`."""
    return [table.c[name] == bindparam(name) for name in ("project", "domain", "name", "version")]


def version_values(id: EntityId) -> dict[str, Any]:
    """The four columns that identify a version within its table."""
    return {"project": id.project, "domain": id.domain, "name": id.name, "version": id.version}


async def write_once(store: Store, change: Callable[[Transaction], T]) -> T:
    """Run a change that looks for a row, and inserts it if there is none. Gives what it gives.

    When another process inserts it in between, the change is run again and finds it.
    """
    try:
        return await store.write(change)
    except IntegrityError:
        return await store.write(change)


async def refuse(kind: str, id: EntityId, before: Message, after: Message) -> NoReturn:
    """The version is taken: by the same content, or by another. `kind` is the word for people (`launch plan`)."""
    raise await inline_or_thread(after.ByteSize(), lambda: _refusal(kind, id, before, after))


def _refusal(kind: str, id: EntityId, before: Message, after: Message) -> SailplaneError:
    if structure.same(before, after):
        return IdenticalStructure(kind, str(id))
    return DifferentStructure(kind, str(id), structure.diff(before, after))


def register_name(
    connection: Connection,
    id: EntityId,
    now_us: int,
    state: "common_pb2.NamedEntityState.ValueType" = common_pb2.NAMED_ENTITY_ACTIVE,
) -> None:
    """With the first version of a name, its named entity begins."""
    connection.execute(
        _INSERT_NAME,
        {
            "resource_type": id.kind,
            "project": id.project,
            "domain": id.domain,
            "name": id.name,
            "state": state,
            "now_us": now_us,
        },
    )


def check_description(description: description_entity_pb2.DescriptionEntity) -> None:
    """Raises `InvalidRequest` when the short description is too long for lists."""
    if len(description.short_description) > SHORT_DESCRIPTION_CHARS_MAX:
        raise InvalidRequest.invalid(
            "spec.description.short_description", f"cannot exceed {SHORT_DESCRIPTION_CHARS_MAX} characters"
        )


def put_description(
    connection: Connection, id: EntityId, description: description_entity_pb2.DescriptionEntity, now_us: int
) -> None:
    """Store what a version says about itself, under the version's own id."""
    entity = description_entity_pb2.DescriptionEntity()
    entity.CopyFrom(description)
    entity.id.CopyFrom(id.to_message())
    connection.execute(
        _INSERT_DESCRIPTION,
        {
            "resource_type": id.kind,
            **version_values(id),
            "short_description": entity.short_description,
            "created_at_us": now_us,
            "description": entity.SerializeToString(),
        },
    )
