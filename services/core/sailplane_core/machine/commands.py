"""Everything the engine can do to the world. Nothing else leaves the machine but these and its event reports.

Each command is idempotent: it names what it concerns by execution, node and attempt, and doing it twice is doing it
once. A command holds no data that the state or the plan holds already; whoever performs it looks there.
"""

from dataclasses import dataclass


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


Command = BindInputs | LaunchPod | RemovePod

COMMANDS: dict[str, type[Command]] = {kind.__name__: kind for kind in (BindInputs, LaunchPod, RemovePod)}
"""By name, as they are stored in the outbox."""
