"""Identities as hashable values, and the names derived from them.

Names are derived, never invented, wherever a crash could make us do something twice: doing it again under the same
name is then harmless.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from sailplane_protos.core import identifier_pb2

ResourceType = identifier_pb2.ResourceType

START_NODE_ID = "start-node"
END_NODE_ID = "end-node"
NODE_ID_CHARS_MAX = 20
POD_NAME_CHARS_MAX = 50


@dataclass(frozen=True, slots=True, order=True)
class EntityId:
    """A registered thing: task, workflow or launch plan. Immutable once registered."""

    kind: "identifier_pb2.ResourceType.ValueType"
    project: str
    domain: str
    name: str
    version: str

    @classmethod
    def of(cls, message: identifier_pb2.Identifier) -> "EntityId":
        """The value of a `core.Identifier`."""
        return cls(message.resource_type, message.project, message.domain, message.name, message.version)

    def to_message(self) -> identifier_pb2.Identifier:
        """The `core.Identifier` of this value."""
        return identifier_pb2.Identifier(
            resource_type=self.kind, project=self.project, domain=self.domain, name=self.name, version=self.version
        )

    def __str__(self) -> str:
        return f"{self.project}:{self.domain}:{self.name}:{self.version}"


@dataclass(frozen=True, slots=True, order=True)
class ExecutionId:
    """One execution of a workflow."""

    project: str
    domain: str
    name: str

    @classmethod
    def of(cls, message: identifier_pb2.WorkflowExecutionIdentifier) -> "ExecutionId":
        """The value of a `core.WorkflowExecutionIdentifier`."""
        return cls(message.project, message.domain, message.name)

    @classmethod
    def parse(cls, key: str) -> "ExecutionId":
        """Inverse of `str`: `project/domain/name`."""
        project, domain, name = key.split("/", 2)
        return cls(project, domain, name)

    def to_message(self) -> identifier_pb2.WorkflowExecutionIdentifier:
        """The `core.WorkflowExecutionIdentifier` of this value."""
        return identifier_pb2.WorkflowExecutionIdentifier(project=self.project, domain=self.domain, name=self.name)

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}"


def _digest(text: str) -> str:
    """`f` and sixteen characters (80 bits) of a text's SHA-256 in base 32."""
    return "f" + base64.b32encode(hashlib.sha256(text.encode()).digest()[:10]).decode().lower()


def slot_execution_name(project: str, domain: str, launch_plan: str, slot: datetime) -> str:
    """Of the execution that a schedule starts for a slot, a whole second.

    The launch plan's version is not in it: if two are active about a slot, there is one execution all the same.
    """
    return _digest(f"{project}\0{domain}\0{launch_plan}\0{slot.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")


def triggered_execution_name(project: str, domain: str, launch_plan: str, request_id: str) -> str:
    """Of the execution that a request to trigger a schedule starts."""
    return _digest(f"{project}\0{domain}\0{launch_plan}\0trigger\0{request_id}")


def bounded_name(text: str, chars_max: int) -> str:
    """`text` if it fits, else `f` and sixteen characters (80 bits) of its SHA-256 in base 32.

    Flyte shortens to 32 bits, which collides within one large workflow; clients never compute the name themselves.
    """
    if len(text) <= chars_max:
        return text
    return _digest(text)


def unique_node_id(parent_id: str, parent_attempt: int, node_id: str) -> str:
    """The id of a node within its whole execution: `n1`, or `n0-0-n1` inside the first attempt of node `n0`."""
    if not parent_id:
        return bounded_name(node_id, NODE_ID_CHARS_MAX)
    return bounded_name(f"{parent_id}-{parent_attempt}-{node_id}", NODE_ID_CHARS_MAX)


def pod_name(execution: ExecutionId, node_id: str, attempt: int) -> str:
    """The one name of the Pod of this attempt: launching it twice is launching it once."""
    return bounded_name(f"{execution.name}-{node_id}-{attempt}", POD_NAME_CHARS_MAX)


def child_execution_name(parent: ExecutionId, node_id: str, attempt: int) -> str:
    """The one name of the execution that this attempt of a launch-plan node starts, in the parent's project and domain.

    Always hashed: a name that shows the parent's would be mistaken for one that somebody chose.
    """
    return _digest(f"{parent}/{node_id}/{attempt}")
