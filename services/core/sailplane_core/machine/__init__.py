"""The execution engine as a pure function.

    observations ──► evaluate(plan, state, observations, now) ──► Transition(changed rows, commands, events)

`evaluate` never waits and never does. Its caller saves the transition in one database transaction, and only after
the commit are the commands carried out (`sailplane_propeller.advance`). What they lead to comes back as
observations, which say what is so, never what to do; an observation that comes late, twice or out of order is
harmless, because the attempt it carries fences it.

    state.py         what is stored: one row per execution, one per node
    observations.py  what can be seen
    commands.py      what this system can do to the world: one closed set
    scopes.py        the workflow and the insides of its sub-workflow nodes
    step.py          one evaluation in progress
    workflow.py      evaluate: scopes, edges, readiness, failure, abort
    kinds.py         node kind -> the module that knows it; each answers `ready`, `observe`, `abort`
    task.py, subworkflow.py, boundary.py   the kinds
    retries.py       which budget a failure spends, and what is left
    report.py        state changes as Flyte's event messages
"""

from .commands import BindInputs, Command, LaunchPod, RemovePod
from .observations import (
    AbortRequested,
    BindingFailed,
    InputsBound,
    LaunchFailed,
    Observation,
    PodRemoved,
    Started,
    TaskEnded,
    TaskProgressed,
)
from .state import ExecutionState, Header, NodeKind, NodeState, StartInfo
from .step import Transition
from .workflow import end_parked, evaluate

__all__ = [
    "AbortRequested",
    "BindInputs",
    "BindingFailed",
    "Command",
    "ExecutionState",
    "Header",
    "InputsBound",
    "LaunchFailed",
    "LaunchPod",
    "NodeKind",
    "NodeState",
    "Observation",
    "PodRemoved",
    "RemovePod",
    "StartInfo",
    "Started",
    "TaskEnded",
    "TaskProgressed",
    "Transition",
    "end_parked",
    "evaluate",
]
