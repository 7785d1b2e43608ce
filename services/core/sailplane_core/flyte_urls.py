"""`flyte://` URLs: the inputs, outputs and reports of nodes and of task attempts, or one value among them.

    flyte://v1/<project>/<domain>/<execution>/<node>[/<attempt>]/{i|o|d}[/<name>]

`i` are inputs, `o` outputs, `d` the report (deck), which only a node has and which holds no names.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from sailplane_protos.admin import common_pb2
from sailplane_protos.core import identifier_pb2

from .errors import InvalidRequest

PREFIX = "flyte://v1/"
URL_CHARS_MAX = 2048
ATTEMPT_MAX = 2**32 - 1

_PIECE = re.compile(r"[a-zA-Z0-9_-]+")


class Part(StrEnum):
    """Which data of a node or attempt."""

    INPUTS = "i"
    OUTPUTS = "o"
    DECK = "d"


@dataclass(frozen=True, slots=True)
class FlyteUrl:
    """A parsed URL. `attempt` is None for a node's own data, `name` is "" for all values."""

    project: str
    domain: str
    execution: str
    node_id: str
    part: Part
    attempt: int | None = None
    name: str = ""

    @property
    def node_execution_id(self) -> identifier_pb2.NodeExecutionIdentifier:
        """The node it is about."""
        execution = identifier_pb2.WorkflowExecutionIdentifier(
            project=self.project, domain=self.domain, name=self.execution
        )
        return identifier_pb2.NodeExecutionIdentifier(node_id=self.node_id, execution_id=execution)

    def __str__(self) -> str:
        pieces = [self.project, self.domain, self.execution, self.node_id]
        if self.attempt is not None:
            pieces.append(str(self.attempt))
        pieces.append(self.part.value)
        if self.name:
            pieces.append(self.name)
        return PREFIX + "/".join(pieces)


def parse(url: str) -> FlyteUrl:
    """Read a URL. Raises `InvalidRequest`."""
    if not url.startswith(PREFIX) or len(url) > URL_CHARS_MAX:
        raise _refusal(url, f"it does not begin with {PREFIX}, or is longer than {URL_CHARS_MAX} characters")
    pieces = url.removeprefix(PREFIX).split("/")
    if not all(_PIECE.fullmatch(piece) for piece in pieces):
        raise _refusal(url, "its parts consist of letters, digits, '-' and '_'")
    if len(pieces) < 5:
        raise _refusal(url, "it names no project, domain, execution, node and one of i, o, d")
    project, domain, execution, node_id, *rest = pieces
    attempt = _attempt(url, rest.pop(0)) if len(rest) > 1 and rest[0] not in set(Part) else None
    if rest[0] not in set(Part) or len(rest) > 2:
        raise _refusal(url, "after the node comes one of i, o, d, and at most a name after it")
    part = Part(rest[0])
    name = rest[1] if len(rest) == 2 else ""
    if part is Part.DECK and (attempt is not None or name):
        raise _refusal(url, "a deck belongs to a node, and has no attempt and no names")
    return FlyteUrl(project, domain, execution, node_id, part, attempt, name)


def node_urls(id: identifier_pb2.NodeExecutionIdentifier, *, has_deck: bool) -> common_pb2.FlyteURLs:
    """The URLs of a node's data."""
    return common_pb2.FlyteURLs(
        inputs=_url(id, Part.INPUTS), outputs=_url(id, Part.OUTPUTS), deck=_url(id, Part.DECK) if has_deck else ""
    )


def task_urls(id: identifier_pb2.TaskExecutionIdentifier) -> common_pb2.FlyteURLs:
    """The URLs of an attempt's data."""
    node, attempt = id.node_execution_id, id.retry_attempt
    return common_pb2.FlyteURLs(inputs=_url(node, Part.INPUTS, attempt), outputs=_url(node, Part.OUTPUTS, attempt))


def _url(id: identifier_pb2.NodeExecutionIdentifier, part: Part, attempt: int | None = None) -> str:
    execution = id.execution_id
    return str(FlyteUrl(execution.project, execution.domain, execution.name, id.node_id, part, attempt))


def _attempt(url: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > ATTEMPT_MAX:
        raise _refusal(url, "an attempt is a number")
    return int(text)


def _refusal(url: str, why: str) -> InvalidRequest:
    return InvalidRequest.invalid("flyte_url", f"{url[:200]!r}: {why}")
