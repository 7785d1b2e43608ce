"""Signals: made once, given values of their type, and the engine told of it in the same commit."""

from collections.abc import Callable
from typing import Any

import pytest
from sailplane_admin import events, executions, signals
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyTerminal, InvalidRequest
from sailplane_protos.admin import common_pb2, event_pb2, signal_pb2
from sailplane_protos.core import execution_pb2, identifier_pb2, literals_pb2, types_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.port import Transaction
from services.admin.execution_requests import create as execution
from services.admin.execution_requests import register, workflow_event
from sqlalchemy.exc import IntegrityError

BOOLEAN = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
EXECUTION = identifier_pb2.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name="x")


def id_of(name: str = "ok", execution: str = "x") -> identifier_pb2.SignalIdentifier:
    message = identifier_pb2.SignalIdentifier(signal_id=name)
    message.execution_id.CopyFrom(EXECUTION)
    message.execution_id.name = execution
    return message


def primitive(**value: Any) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(**value)))


def integer(value: int) -> literals_pb2.Literal:
    return primitive(integer=value)


async def create(ports: AdminPorts, name: str = "ok", declared: types_pb2.LiteralType = INTEGER) -> signal_pb2.Signal:
    return await signals.get_or_create(ports, signal_pb2.SignalGetOrCreateRequest(id=id_of(name), type=declared))


async def told(ports: AdminPorts) -> list[queue_pb2.SignalSet]:
    """What lies in the outbox for the engine."""
    messages = await ports.store.pending("executions")
    return [queue_pb2.ExecutionCommand.FromString(message.payload).signal_set for message in messages]


async def test_a_signal_is_made_once_and_keeps_its_type(ports: AdminPorts) -> None:
    first = await create(ports)
    again = await create(ports, declared=BOOLEAN)
    assert first == again
    assert again.type == INTEGER
    assert not again.HasField("value")


async def test_its_value_is_kept_replaced_and_told(ports: AdminPorts) -> None:
    await create(ports)
    for value in (3, 4):
        await signals.set_value(ports, signal_pb2.SignalSetRequest(id=id_of(), value=integer(value)))
    assert (await create(ports)).value == integer(4)
    assert [(one.signal_id, one.value) for one in await told(ports)] == [("ok", integer(3)), ("ok", integer(4))]


async def test_the_same_value_twice_is_told(ports: AdminPorts) -> None:
    await create(ports)
    for value in (3, 4, 3):
        await signals.set_value(ports, signal_pb2.SignalSetRequest(id=id_of(), value=integer(value)))
    assert (await create(ports)).value == integer(3)
    assert {one.signal_id for one in await told(ports)} == {"ok"}


async def test_an_ended_execution_takes_no_more_values(ports: AdminPorts) -> None:
    await register(ports)
    await executions.create(ports, execution())
    await create(ports)
    await signals.set_value(ports, signal_pb2.SignalSetRequest(id=id_of(), value=integer(3)))
    failed = workflow_event(execution_pb2.WorkflowExecution.FAILED, second=1)
    await events.create_workflow_event(ports, event_pb2.WorkflowExecutionEventRequest(event=failed))
    before = await ports.store.pending("executions")
    with pytest.raises(AlreadyTerminal, match="FAILED"):
        await signals.set_value(ports, signal_pb2.SignalSetRequest(id=id_of(), value=integer(4)))
    assert (await create(ports)).value == integer(3)
    assert await ports.store.pending("executions") == before


async def test_who_makes_a_signal_a_moment_later_gets_the_one_that_is_there(
    ports: AdminPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, times = ports.store.write, iter((True, False))

    async def too_late(change: Callable[[Transaction], Any]) -> Any:
        if next(times):
            await write(change)
            raise IntegrityError("INSERT", None, Exception("UNIQUE"))
        return await write(change)

    monkeypatch.setattr(ports.store, "write", too_late)
    assert (await create(ports)).id == id_of()


async def test_an_optional_signal_takes_none(ports: AdminPorts) -> None:
    optional = types_pb2.LiteralType()
    optional.union_type.variants.add(simple=types_pb2.INTEGER)
    optional.union_type.variants.add(simple=types_pb2.NONE)
    await create(ports, declared=optional)
    none = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    await signals.set_value(ports, signal_pb2.SignalSetRequest(id=id_of(), value=none))
    assert (await create(ports)).value == none


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (signal_pb2.SignalSetRequest(id=id_of("never"), value=integer(1)), "never"),
        (signal_pb2.SignalSetRequest(id=id_of(execution="other"), value=integer(1)), "other"),
        (signal_pb2.SignalSetRequest(id=id_of()), "value"),
        (signal_pb2.SignalSetRequest(value=integer(1)), "execution_id"),
        (signal_pb2.SignalSetRequest(id=id_of(""), value=integer(1)), "signal_id"),
        (
            signal_pb2.SignalSetRequest(id=id_of(), value=primitive(boolean=True)),
            "value",
        ),
    ],
)
async def test_a_value_that_cannot_be_is_refused_and_nobody_is_told(
    ports: AdminPorts, request_: signal_pb2.SignalSetRequest, field: str
) -> None:
    await create(ports)
    with pytest.raises(InvalidRequest, match=field):
        await signals.set_value(ports, request_)
    assert await told(ports) == []
    assert not (await create(ports)).HasField("value")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (signal_pb2.SignalGetOrCreateRequest(id=id_of()), "type"),
        (signal_pb2.SignalGetOrCreateRequest(type=INTEGER), "execution_id"),
        (signal_pb2.SignalGetOrCreateRequest(id=id_of("s" * 256), type=INTEGER), "signal_id"),
    ],
)
async def test_a_signal_that_cannot_be_is_not_made(
    ports: AdminPorts, request_: signal_pb2.SignalGetOrCreateRequest, field: str
) -> None:
    with pytest.raises(InvalidRequest, match=field):
        await signals.get_or_create(ports, request_)


async def test_the_signals_of_an_execution_are_listed_in_pages(ports: AdminPorts, clock: ManualClock) -> None:
    for name in ("a", "b", "c"):
        await create(ports, name)
    await signals.get_or_create(ports, signal_pb2.SignalGetOrCreateRequest(id=id_of("a", "other"), type=INTEGER))
    request = signal_pb2.SignalListRequest(workflow_execution_id=EXECUTION, limit=2)
    first = await signals.list_signals(ports, request)
    request.token = first.token
    second = await signals.list_signals(ports, request)
    names = [one.id.signal_id for one in (*first.signals, *second.signals)]
    assert sorted(names) == ["a", "b", "c"]
    assert second.token == ""
    only = signal_pb2.SignalListRequest(workflow_execution_id=EXECUTION, limit=9, filters="eq(signal_id,b)")
    assert [one.id.signal_id for one in (await signals.list_signals(ports, only)).signals] == ["b"]
    given = signal_pb2.SignalSetRequest(id=id_of("b"), value=integer(1))
    clock.advance(1)
    await signals.set_value(ports, given)
    latest = signal_pb2.SignalListRequest(workflow_execution_id=EXECUTION, limit=9)
    latest.sort_by.key, latest.sort_by.direction = "updated_at", common_pb2.Sort.DESCENDING
    assert (await signals.list_signals(ports, latest)).signals[0].id.signal_id == "b"
    with pytest.raises(InvalidRequest, match="limit"):
        await signals.list_signals(ports, signal_pb2.SignalListRequest(workflow_execution_id=EXECUTION))
