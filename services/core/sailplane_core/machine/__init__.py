"""The execution engine as a pure function.

    observations ──► evaluate(plan, state, observations, now) ──► Transition(changed rows, commands, events)

`evaluate` never waits and never does. Its caller saves the transition in one database transaction, and only after
the commit are the commands carried out (`sailplane_propeller.advance`). What they lead to comes back as
observations, which say what is so, never what to do; an observation that comes late, twice or out of order is
harmless, because the attempt it carries fences it.

    state.py         what is stored: one row per execution, one per node and per item of an array
    observations.py  what can be seen
    commands.py      what this system can do to the world: one closed set
    scopes.py        the workflow and the insides of the nodes that contain others
    step.py          one evaluation in progress
    workflow.py      evaluate: start, abort, deadlines, the end
    walk.py          through graphs: readiness, limits, failure, the end of scopes
    kinds.py         node kind -> the module that knows it; each answers `ready`, `observe`, `abort`, `outputs`
    boundary.py, task.py, dynamic.py, subworkflow.py, branch.py, gate.py, array.py, launch_plan.py   the kinds
    lifecycle.py     what all kinds share;  retries.py, deadlines.py  how often and how long
    report.py        state changes as Flyte's event messages
"""

from .commands import (
    AwaitSignal,
    BindInputs,
    BuildGraph,
    Command,
    GatherItems,
    LaunchChild,
    LaunchPod,
    LookUpCache,
    OpenArray,
    PopulateCache,
    ReleaseReservation,
    RemovePod,
    SetTimer,
    TakeBranch,
    TakeSignal,
    TerminateChild,
    Timer,
)
from .observations import (
    AbortRequested,
    ArrayOpened,
    BindingFailed,
    BranchTaken,
    CacheLookedUp,
    CachePopulated,
    ChildEnded,
    ChildGone,
    ChildRefused,
    ChildStarted,
    GraphBuilt,
    GraphRefused,
    InputsBound,
    ItemsGathered,
    LaunchFailed,
    NodeObservation,
    Observation,
    PodRemoved,
    SignalSet,
    SignalTaken,
    Started,
    TaskEnded,
    TaskProgressed,
    TimerFired,
)
from .state import ExecutionState, Header, NodeKind, NodeState, Policies, StartInfo
from .step import Transition
from .workflow import end_parked, evaluate

__all__ = [
    "AbortRequested",
    "ArrayOpened",
    "AwaitSignal",
    "BindInputs",
    "BindingFailed",
    "BranchTaken",
    "BuildGraph",
    "CacheLookedUp",
    "CachePopulated",
    "ChildEnded",
    "ChildGone",
    "ChildRefused",
    "ChildStarted",
    "Command",
    "ExecutionState",
    "GatherItems",
    "GraphBuilt",
    "GraphRefused",
    "Header",
    "InputsBound",
    "ItemsGathered",
    "LaunchChild",
    "LaunchFailed",
    "LaunchPod",
    "LookUpCache",
    "NodeKind",
    "NodeObservation",
    "NodeState",
    "Observation",
    "OpenArray",
    "PodRemoved",
    "Policies",
    "PopulateCache",
    "ReleaseReservation",
    "RemovePod",
    "SetTimer",
    "SignalSet",
    "SignalTaken",
    "StartInfo",
    "Started",
    "TakeBranch",
    "TakeSignal",
    "TaskEnded",
    "TaskProgressed",
    "TerminateChild",
    "Timer",
    "TimerFired",
    "Transition",
    "end_parked",
    "evaluate",
]
