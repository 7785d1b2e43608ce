"""Rows to the machine's state and back: transitions are saved, executions parked, forgotten, and read again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sailplane_core.errors import StaleVersion
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import (
    Command,
    ExecutionState,
    Header,
    NodeKind,
    NodeState,
    Policies,
    SetTimer,
    StartInfo,
    Timer,
    Transition,
)
from sailplane_core.machine.commands import COMMANDS
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_core.ports import Message
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, RowMapping, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from .ports import PropellerSettings
from .tables import executions, nodes

COMMANDS_TOPIC = "commands"
"""The outbox topic of commands. They never leave this service; the outbox only remembers them."""
EVENTS_TOPIC = "events"


@dataclass(frozen=True, slots=True)
class Execution:
    """What is stored of one execution."""

    start: queue_pb2.Start
    state: ExecutionState
    is_parked: bool


def start_info(id: ExecutionId, start: queue_pb2.Start, root_uri: str, settings: PropellerSettings) -> StartInfo:
    """The unchanging part of an execution's state."""
    policies = Policies(
        max_parallelism=start.max_parallelism,
        interruptible=start.interruptible.value if start.HasField("interruptible") else None,
        array_items_at_once_max=settings.array_items_at_once_max,
        system_retries=settings.system_retries,
        retry_backoff_s=settings.retry_backoff_s,
        retry_backoff_max_s=settings.retry_backoff_max_s,
        queued_max_s=settings.queued_max_s or None,
        execution_max_s=settings.execution_max_s or None,
        workflow_max_s=settings.workflow_max_s or None,
        cache_poll_s=settings.cache_poll_s,
        log_links=tuple(settings.log_links.items()),
    )
    return StartInfo(id, start.inputs_uri, root_uri.rstrip("/"), start.raw_output_prefix, policies, start.namespace)


# Commands and events as outbox messages


def command_message(execution: ExecutionId, command: Command) -> Message:
    """A command as it lies in the outbox. Its id is derived, so sending it again is recognised."""
    body = {"kind": type(command).__name__, **asdict(command)}
    if isinstance(command, SetTimer):
        body["at"] = command.at.isoformat()
    key = str(execution)
    return Message(COMMANDS_TOPIC, key, command_id(execution, command), json.dumps(body).encode())


def command_id(execution: ExecutionId, command: Command) -> str:
    """The command's name. A timer may be set again for a later time, and is then another one."""
    name = f"{execution}:{type(command).__name__}:{command.node_id}:{command.attempt}"
    return f"{name}:{command.timer}@{command.at.timestamp():.6f}" if isinstance(command, SetTimer) else name


def read_command(message: Message) -> Command:
    """Inverse of `command_message`."""
    body = json.loads(message.payload)
    kind = COMMANDS[body.pop("kind")]
    if kind is SetTimer:
        body |= {"timer": Timer(body["timer"]), "at": datetime.fromisoformat(body["at"])}
    return kind(**body)


def event_message(execution: ExecutionId, transition: Transition) -> Message:
    """A transition's events as one message to admin. The version makes its id."""
    batch = queue_pb2.EventBatch(execution_id=execution.to_message(), events=transition.events)
    key = str(execution)
    return Message(EVENTS_TOPIC, key, f"{key}@{transition.header.version}", batch.SerializeToString())


# Writing

_HEADER_COLUMNS = frozenset(
    {
        "version",
        "phase",
        "is_terminal",
        "failure",
        "failed_node_id",
        "abort_cause",
        "abort_principal",
        "started_at",
        "ended_at",
        "decided_at",
    }
)
"""What a transition may change of an execution's row."""


def save(tx: Transaction, start: queue_pb2.Start, before: ExecutionState, transition: Transition) -> None:
    """Save a transition with its commands and events. Raises `StaleVersion` if somebody else saved one first."""
    id = before.start.id
    header = _header_row(str(id), transition.header)
    if before.header.version == 0:
        done = tx.connection.execute(_INSERT_OR_BEGIN, header | {"start": start.SerializeToString()})
    else:
        done = tx.connection.execute(
            _UPDATE_HEADER, header | {"row_id": str(id), "version_before": before.header.version}
        )
    if done.rowcount != 1:
        raise StaleVersion(f"execution {id}")
    if transition.nodes:
        tx.connection.execute(_UPSERT_NODE, [_node_row(str(id), node) for node in transition.nodes.values()])
    for command in transition.commands:
        tx.send(command_message(id, command))
    if transition.events:
        tx.send(event_message(id, transition))


def keep(tx: Transaction, start: queue_pb2.Start, state: ExecutionState) -> None:
    """Save an execution that was never saved, without a transition."""
    fresh = _header_row(str(state.start.id), state.header) | {"start": start.SerializeToString()}
    tx.connection.execute(upsert(executions).on_conflict_do_nothing(), fresh)


def park(tx: Transaction, id: ExecutionId, reason: str, evidence: str, at: datetime) -> None:
    """Take an execution out of service, with what is needed to understand why. Its rows stay as they are."""
    tx.connection.execute(
        update(executions)
        .where(executions.c.id == str(id))
        .values(parked_at=at, parked_reason=reason, parked_evidence=evidence)
    )


def forget(tx: Transaction, id: ExecutionId) -> bool:
    """Delete an execution that has ended, or do nothing when there is none; False when it has not ended."""
    is_terminal = tx.connection.execute(_IS_TERMINAL, {"row_id": str(id)}).scalar_one_or_none()
    if is_terminal:
        tx.connection.execute(delete(nodes).where(nodes.c.execution_id == str(id)))
        tx.connection.execute(delete(executions).where(executions.c.id == str(id)))
    return is_terminal is not False


def _header_row(id: str, header: Header) -> dict[str, Any]:
    return {
        "id": id,
        "version": header.version,
        "phase": header.phase.value,
        "is_terminal": header.is_terminal,
        "failure": _dump_failure(header.failure),
        "failed_node_id": header.failed_node_id,
        "abort_cause": header.abort_cause,
        "abort_principal": header.abort_principal,
        "started_at": header.started_at,
        "ended_at": header.ended_at,
        "decided_at": header.decided_at,
    }


def _node_row(execution_id: str, node: NodeState) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "id": node.id,
        "spec_id": node.spec_id,
        "scope": node.scope,
        "kind": node.kind.value,
        "phase": node.phase.value,
        "task_phase": node.task_phase.value,
        "task_phase_version": node.task_phase_version,
        "attempt": node.attempt,
        "user_failures": node.user_failures,
        "system_failures": node.system_failures,
        "removing": node.removing,
        "item": node.item,
        "is_waiting": node.is_waiting,
        "holds_slot": node.holds_slot,
        "size": node.size,
        "cache_status": node.cache_status,
        "is_reserved": node.is_reserved,
        "graph_uri": node.graph_uri,
        "child_name": node.child_name,
        "culprit_id": node.culprit_id,
        "queued_at": node.queued_at,
        "attempt_started_at": node.attempt_started_at,
        "started_at": node.started_at,
        "ended_at": node.ended_at,
        "inputs_uri": node.inputs_uri,
        "outputs_uri": node.outputs_uri,
        "deck_uri": node.deck_uri,
        "failure": _dump_failure(node.failure),
        "reason": node.reason,
    }


_UPDATE_HEADER = (
    update(executions)
    .where(executions.c.id == bindparam("row_id"), executions.c.version == bindparam("version_before"))
    .values({column.name: bindparam(column.name) for column in executions.c if column.name in _HEADER_COLUMNS})
)
_NODE_INSERT = upsert(nodes)
_BEGIN = upsert(executions)
_INSERT_OR_BEGIN = _BEGIN.on_conflict_do_update(
    index_elements=[executions.c.id],
    set_={name: _BEGIN.excluded[name] for name in sorted(_HEADER_COLUMNS)},
    where=executions.c.version == 0,  # it was parked before its first transition
)
_UPSERT_NODE = _NODE_INSERT.on_conflict_do_update(
    index_elements=[nodes.c.execution_id, nodes.c.id],
    set_={column.name: _NODE_INSERT.excluded[column.name] for column in nodes.c if not column.primary_key},
)


# Reading


_LOAD = select(executions).where(executions.c.id == bindparam("row_id"))
_LOAD_NODES = select(nodes).where(nodes.c.execution_id == bindparam("row_id"))
_VERSION = select(executions.c.version).where(executions.c.id == bindparam("row_id"))
_IS_TERMINAL = select(executions.c.is_terminal).where(executions.c.id == bindparam("row_id")).with_for_update()
_IN_SERVICE = select(executions.c.id).where(executions.c.is_terminal.is_(False), executions.c.parked_at.is_(None))
_ENDS = select(executions.c.id, executions.c.ended_at).where(executions.c.id.in_(bindparam("ids", expanding=True)))


def load(connection: Connection, id: ExecutionId, root_uri: str, settings: PropellerSettings) -> Execution | None:
    """The execution as saved last; None if it was never saved."""
    row = connection.execute(_LOAD, {"row_id": str(id)}).mappings().one_or_none()
    if row is None:
        return None
    start = queue_pb2.Start.FromString(row["start"])
    info = start_info(id, start, root_uri, settings)
    state = ExecutionState.load(info, _header(row), load_nodes(connection, id))
    return Execution(start, state, row["parked_at"] is not None)


def version(connection: Connection, id: ExecutionId) -> int:
    """The version of an execution as saved last; 0 if it was never saved."""
    return connection.execute(_VERSION, {"row_id": str(id)}).scalar_one_or_none() or 0


def in_service(connection: Connection) -> Sequence[ExecutionId]:
    """Every execution that has not ended and is not parked."""
    return [ExecutionId.parse(id) for id in connection.scalars(_IN_SERVICE)]


def ends(connection: Connection, ids: Sequence[str]) -> dict[str, datetime | None]:
    """When each of these executions ended, None while it has not; those that are not stored are left out."""
    return {id: utc(ended_at) for id, ended_at in connection.execute(_ENDS, {"ids": ids})}


def load_start(connection: Connection, id: ExecutionId) -> queue_pb2.Start | None:
    """The order that an execution was started with; None if it was never stored."""
    start = connection.execute(select(executions.c.start).where(executions.c.id == str(id))).scalar_one_or_none()
    return None if start is None else queue_pb2.Start.FromString(start)


def load_nodes(connection: Connection, id: ExecutionId) -> Iterator[NodeState]:
    """Every node that an execution has reached."""
    return map(node_state, connection.execute(_LOAD_NODES, {"row_id": str(id)}).mappings())


def _header(row: RowMapping) -> Header:
    return Header(
        phase=ExecutionPhase(row["phase"]),
        version=row["version"],
        failure=_load_failure(row["failure"]),
        failed_node_id=row["failed_node_id"],
        abort_cause=row["abort_cause"],
        abort_principal=row["abort_principal"],
        started_at=utc(row["started_at"]),
        ended_at=utc(row["ended_at"]),
        decided_at=utc(row["decided_at"]),
    )


def node_state(row: RowMapping) -> NodeState:
    """A row of `nodes`."""
    values: Mapping[str, Any] = {key: row[key] for key in row if key != "execution_id"}
    return NodeState(
        **{
            **values,
            "kind": NodeKind(row["kind"]),
            "phase": NodePhase(row["phase"]),
            "task_phase": TaskPhase(row["task_phase"]),
            "failure": _load_failure(row["failure"]),
            "queued_at": utc(row["queued_at"]),
            "attempt_started_at": utc(row["attempt_started_at"]),
            "started_at": utc(row["started_at"]),
            "ended_at": utc(row["ended_at"]),
        }
    )


def utc(at: datetime | None) -> datetime | None:
    """SQLite forgets the zone; every stored time is UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _dump_failure(failure: Failure | None) -> str | None:
    return None if failure is None else json.dumps(asdict(failure))


def _load_failure(text: str | None) -> Failure | None:
    if text is None:
        return None
    values = json.loads(text)
    return Failure(**(values | {"kind": FailureKind(values["kind"])}))
