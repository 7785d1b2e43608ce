"""Everything the engine can do to the world. Nothing else leaves the machine but these and its event reports.

Each command is idempotent: it names what it concerns by execution, node and attempt, and doing it twice is doing it
once. A command holds no data that the state or the plan holds already; whoever performs it looks there.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Timer(StrEnum):
    """What a node or the execution waits for the time of."""

    QUEUED = "queued"
    """It must run by now."""
    EXECUTION = "execution"
    """This attempt must have ended by now."""
    ACTIVE = "active"
    """All attempts together must have ended by now."""
    RETRY = "retry"
    """The pause before the next attempt is over."""
    SLEEP = "sleep"
    """The gate opens."""
    CACHE = "cache"
    """Look again whether somebody else has computed it."""
    ITEMS = "items"
    """More items of the array may begin than one step begins."""
    WORKFLOW = "workflow"
    """The whole execution must have ended by now."""


@dataclass(frozen=True, slots=True)
class BindInputs:
    """Resolve the node's bindings and write its inputs (for an end node: the workflow's outputs).

    Leads to `InputsBound` or `BindingFailed`.
    """

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class LaunchPod:
    """Resolve and write the node's inputs, build its Pod, and make it run.

    Leads to `TaskProgressed` and `TaskEnded`, or to `BindingFailed` or `LaunchFailed`.
    """

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RemovePod:
    """Stop the attempt's Pod, if there is one. Leads to `PodRemoved`."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class LookUpCache:
    """Resolve and write the node's inputs, and ask the catalog for their outputs; if found, write them.

    Where runs with the same inputs wait for one another, also try to become the one that computes. Leads to
    `CacheLookedUp` or `BindingFailed`.
    """

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class PopulateCache:
    """Put the node's outputs into the catalog. Leads to `CachePopulated`."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ReleaseReservation:
    """Let others compute what the node had reserved, over all its attempts. Leads to nothing."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class BuildGraph:
    """Compile and store the graph that a dynamic task has generated, or take over the one of a run that is recovered.

    Leads to `GraphBuilt` or `GraphRefused`.
    """

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TakeBranch:
    """Resolve and write a branch's inputs, and evaluate its conditions. Leads to `BranchTaken` or `BindingFailed`."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class OpenArray:
    """Resolve and write an array's inputs, and count its items. Leads to `ArrayOpened` or `BindingFailed`."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class GatherItems:
    """Write an array's outputs from those of its items. Leads to `ItemsGathered` or `BindingFailed`."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class LaunchChild:
    """Resolve and write the node's inputs, and start its launch plan's execution.

    Leads to `ChildStarted`, later `ChildEnded`, or to `ChildRefused` or `BindingFailed`.
    """

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TerminateChild:
    """End the node's child execution, if there is one. Leads to `ChildEnded`, or `ChildGone` when there is none."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AwaitSignal:
    """Register a gate's signal with admin. Leads to `SignalTaken` if it has its value already, else to nothing yet."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TakeSignal:
    """Fetch the value that a gate's signal was given, and write the gate's outputs. Leads to `SignalTaken`."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Tell when it is `at`. Leads to `TimerFired`. `node_id` is "" for the execution itself."""

    node_id: str
    attempt: int
    timer: Timer
    at: datetime


Command = (
    BindInputs
    | LaunchPod
    | RemovePod
    | LookUpCache
    | PopulateCache
    | ReleaseReservation
    | BuildGraph
    | TakeBranch
    | OpenArray
    | GatherItems
    | LaunchChild
    | TerminateChild
    | AwaitSignal
    | TakeSignal
    | SetTimer
)

COMMANDS: dict[str, type[Command]] = {
    kind.__name__: kind
    for kind in (
        BindInputs,
        LaunchPod,
        RemovePod,
        LookUpCache,
        PopulateCache,
        ReleaseReservation,
        BuildGraph,
        TakeBranch,
        OpenArray,
        GatherItems,
        LaunchChild,
        TerminateChild,
        AwaitSignal,
        TakeSignal,
        SetTimer,
    )
}
"""By name, as they are stored in the outbox."""
