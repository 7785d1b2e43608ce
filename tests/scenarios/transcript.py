"""What the machine decided, as lines to read."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime

from sailplane_core.failures import Failure
from sailplane_core.machine import Command, ExecutionState, Header, NodeState, SetTimer, Transition
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.core import catalog_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.propeller import queue_pb2

_NOT_SHOWN = frozenset(
    {"id", "spec_id", "scope", "kind", "item", "inputs_uri", "outputs_uri", "deck_uri", "child_name"}
    | {field.name for field in fields(NodeState) if field.name.endswith("_at")}
)
_PLACES = frozenset({"holds_slot", "is_waiting"})
"""Of interest only where there is a limit."""
_HEADER = ("phase", "failure", "failed_node_id", "abort_cause", "abort_principal")


def lines(before: ExecutionState, transition: Transition) -> Iterator[str]:
    """A transition, before it is applied to the state."""
    if transition.is_empty:
        yield "nothing"
        return
    header = _changes(before.header, transition.header, _HEADER)
    if header:
        yield f"execution {header}"
    shown = [field.name for field in fields(NodeState) if field.name not in _NOT_SHOWN]
    if not before.start.policies.max_parallelism:
        shown = [name for name in shown if name not in _PLACES]
    for node in transition.nodes.values():
        old = before.nodes.get(node.id)
        changes = _changes(old or NodeState(node.id, node.spec_id, node.scope, node.kind), node, shown)
        yield f"row  {node.id}{'' if old else f' ({node.kind})'} {changes}".rstrip()
    for command in transition.commands:
        yield f"do   {_command(before, transition, command)}"
    for event in transition.events:
        yield f"tell {_event(event)}"


def time(at: datetime) -> str:
    """The time of day, with a fraction where there is one."""
    return f"{at:%H:%M:%S.%f}".removesuffix("000000").removesuffix(".")


def _changes(before: Header | NodeState, after: Header | NodeState, names: list[str] | tuple[str, ...]) -> str:
    parts: list[str] = []
    for name in names:
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if isinstance(new, bool):
            parts.append(f"{'+' if new else '-'}{name}")
        elif isinstance(new, ExecutionPhase | NodePhase | TaskPhase):
            parts.append(f"{name}={new.name}" if not old else f"{name}={old.name}>{new.name}")
        elif name == "cache_status":
            parts.append(f"cache={cache_status(new)}")
        elif isinstance(new, Failure):
            parts.append(f"failure={new.code!r}")
        else:
            parts.append(f"{name}={new!r}")
    return " ".join(parts)


def _command(before: ExecutionState, transition: Transition, command: Command) -> str:
    target = f"{command.node_id}/{command.attempt}" if command.node_id else "execution"
    if isinstance(command, SetTimer):
        return f"SetTimer {target} {command.timer} for {time(command.at)}"
    return f"{type(command).__name__} {target}"


def _event(event: queue_pb2.Event) -> str:
    match event.WhichOneof("event"):
        case "workflow":
            told = event.workflow
            return f"workflow {ExecutionPhase(told.phase).name}{_error(told.error.code)}"
        case "node":
            told = event.node
            flags = [name for name in ("is_parent", "is_dynamic", "is_array") if getattr(told, name)]
            if told.task_node_metadata.cache_status:
                flags.append(cache_status(told.task_node_metadata.cache_status))
            inside = f" in {told.parent_node_metadata.node_id}" if told.parent_node_metadata.node_id else ""
            words = "".join(f" {flag}" for flag in flags)
            return f"node {told.id.node_id} {NodePhase(told.phase).name}{inside}{words}{_error(told.error.code)}"
        case _:
            told = event.task
            node_id, phase = told.parent_node_execution_id.node_id, TaskPhase(told.phase).name
            if told.metadata.instance_class == event_pb2.TaskExecutionMetadata.INTERRUPTIBLE:
                phase += " interruptible"
            version = f" v{told.phase_version}" if told.phase_version else ""
            items = "".join(
                f" [{item.index}]/{item.retry_attempt}={TaskPhase(item.phase).name}"
                for item in told.metadata.external_resources
            )
            return f"task {node_id}/{told.retry_attempt} {phase}{version}{items}{_error(told.error.code)}"


def _error(code: str) -> str:
    return f" {code!r}" if code else ""


def cache_status(status: int) -> str:
    """The name of a `core.CatalogCacheStatus`."""
    return catalog_pb2.CatalogCacheStatus.Name(status)  # pyright: ignore[reportArgumentType]
