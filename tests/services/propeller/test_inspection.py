"""What operators are told, and what the sweeper finds."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import TaskEnded
from sailplane_core.phases import ExecutionPhase
from sailplane_core.ports import PodLauncher, PodPhase, PodStatus
from sailplane_propeller.inputs import Literals
from sailplane_propeller.inspection import Inspection
from sailplane_propeller.live import Live
from sailplane_propeller.pods import PodNames
from sailplane_propeller.ports import PropellerPorts, PropellerSettings
from sailplane_propeller.sweeper import Sweeper
from sailplane_propeller.watch import Watcher
from sailplane_protos.propeller import service_pb2
from services.propeller.conftest import NOON, Engine, X, engine, start_message
from services.propeller.test_worker import until
from sqlalchemy import text


@pytest.fixture
async def started(ports: PropellerPorts) -> Engine:
    """With `x` started."""
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    intake.cancel()
    return running


async def test_the_state_of_an_execution_with_its_pending_commands(started: Engine) -> None:
    inspection = Inspection(started.ports)
    answer = await inspection.GetExecutionState(service_pb2.GetExecutionStateRequest(id=X.to_message()), None)
    assert (answer.phase, answer.version) == (ExecutionPhase.RUNNING, 1)
    assert [(node.node_id, node.phase, node.pod_name) for node in answer.nodes] == [
        ("a", "QUEUED", "x-a-0"),
        ("start-node", "SUCCEEDED", ""),
    ]
    assert [(command.kind, command.node_id, command.attempt) for command in answer.commands] == [("LaunchPod", "a", 0)]


async def test_a_row_that_makes_no_sense_is_told_of_beside_the_others(started: Engine) -> None:
    spoil = text("UPDATE nodes SET kind = 'bogus' WHERE id = 'a'")
    await started.ports.store.write(lambda tx: tx.connection.execute(spoil))
    request = service_pb2.GetExecutionStateRequest(id=X.to_message())
    answer = await Inspection(started.ports).GetExecutionState(request, None)
    assert [(node.node_id, node.phase) for node in answer.nodes] == [("a", "UNREADABLE"), ("start-node", "SUCCEEDED")]
    assert "bogus" in answer.nodes[0].error.message


@pytest.mark.parametrize("name", ["performers_max", "array_items_at_once_max", "retry_delay_s"])
def test_no_engine_begins_that_could_run_nothing(name: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        PropellerSettings(**{name: 0})


async def test_nodes_come_in_pages(started: Engine) -> None:
    inspection = Inspection(started.ports)
    request = service_pb2.GetExecutionStateRequest(id=X.to_message(), limit=1)
    first = await inspection.GetExecutionState(request, None)
    request.token = first.token
    second = await inspection.GetExecutionState(request, None)
    assert [node.node_id for node in (*first.nodes, *second.nodes)] == ["a", "start-node"]
    assert (second.token, list(second.commands)) == ("", [])


async def test_bad_questions_are_refused(started: Engine) -> None:
    inspection = Inspection(started.ports)
    ghost = ExecutionId("p", "development", "ghost").to_message()
    with pytest.raises(NotFound):
        await inspection.GetExecutionState(service_pb2.GetExecutionStateRequest(id=ghost), None)
    with pytest.raises(InvalidRequest, match=r"id\.project"):
        await inspection.GetExecutionState(service_pb2.GetExecutionStateRequest(), None)
    for token in ("%%%", "é", "x"):
        with pytest.raises(InvalidRequest, match="token"):
            await inspection.ListParked(service_pb2.ListParkedRequest(token=token), None)


async def test_parked_executions_are_listed_with_their_evidence(started: Engine) -> None:
    worker = started.worker
    cast("dict[str, Any]", worker.live(X).definition.plan.primary.nodes).pop("b")
    worker.post(X, TaskEnded("a", 0, None))
    inspection = Inspection(started.ports)
    async with asyncio.timeout(5):
        while not (answer := await inspection.ListParked(service_pb2.ListParkedRequest(), None)).parked:
            await asyncio.sleep(0.001)
    [parked] = answer.parked
    assert ExecutionId.of(parked.id) == X
    assert "TaskEnded" in parked.evidence
    assert not (await inspection.ListParked(service_pb2.ListParkedRequest(project="other"), None)).parked
    state = await inspection.GetExecutionState(service_pb2.GetExecutionStateRequest(id=X.to_message()), None)
    assert state.parked.reason == parked.reason


class Removals:
    """A launcher that only writes down what is removed."""

    def __init__(self) -> None:
        self.removed: list[str] = []
        self.logs_read: list[str] = []

    async def remove(self, namespace: str, name: str) -> None:
        """Write down."""
        self.removed.append(name)

    async def log(self, namespace: str, name: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        """Nobody writes anything here."""
        self.logs_read.append(name)
        return
        yield b""


def sweeper_of(started: Engine, launcher: Removals, **settings: Any) -> tuple[Sweeper, Watcher]:
    settled = replace(started.ports.settings, **settings)
    ports = replace(started.ports, launcher=cast("PodLauncher", launcher), settings=settled)
    names = PodNames()
    for live in started.worker.in_service():
        names.enter(live)
    literals = Literals(ports.blobs)
    watcher = Watcher(ports, names, literals, started.worker.live, started.worker.post)
    return Sweeper(ports, watcher, started.worker.in_service, started.worker.post), watcher


def status(name: str, execution: str) -> PodStatus:
    labels = {"project": "p", "domain": "development", "execution-id": execution}
    return PodStatus(name, "p-development", PodPhase.RUNNING, labels)


async def test_a_pod_that_nobody_knows_is_missing_after_two_looks(started: Engine, monkeypatch: Any) -> None:
    sweeper, watcher = sweeper_of(started, Removals())
    seen: list[PodStatus] = []
    monkeypatch.setattr(watcher, "take", seen.append)
    await sweeper.sweep()
    assert seen == []
    await sweeper.sweep()
    assert [(one.name, one.phase) for one in seen] == [("x-a-0", PodPhase.MISSING)]


async def test_a_pod_that_went_before_anybody_knew_its_attempt_is_missed(started: Engine, monkeypatch: Any) -> None:
    nobody_knows = Watcher(
        started.ports, PodNames(), Literals(started.ports.blobs), started.worker.live, started.worker.post
    )
    sweeper = Sweeper(started.ports, nobody_knows, started.worker.in_service, started.worker.post)
    nobody_knows.take(status("x-a-0", "x"))
    nobody_knows.take(PodStatus("x-a-0", "p-development", PodPhase.MISSING))
    seen: list[PodStatus] = []
    monkeypatch.setattr(nobody_knows, "take", seen.append)
    await sweeper.sweep()
    await sweeper.sweep()
    assert [(one.name, one.phase) for one in seen] == [("x-a-0", PodPhase.MISSING)]


async def test_a_pod_whose_command_is_under_way_is_not_missed(started: Engine, monkeypatch: Any) -> None:
    sweeper, watcher = sweeper_of(started, Removals())
    seen: list[PodStatus] = []
    monkeypatch.setattr(watcher, "take", seen.append)
    live: Live = started.worker.live(X)
    live.chains["a"] = asyncio.create_task(asyncio.sleep(0))
    await sweeper.sweep()
    await sweeper.sweep()
    assert seen == []


async def test_pods_of_executions_that_nobody_knows_are_removed(started: Engine) -> None:
    launcher = Removals()
    sweeper, watcher = sweeper_of(started, launcher)
    watcher.take(status("x-a-0", "x"))
    watcher.take(status("ghost-a-0", "ghost"))
    await sweeper.sweep()
    assert launcher.removed == ["ghost-a-0"]
    assert launcher.logs_read == []  # kept logs would never be deleted


async def test_the_pods_of_what_was_forgotten_are_removed_without_their_logs(started: Engine) -> None:
    launcher = Removals()
    sweeper, watcher = sweeper_of(started, launcher)
    for name, execution in (("x-a-0", "x"), ("x2-a-0", "x2"), ("x-a-1", "x")):
        watcher.take(status(name, execution))
    await sweeper.clear(X)
    assert (launcher.removed, launcher.logs_read) == (["x-a-0", "x-a-1"], [])
    assert [name for _, name in watcher.latest] == ["x2-a-0"]


async def test_a_pod_that_runs_for_no_attempt_is_removed_at_the_second_look(started: Engine) -> None:
    launcher = Removals()
    sweeper, watcher = sweeper_of(started, launcher)
    watcher.take(status("x-a-0", "x"))
    watcher.take(status("x-a-7", "x"))
    await sweeper.sweep()
    assert launcher.removed == []
    await sweeper.sweep()
    assert launcher.removed == ["x-a-7"]


def ended_pod(name: str, execution: str, second: int) -> PodStatus:
    return replace(status(name, execution), phase=PodPhase.SUCCEEDED, since=NOON + timedelta(seconds=second))


async def test_beyond_the_number_that_is_kept_the_pods_that_ended_first_are_removed(started: Engine) -> None:
    launcher = Removals()
    sweeper, watcher = sweeper_of(started, launcher, pods_kept_max=3)
    watcher.latest = {
        ("p-development", one.name): one
        for one in [
            ended_pod("x-a-0", "x", 0),  # of the attempt under way: its outcome may not be saved yet
            ended_pod("x-d-0", "x", 4),
            ended_pod("x-c-0", "x", 3),
            ended_pod("x-e-0", "x", 5),
        ]
    }
    await sweeper.sweep()
    assert launcher.removed == ["x-c-0"]
    await sweeper.sweep()
    assert launcher.removed == ["x-c-0"]


async def test_pods_of_executions_that_are_not_at_hand_are_kept(started: Engine) -> None:
    launcher = Removals()
    sweeper, watcher = sweeper_of(started, launcher, pods_kept_max=0)
    watcher.latest = {("p-development", "x-c-0"): ended_pod("x-c-0", "x", 3)}
    started.worker.live(X).loaded = None
    await sweeper.sweep()
    assert launcher.removed == []
