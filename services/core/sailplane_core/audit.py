"""What a request is about, for the record of who has done what."""

from dataclasses import dataclass

from google.protobuf.message import Message

ENTITY_CHARS_MAX = 512

_INSIDE = ("id", "project", "attributes", "quotas", "policy", "execution_id", "node_execution_id")
"""The fields of requests that name what they are about. `project` and `id` are texts in some messages."""
_NAMES = ("workflow", "name", "id", "version", "node_id", "signal_id")
"""In the order in which they are told."""


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
    found: dict[str, str] = {}
    for field, value in message.ListFields():
        if field.name in _INSIDE and isinstance(value, Message):
            found = found | _texts(value)
    for field, value in message.ListFields():
        if isinstance(value, str) and (field.name in _NAMES or field.name in ("project", "domain")):
            found.setdefault(field.name, value)
    return found
