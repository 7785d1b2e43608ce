"""Many commands and few places: none of them is kept by whoever waits."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from core.machine.world import compiled, workflow_id
from sailplane_core.errors import Malfunction, Unavailable
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import (
    CacheLookedUp,
    ExecutionState,
    LookUpCache,
    NodeKind,
    NodeState,
    Observation,
    PodRemoved,
    RemovePod,
)
from sailplane_core.phases import NodePhase
from sailplane_core.plan import Plan
from sailplane_propeller import perform, records, retry
from sailplane_propeller.inputs import Literals
from sailplane_propeller.live import Definition, Live
from sailplane_propeller.logs import Logs
from sailplane_propeller.perform import Performers
from sailplane_propeller.pods import PodNames
from sailplane_propeller.ports import PropellerPorts, PropellerSettings
from sailplane_propeller.timers import Timers
from sailplane_propeller.tools import Tools
from sailplane_protos.core import catalog_pb2, compiler_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.clock import ManualClock
from services.propeller.conftest import X, engine
from structlog.testing import capture_logs

Y = ExecutionId("p", "development", "y")


class Launcher:
    """Removes the Pods of `y`; those of `x` nobody can reach."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def remove(self, namespace: str, name: str) -> None:
        """As told."""
        self.asked.append(name)
        if name.startswith("x-"):
            raise Unavailable("the Pod's machine")


async def test_a_command_that_waits_keeps_no_other_from_being_done(ports: PropellerPorts) -> None:
    launcher, posted = Launcher(), asyncio.Queue[tuple[ExecutionId, Observation]]()
    ports = replace(ports, launcher=cast("Any", launcher), settings=PropellerSettings(performers_max=1))
    tools = Tools(ports, Literals(ports.blobs), PodNames(), Logs(ports))
    performers = Performers(
        tools,
        Timers(ports.clock, lambda id, seen, command_id: None),
        lambda id, seen, command_id: posted.put_nowait((id, seen)),
        ports.store.confirm,
        lambda live: None,
    )
    stuck, fine = Live(X), Live(Y)
    performers.hand_out(stuck, [RemovePod("a", 0)])
    performers.hand_out(fine, [RemovePod("a", 0)])
    async with asyncio.timeout(5):
        assert await posted.get() == (Y, PodRemoved("a", 0))
    assert launcher.asked == ["x-a-0", "y-a-0"]
    await performers.close([stuck, fine])


async def test_of_many_commands_those_of_the_most_urgent_execution_come_first(ports: PropellerPorts) -> None:
    launcher, posted = Launcher(), asyncio.Queue[tuple[ExecutionId, Observation]]()
    ports = replace(ports, launcher=cast("Any", launcher), settings=PropellerSettings(performers_max=1))
    performers = Performers(
        Tools(ports, Literals(ports.blobs), PodNames(), Logs(ports)),
        Timers(ports.clock, lambda id, seen, command_id: None),
        lambda id, seen, command_id: posted.put_nowait((id, seen)),
        ports.store.confirm,
        lambda live: None,
    )
    low, usual, high = (Live(ExecutionId("p", "development", name)) for name in ("low", "usual", "high"))
    for live, budget_s in ((low, 3600), (high, 0)):
        start = queue_pb2.Start(queueing_budget={"seconds": budget_s})
        live.loaded = Definition(start, cast("Any", None), cast("Any", None))
    for live in (low, usual, high):
        performers.hand_out(live, [RemovePod("a", 0), RemovePod("b", 0)])
    async with asyncio.timeout(5):
        first, *rest = [(await posted.get())[0].name for _ in range(6)]
    assert first == "low"  # nobody else had asked yet
    assert rest == ["high", "high", "usual", "usual", "low"]


async def test_a_service_that_fails_by_its_own_fault_is_not_asked_for_ever(
    ports: PropellerPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, posted = list[str](), asyncio.Queue[Observation]()

    async def fail(tools: Tools, live: Live, node: NodeState) -> Observation | None:
        asked.append(node.id)
        raise Malfunction("the catalog")

    monkeypatch.setitem(cast("dict[Any, Any]", perform.HANDS), LookUpCache, fail)
    clock = cast("ManualClock", ports.clock)
    start = queue_pb2.Start(workflow_id=workflow_id("chain").to_message())
    state = ExecutionState(records.start_info(X, start, "file:///blobs", ports.settings))
    state.replace(NodeState("a", "a", "", NodeKind.TASK, phase=NodePhase.QUEUED))
    closure = compiler_pb2.CompiledWorkflowClosure(primary=compiled("chain", {"a": []}))
    live = Live(X, loaded=Definition(start, state, Plan(closure)))
    performers = Performers(
        Tools(ports, Literals(ports.blobs), PodNames(), Logs(ports)),
        Timers(clock, lambda id, seen, command_id: None),
        lambda id, seen, command_id: posted.put_nowait(seen),
        ports.store.confirm,
        lambda live: None,
    )
    performers.hand_out(live, [LookUpCache("a", 0)])
    async with asyncio.timeout(30):  # each try writes a traceback with everything around it
        while posted.empty():
            await asyncio.sleep(0.001)
            clock.advance(ports.settings.retry_delay_s_max)
    assert posted.get_nowait() == CacheLookedUp("a", 0, catalog_pb2.CACHE_LOOKUP_FAILURE)
    assert asked == ["a"] * retry.TRIES_MAX


async def test_a_store_that_is_away_only_delays_confirmations(
    ports: PropellerPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(ids: Sequence[str]) -> None:
        raise Unavailable("the store")

    monkeypatch.setattr(ports.store, "confirm", away)
    with capture_logs() as lines:
        await engine(ports).worker.confirm(["one"])
    assert [line["event"] for line in lines] == ["commands_not_confirmed"]
