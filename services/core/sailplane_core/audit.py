"""What a request is about, for the record of who has done what."""

from dataclasses import dataclass
from typing import cast

from google.protobuf.message import Message
from sailplane_protos.admin.project_attributes_pb2 import ProjectAttributes
from sailplane_protos.admin.project_pb2 import Project
from sailplane_protos.core.identifier_pb2 import Identifier

ENTITY_CHARS_MAX = 512

_INSIDE = ("id", "project", "attributes", "quotas", "policy", "execution_id", "node_execution_id")
"""The fields of requests that name what they are about. `project` and `id` are texts in some messages."""
_NAMES = (
    *("workflow", "name", "id", "version", "node_id", "signal_id"),
    *("filename_root", "filename", "native_url", "kind"),
)
"""In the order in which they are told. `kind` is of an attribute, or the state that something is to have."""


@dataclass(frozen=True, slots=True)
class About:
    """Project, domain, and a name with what further tells it from others; "" for what a request does not say."""

    project: str = ""
    domain: str = ""
    entity: str = ""


def about(request: Message, reply: Message | None = None) -> About:
    """What a request is about. A name that only the reply knows is taken from there."""
    said = _texts(request)
    if "name" not in said and reply is not None:
        said = _texts(reply) | said
    entity = ":".join(said[name] for name in _NAMES if name in said)
    return About(said.get("project", ""), said.get("domain", ""), entity[:ENTITY_CHARS_MAX])


def _texts(message: Message) -> dict[str, str]:
    found = _kind(message)
    if isinstance(message, Project):
        return found | {"project": message.id}
    for field, value in message.ListFields():
        if field.name in _INSIDE and isinstance(value, Message):
            found = found | _texts(value)
    for field, value in message.ListFields():
        if isinstance(value, str) and (field.name in _NAMES or field.name in ("project", "domain")):
            found.setdefault(field.name, value)
    return found


def _kind(message: Message) -> dict[str, str]:
    """What else tells a change from others of the same thing."""
    if isinstance(message, Identifier):  # the RPC's name says of what type it is
        return {}
    fields = message.DESCRIPTOR.fields_by_name
    if "matching_attributes" in fields:
        attributes = cast("ProjectAttributes", message).matching_attributes  # the others have it, too
        target = attributes.WhichOneof("target")
        return {} if target is None else {"kind": target}
    for name in ("resource_type", "state"):
        if name in fields and (enum := fields[name].enum_type) is not None:
            value = getattr(message, name)
            known = enum.values_by_number.get(value)
            return {"kind": str(value) if known is None else known.name}
    return {}
