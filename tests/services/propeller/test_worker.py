"""What the worker promises: saved before handed out, nothing lost over a restart, a bad execution bothers no other."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, cast

import pytest
from sailplane_core.errors import Unavailable
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import GraphBuilt, LaunchFailed, LaunchPod, PodRemoved, RemovePod, Started, TaskEnded
from sailplane_core.phases import ExecutionPhase, NodePhase
from sailplane_core.ports import Delivery, Message
from sailplane_propeller import advance, records
from sailplane_propeller.live import Live
from sailplane_propeller.ports import AdminPort, PropellerPorts
from sailplane_propeller.worker import EXECUTIONS_TOPIC
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.port import Transaction
from services.propeller.conftest import Shelf, X, abort_message, engine, start_message, until
from sqlalchemy import text

T = TypeVar("T")


async def stored(ports: PropellerPorts, id: ExecutionId = X) -> records.Execution:
    found = await ports.store.read(lambda connection: records.load(connection, id, "file:///blobs", ports.settings))
    assert found is not None
    return found


async def test_a_start_is_saved_and_acknowledged_and_its_commands_handed_out(ports: PropellerPorts) -> None:
    confirmations = ports.queue.confirmed(EXECUTIONS_TOPIC)
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: running.handed == [("x", LaunchPod("a", 0))])
    found = await stored(ports)
    assert found.state.header.phase is ExecutionPhase.RUNNING
    assert found.state.nodes["a"].phase is NodePhase.QUEUED
    assert list(await anext(confirmations)) == [f"start:{X}"]
    intake.cancel()


async def test_a_start_that_comes_twice_starts_once(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    intake.cancel()
    confirmations = ports.queue.confirmed(EXECUTIONS_TOPIC)
    again = engine(ports)
    again_intake = asyncio.create_task(again.worker.run())
    await ports.queue.publish([start_message()])
    version = (await stored(ports)).state.header.version
    assert await anext(confirmations)
    assert (await stored(ports)).state.header.version == version
    assert again.handed == running.handed  # what nobody has confirmed is done again, which is the same by its name
    again_intake.cancel()


async def test_the_graph_of_an_attempt_that_is_over_is_not_asked_for(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    running.worker.post(X, GraphBuilt("a", 7, "file:///blobs/gone.pb", ""))
    running.worker.post(X, TaskEnded("a", 0, None))
    await until(lambda: ("x", LaunchPod("b", 0)) in running.handed)
    intake.cancel()


async def test_nothing_is_handed_out_before_it_is_saved(ports: PropellerPorts) -> None:
    running = engine(ports)
    saved_first: list[bool] = []
    hand_out = running.hand_out

    def check(live, commands) -> None:
        if commands:
            saved_first.append(live.definition.state.header.version > 0)
        hand_out(live, commands)

    running.worker.hand_out = check
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(saved_first))
    running.worker.post(X, TaskEnded("a", 0, None))
    await until(lambda: len(running.handed) == 2)
    assert saved_first == [True, True]
    assert len(await ports.store.pending(records.COMMANDS_TOPIC)) == 2
    intake.cancel()


async def test_a_restart_hands_out_what_was_decided_but_not_confirmed(ports: PropellerPorts) -> None:
    first = engine(ports)
    intake = asyncio.create_task(first.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(first.handed))
    intake.cancel()
    second = engine(ports)
    await second.worker.recover()
    await until(lambda: second.handed == [("x", LaunchPod("a", 0))])
    second.worker.post(X, TaskEnded("a", 0, None))
    await until(lambda: ("x", LaunchPod("b", 0)) in second.handed)


async def test_commands_of_a_commit_that_was_said_to_have_failed_are_handed_out(
    ports: PropellerPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, fail = ports.store.write, iter([True])

    async def write_and_fail_once(change: Callable[[Transaction], T]) -> T:
        done = await write(change)
        if next(fail, False):
            raise Unavailable("the store, after the commit")
        return done

    monkeypatch.setattr(ports.store, "write", write_and_fail_once)
    running, clock = engine(ports), cast("ManualClock", ports.clock)
    asleep = clock.sleepers
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: clock.sleepers == asleep + 2)  # the claim's timer and the worker
    clock.advance(ports.settings.retry_delay_s)
    await until(lambda: running.handed == [("x", LaunchPod("a", 0))])
    intake.cancel()


async def test_a_command_is_confirmed_only_when_what_it_led_to_is_saved(
    ports: PropellerPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    intake.cancel()
    id = records.command_id(X, LaunchPod("a", 0))
    confirm, version_then = ports.store.confirm, list[int]()

    async def watched(ids: Sequence[str]) -> None:
        version_then.append((await stored(ports)).state.header.version)
        await confirm(ids)

    monkeypatch.setattr(ports.store, "confirm", watched)
    before = (await stored(ports)).state.header.version
    failure = Failure("BadTaskFormat", "no", FailureKind.USER, retryable=False)
    running.worker.post(X, LaunchFailed("a", 0, failure), id)
    await until(lambda: bool(version_then))
    assert version_then == [before + 1]
    assert id not in [message.id for message in await ports.store.pending(records.COMMANDS_TOPIC)]


async def test_confirmed_commands_are_not_handed_out_again(ports: PropellerPorts) -> None:
    first = engine(ports)
    first.worker.live(X)
    intake = asyncio.create_task(first.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(first.handed))
    await ports.store.confirm([records.command_id(X, LaunchPod("a", 0))])
    await ports.store.write(lambda tx: None)
    intake.cancel()
    second = engine(ports)
    await second.worker.recover()
    await until(lambda: second.worker.live(X).loaded is not None)
    assert second.handed == []


async def test_what_another_has_decided_is_told_and_done_before_more_is_decided(ports: PropellerPorts) -> None:
    one, other = engine(ports), engine(ports)
    intake = asyncio.create_task(one.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(one.handed))
    other.worker.post(X, TaskEnded("a", 0, None))
    await until(lambda: ("x", LaunchPod("b", 0)) in other.handed)
    recalled: list[tuple[str, int]] = []

    async def recall(key: str) -> None:
        recalled.append((key, (await stored(ports)).state.header.version))

    one.worker.recall_events = recall
    version = (await stored(ports)).state.header.version
    one.worker.post(X, TaskEnded("b", 0, None))
    await until(lambda: (now := one.worker.live(X).loaded) is not None and now.state.header.version > version)
    assert recalled == [(str(X), version)]
    assert ("x", LaunchPod("b", 0)) in one.handed
    intake.cancel()


async def test_what_arrives_during_a_save_is_evaluated_together(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message(workflow="wide")])
    await until(lambda: len(running.handed) == 50)
    version = running.worker.live(X).definition.state.header.version
    for index in range(50):
        running.worker.post(X, TaskEnded(f"n{index}", 0, None))
    state = running.worker.live(X).definition.state
    await until(lambda: state.header.phase is ExecutionPhase.SUCCEEDING)
    assert state.header.version - version <= 3
    intake.cancel()


async def test_an_abort_removes_the_pods_of_active_nodes(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    await ports.queue.publish([abort_message()])
    await until(lambda: ("x", RemovePod("a", 0)) in running.handed)
    intake.cancel()


async def test_a_broken_invariant_parks_one_execution_with_its_evidence(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    y = ExecutionId("p", "development", "y")
    await ports.queue.publish([start_message(), start_message(y)])
    await until(lambda: len(running.handed) == 2)
    del running.worker.live(X).definition.plan.primary.nodes["b"]  # type: ignore[attr-defined]
    running.worker.post(X, TaskEnded("a", 0, None))
    running.worker.post(y, Started())
    running.worker.post(y, TaskEnded("ghost", 0, None))
    async with asyncio.timeout(5):
        while not (found := await stored(ports)).is_parked:
            await asyncio.sleep(0.001)
    assert found.state.nodes["a"].phase is NodePhase.QUEUED
    intake.cancel()


async def test_an_execution_that_cannot_be_taken_up_again_is_parked_where_one_sees_it(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    intake.cancel()
    again = engine(replace(ports, admin=cast("AdminPort", Shelf({}))))
    await again.worker.recover()
    async with asyncio.timeout(5):
        while not (found := await stored(ports)).is_parked:
            await asyncio.sleep(0.001)
    assert found.state.nodes["a"].phase is NodePhase.QUEUED
    assert again.handed == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE nodes SET kind = 'zzz'",
        "UPDATE nodes SET phase = 99",
        "UPDATE executions SET start = x'ffff00'",
        "UPDATE executions SET start = x''",
        "UPDATE executions SET failure = '{not json'",
        "UPDATE executions SET phase = 77",
    ],
)
async def test_an_execution_that_cannot_be_read_can_be_aborted(ports: PropellerPorts, damage: str) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    intake.cancel()
    await ports.store.write(lambda tx: tx.connection.execute(text(damage)))
    again = engine(ports)
    intake = asyncio.create_task(again.worker.run())
    await again.worker.recover()
    await ports.queue.publish([abort_message()])
    header = text("SELECT phase, is_terminal FROM executions")
    async with asyncio.timeout(60):  # the evidence is long, and slow to print
        while await ports.store.read(lambda connection: tuple(connection.execute(header).one())) != (7, 1):
            await asyncio.sleep(0.001)
    told = queue_pb2.EventBatch.FromString((await ports.store.pending(records.EVENTS_TOPIC))[-1].payload)
    assert told.events[-1].workflow.phase == ExecutionPhase.ABORTED
    intake.cancel()


async def test_a_parked_execution_can_be_aborted(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    del running.worker.live(X).definition.plan.primary.nodes["b"]  # type: ignore[attr-defined]
    running.worker.post(X, TaskEnded("a", 0, None))
    async with asyncio.timeout(5):
        while not (await stored(ports)).is_parked:
            await asyncio.sleep(0.001)
    await ports.queue.publish([abort_message()])
    await until(lambda: ("x", RemovePod("a", 0)) in running.handed)
    found = await stored(ports)
    assert found.state.header.phase is ExecutionPhase.ABORTED
    told = [
        queue_pb2.EventBatch.FromString(message.payload) for message in await ports.store.pending(records.EVENTS_TOPIC)
    ]
    *nodes, end = told[-1].events
    assert [(event.node.id.node_id, event.node.phase) for event in nodes] == [("a", NodePhase.ABORTED)]
    assert end.workflow.phase == ExecutionPhase.ABORTED
    intake.cancel()
    again = engine(ports)
    await again.worker.recover()
    await until(lambda: again.handed == [("x", RemovePod("a", 0))])  # was not done yet


async def test_what_is_parked_before_its_first_transition_can_be_aborted(
    ports: PropellerPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("nothing can be made of it")

    running = engine(ports)
    confirmations = ports.queue.confirmed(EXECUTIONS_TOPIC)
    intake = asyncio.create_task(running.worker.run())
    with monkeypatch.context() as patched:
        patched.setattr(advance, "evaluate", broken)
        await ports.queue.publish([start_message()])
        async with asyncio.timeout(5):
            while not await ports.store.read(lambda db: db.execute(text("SELECT parked_at FROM executions")).scalar()):
                await asyncio.sleep(0.001)
    await ports.queue.publish([abort_message()])
    async with asyncio.timeout(5):
        while f"abort:{X}" not in await anext(confirmations):
            pass
    assert (await stored(ports)).state.header.phase is ExecutionPhase.ABORTED
    [told] = await ports.store.pending(records.EVENTS_TOPIC)
    assert queue_pb2.EventBatch.FromString(told.payload).events[-1].workflow.phase == ExecutionPhase.ABORTED
    intake.cancel()


async def test_an_execution_that_never_started_can_be_aborted_and_then_never_starts(ports: PropellerPorts) -> None:
    for _ in range(2):
        running = engine(ports)
        confirmations = ports.queue.confirmed(EXECUTIONS_TOPIC)
        intake = asyncio.create_task(running.worker.run())
        await ports.queue.publish([abort_message()])
        assert list(await anext(confirmations)) == [f"abort:{X}"]
        await ports.queue.publish([start_message()])
        assert list(await anext(confirmations)) == [f"start:{X}"]
        intake.cancel()
        assert running.handed == []
        found = await stored(ports)
        assert (found.state.header.phase, found.state.header.abort_cause) == (ExecutionPhase.ABORTED, "enough")
        assert not found.is_parked
        [told] = await ports.store.pending(records.EVENTS_TOPIC)
        [event] = queue_pb2.EventBatch.FromString(told.payload).events
        assert (event.workflow.phase, event.workflow.error.message) == (ExecutionPhase.ABORTED, "enough")


async def test_commands_that_wait_for_nodes_that_have_ended_are_confirmed(ports: PropellerPorts) -> None:
    running = engine(ports)
    told: list[str] = []

    def ended(live: Live, node_ids: Sequence[str]) -> set[str]:
        told.extend(node_ids)
        return {records.command_id(live.id, LaunchPod("a", 0))} if "a" in node_ids else set()

    running.worker.ended = ended
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    assert told == ["start-node"]
    running.worker.post(X, TaskEnded("a", 0, None))
    async with asyncio.timeout(5):
        while [records.read_command(one) for one in await ports.store.pending(records.COMMANDS_TOPIC)] != [
            LaunchPod("b", 0)
        ]:
            await asyncio.sleep(0.001)
    assert told == ["start-node", "a"]
    intake.cancel()


async def test_an_order_that_nobody_understands_ends_as_a_dead_letter(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    garbage = start_message()
    await ports.queue.publish([type(garbage)(EXECUTIONS_TOPIC, "k", "id", b"\xff\xff\xff")])
    async with asyncio.timeout(5):
        while not await ports.queue.dead_letters(EXECUTIONS_TOPIC):
            await asyncio.sleep(0.001)
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    intake.cancel()


async def test_events_lie_in_the_outbox_in_the_same_commit(ports: PropellerPorts) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    [message] = await ports.store.pending(records.EVENTS_TOPIC)
    batch = queue_pb2.EventBatch.FromString(message.payload)
    assert ExecutionId.of(batch.execution_id) == X
    assert batch.events[0].workflow.phase == ExecutionPhase.RUNNING
    assert message.id == f"{X}@1"
    intake.cancel()


def forget_message(id: ExecutionId = X) -> Message:
    """Admin's order to forget."""
    order = queue_pb2.ExecutionCommand(execution_id=id.to_message(), forget=queue_pb2.Forget())
    return Message(EXECUTIONS_TOPIC, str(id), f"forget:{id}", order.SerializeToString())


async def stored_phase(ports: PropellerPorts) -> ExecutionPhase | None:
    found = await ports.store.read(lambda connection: records.load(connection, X, "file:///blobs", ports.settings))
    return found and found.state.header.phase


async def test_what_has_ended_is_forgotten_with_its_pods_when_admin_says_so(ports: PropellerPorts) -> None:
    running = engine(ports)
    confirmations = ports.queue.confirmed(EXECUTIONS_TOPIC)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    await ports.queue.publish([forget_message()])
    told = [*await anext(confirmations), *await anext(confirmations)]
    assert told == [f"start:{X}", f"forget:{X}"]
    assert (await stored(ports)).state.nodes  # it has not ended
    await ports.queue.publish([abort_message()])
    assert list(await anext(confirmations)) == [f"abort:{X}"]
    running.worker.post(X, PodRemoved("a", 0))
    async with asyncio.timeout(5):
        while not (await stored(ports)).state.header.is_terminal:
            await asyncio.sleep(0.001)
    cleared: list[ExecutionId] = []

    async def clear(id: ExecutionId) -> None:
        cleared.append(id)
        if len(cleared) == 1:
            raise Unavailable("the launcher")

    running.worker.clear_pods = clear
    clock = cast("ManualClock", ports.clock)
    asleep = clock.sleepers
    for turn in range(2):  # in the second there are no rows
        await ports.queue.publish([forget_message()])
        if turn == 0:
            await until(lambda: clock.sleepers > asleep)
            assert cleared == [X]
            clock.advance(ports.settings.retry_delay_s)
        assert list(await anext(confirmations)) == [f"forget:{X}"]
        assert await stored_phase(ports) is None
        assert cleared == [X] * (turn + 2)
    intake.cancel()


async def test_what_takes_a_forgotten_name_starts_afresh(ports: PropellerPorts) -> None:
    running = engine(ports)
    confirmations = ports.queue.confirmed(EXECUTIONS_TOPIC)
    intake = asyncio.create_task(running.worker.run())
    for message in (abort_message(), forget_message(), start_message()):
        await ports.queue.publish([message])
        await anext(confirmations)
    await until(lambda: running.handed == [("x", LaunchPod("a", 0))])
    intake.cancel()


async def test_a_successor_in_name_that_comes_at_once_meets_nothing_of_what_was_forgotten(
    ports: PropellerPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = engine(ports)
    confirmations = ports.queue.confirmed(EXECUTIONS_TOPIC)
    intake = asyncio.create_task(running.worker.run())
    for message in (start_message(), abort_message()):
        await ports.queue.publish([message])
        await anext(confirmations)
    running.worker.post(X, PodRemoved("a", 0))
    async with asyncio.timeout(5):
        while not (await stored(ports)).state.header.is_terminal:
            await asyncio.sleep(0.001)
    ack = ports.queue.ack

    async def ack_and_start(deliveries: Sequence[Delivery]) -> None:
        """What admin starts as soon as it knows of the confirmation is there before the worker looks again."""
        monkeypatch.undo()
        await ack(deliveries)
        await ports.queue.publish([start_message()])
        await until(lambda: bool(running.worker.live(X).inbox))

    monkeypatch.setattr(ports.queue, "ack", ack_and_start)
    await ports.queue.publish([abort_message(), forget_message()])  # the first brings the old state into memory
    async with asyncio.timeout(5):
        while await stored_phase(ports) is not ExecutionPhase.RUNNING:
            await asyncio.sleep(0.001)
    intake.cancel()
