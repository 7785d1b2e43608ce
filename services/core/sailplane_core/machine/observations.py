"""What the engine can see. Observations say what is so, never what to do.

Those about a node carry the attempt they were made in: one about an earlier attempt is out of date and ignored.
"""

from dataclasses import dataclass
from datetime import datetime

from ..failures import Failure
from ..phases import ExecutionPhase, TaskPhase
from .commands import Timer


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody wants this execution to run."""


@dataclass(frozen=True, slots=True)
class AbortRequested:
    """Somebody wants it to end now. `principal` is who, "" when unknown."""

    cause: str
    principal: str


@dataclass(frozen=True, slots=True)
class SignalSet:
    """A signal of this execution has its value."""

    signal_id: str


@dataclass(frozen=True, slots=True)
class InputsBound:
    """The node's inputs (an end node's: the workflow's outputs) are written."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class BindingFailed:
    """The node's inputs, or what is made of them, cannot be had."""

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

    `started_at` and `ended_at` are the Pod's own times, None where nobody knows them. `has_graph` says that the task
    left a graph to go on with instead of outputs. `pod_lingers` says that the Pod itself has not ended.
    """

    node_id: str
    attempt: int
    failure: Failure | None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    has_deck: bool = False
    has_graph: bool = False
    pod_lingers: bool = False


@dataclass(frozen=True, slots=True)
class PodRemoved:
    """The attempt's Pod is gone, with everything it had started."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class CacheLookedUp:
    """What the catalog says: `status` is a `core.CatalogCacheStatus`.

    A hit's outputs are written where the attempt's own would be. `catalog` is a serialised `core.CatalogMetadata`,
    empty when there is nothing to show. `is_reserved`: this node is the one that computes, and others wait for it;
    `is_busy`: another one computes.
    """

    node_id: str
    attempt: int
    status: int
    catalog: bytes = b""
    is_reserved: bool = False
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class CachePopulated:
    """The outputs are in the catalog, or could not be put there; `status` and `catalog` as in `CacheLookedUp`."""

    node_id: str
    attempt: int
    status: int
    catalog: bytes = b""


@dataclass(frozen=True, slots=True)
class GraphBuilt:
    """A dynamic task's graph is compiled, stored at `graph_uri`, and part of the plan."""

    node_id: str
    attempt: int
    graph_uri: str
    job_spec_uri: str


@dataclass(frozen=True, slots=True)
class GraphRefused:
    """What a dynamic task generated makes no sense."""

    node_id: str
    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class BranchTaken:
    """A branch's conditions chose the node with this id."""

    node_id: str
    attempt: int
    case_id: str


@dataclass(frozen=True, slots=True)
class ArrayOpened:
    """An array has this many items."""

    node_id: str
    attempt: int
    size: int


@dataclass(frozen=True, slots=True)
class ItemsGathered:
    """An array's outputs are written."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """The child execution exists."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ChildRefused:
    """The child execution cannot be started."""

    node_id: str
    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """The child execution of this name ended in this phase; `failure` is set unless it succeeded.

    The name fences it, as it is made from the attempt.
    """

    node_id: str
    child_name: str
    phase: ExecutionPhase
    outputs_uri: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ChildGone:
    """There is no live child execution."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class SignalTaken:
    """A gate's signal has its value, and the gate's outputs are written. `failure` is set where it was a rejection."""

    node_id: str
    attempt: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time that was waited for has come. `node_id` is "" for the execution itself."""

    node_id: str
    attempt: int
    timer: Timer


NodeObservation = (
    InputsBound
    | BindingFailed
    | LaunchFailed
    | TaskProgressed
    | TaskEnded
    | PodRemoved
    | CacheLookedUp
    | CachePopulated
    | GraphBuilt
    | GraphRefused
    | BranchTaken
    | ArrayOpened
    | ItemsGathered
    | ChildStarted
    | ChildRefused
    | ChildGone
    | SignalTaken
    | TimerFired
)
"""Those that are fenced by the attempt."""
Observation = Started | AbortRequested | SignalSet | ChildEnded | NodeObservation
