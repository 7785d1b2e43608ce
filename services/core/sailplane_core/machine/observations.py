"""What the engine can see. Observations say what is so, never what to do.

Those about a node carry the attempt they were made in: one about an earlier attempt is out of date and ignored.
"""

from dataclasses import dataclass
from datetime import datetime

from ..failures import Failure
from ..phases import TaskPhase


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody wants this execution to run."""


@dataclass(frozen=True, slots=True)
class AbortRequested:
    """Somebody wants it to end now. `principal` is who, "" when unknown."""

    cause: str
    principal: str


@dataclass(frozen=True, slots=True)
class InputsBound:
    """The node's inputs (an end node's: the workflow's outputs) are written."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class BindingFailed:
    """The node's inputs cannot be made out of its bindings."""

    node_id: str
    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """The Pod cannot be built or is refused for good."""

    node_id: str
    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class TaskProgressed:
    """The attempt is in this phase, which is not a terminal one. `reason` is a sentence for people, or ""."""

    node_id: str
    attempt: int
    phase: TaskPhase
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """The attempt ended. `failure` is None when it succeeded and its outputs are whole.

    `started_at` and `ended_at` are the Pod's own times, None where nobody knows them.
    """

    node_id: str
    attempt: int
    failure: Failure | None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    has_deck: bool = False


@dataclass(frozen=True, slots=True)
class PodRemoved:
    """The attempt's Pod is gone, with everything it had started."""

    node_id: str
    attempt: int


NodeObservation = InputsBound | BindingFailed | LaunchFailed | TaskProgressed | TaskEnded | PodRemoved
Observation = Started | AbortRequested | NodeObservation
