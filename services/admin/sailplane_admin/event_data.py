"""Inputs and outputs that come within an event are stored as blobs, and the record keeps their URIs.

Our own engine reports URIs; others may not. What is stored is named by its digest, so that the same event again
stores the same object, and a refused event replaces nothing that a record refers to.
"""

import hashlib
from typing import Any

from sailplane_core.errors import LimitReached
from sailplane_core.ids import ExecutionId
from sailplane_core.layout import admin_key
from sailplane_protos.event import event_pb2

from .ports import AdminPorts

Event = event_pb2.WorkflowExecutionEvent | event_pb2.NodeExecutionEvent | event_pb2.TaskExecutionEvent

_URIS = {"input_data": "input_uri", "output_data": "output_uri"}


def has_inline_data(event: Event) -> bool:
    """Whether it brings inputs or outputs itself."""
    return any(field.name in _URIS for field, _ in event.ListFields())


async def store_inline(ports: AdminPorts, id: ExecutionId, event: Event) -> None:
    """Store what the event brings, and put the URI in its place. Raises `LimitReached` when it is too much."""
    limit = ports.settings.inline_data_bytes_max
    inline: list[tuple[str, Any]] = [(field.name, data) for field, data in event.ListFields() if field.name in _URIS]
    for field, values in inline:
        if values.ByteSize() > limit:
            raise LimitReached(f"{field} of {values.ByteSize()} bytes, of at most {limit} in an event")
    for field, values in inline:
        data = values.SerializeToString(deterministic=True)
        uri = ports.blobs.uri(f"{admin_key(id)}/events/{hashlib.sha256(data).hexdigest()}.pb")
        await ports.blobs.put(uri, data)
        setattr(event, _URIS[field], uri)  # the same oneof, so that the data goes
