"""What is found by looking, because nobody tells it any more."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from core.machine.world import compiled, workflow_id
from sailplane_core.errors import NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import ChildEnded, ExecutionState, NodeKind, NodeState, Observation
from sailplane_core.phases import ExecutionPhase, NodePhase
from sailplane_core.plan import Plan
from sailplane_propeller import records
from sailplane_propeller.live import Definition, Live
from sailplane_propeller.ports import PropellerPorts
from sailplane_propeller.sweeper import Sweeper
from sailplane_propeller.watch import Watcher
from sailplane_protos.admin import execution_pb2
from sailplane_protos.core import compiler_pb2
from sailplane_protos.propeller import queue_pb2
from services.propeller.conftest import X


class Children:
    """An admin that knows the phases of some executions."""

    def __init__(self, phases: dict[str, ExecutionPhase]) -> None:
        self._phases = phases

    async def execution(self, id: ExecutionId) -> execution_pb2.Execution:
        """One of them."""
        if id.name not in self._phases:
            raise NotFound("execution", str(id))
        found = execution_pb2.Execution(id=id.to_message())
        found.closure.phase = self._phases[id.name].value
        return found


class NoPods:
    """A watcher that has seen nothing."""

    def __init__(self) -> None:
        self.latest: dict[Any, Any] = {}


def live(ports: PropellerPorts, *nodes: NodeState) -> Live:
    """An execution in service that has reached these nodes."""
    start = queue_pb2.Start(workflow_id=workflow_id("chain").to_message())
    state = ExecutionState(records.start_info(X, start, "file:///blobs", ports.settings))
    for node in nodes:
        state.replace(node)
    closure = compiler_pb2.CompiledWorkflowClosure(primary=compiled("chain", {"a": []}))
    return Live(X, loaded=Definition(start, state, Plan(closure)))


async def swept(ports: PropellerPorts, admin: Children, found: Live) -> list[Observation]:
    posted: list[Observation] = []
    sweeper = Sweeper(
        replace(ports, admin=cast("Any", admin)),
        cast("Watcher", NoPods()),
        lambda: [found],
        lambda id, seen: posted.append(seen),
    )
    await sweeper.sweep()
    return posted


RUNNING = NodeState("n0", "n0", "", NodeKind.LAUNCH_PLAN, phase=NodePhase.RUNNING, child_name="child")
REMOVING = replace(RUNNING, phase=NodePhase.ABORTED, removing=True)


@pytest.mark.parametrize("node", [RUNNING, REMOVING])
async def test_a_child_whose_end_was_not_told_is_found(ports: PropellerPorts, node: NodeState) -> None:
    admin = Children({"child": ExecutionPhase.SUCCEEDED})
    assert await swept(ports, admin, live(ports, node)) == [ChildEnded("n0", "child", ExecutionPhase.SUCCEEDED)]
    [lost] = await swept(ports, Children({}), live(ports, node))
    assert isinstance(lost, ChildEnded)
    assert lost.phase is ExecutionPhase.FAILED


@pytest.mark.parametrize(
    "node",
    [
        replace(RUNNING, phase=NodePhase.QUEUED),
        replace(RUNNING, phase=NodePhase.SUCCEEDED),
        replace(RUNNING, phase=NodePhase.RECOVERED),
        replace(RUNNING, kind=NodeKind.TASK, child_name=""),
    ],
)
async def test_nobody_asks_about_a_child_that_is_not_awaited(ports: PropellerPorts, node: NodeState) -> None:
    assert await swept(ports, Children({}), live(ports, node)) == []


async def test_a_child_goes_on_while_it_runs_or_a_command_about_it_is_under_way(ports: PropellerPorts) -> None:
    assert await swept(ports, Children({"child": ExecutionPhase.ABORTING}), live(ports, RUNNING)) == []
    busy = live(ports, RUNNING)
    busy.chains["n0"] = asyncio.create_task(asyncio.sleep(0))
    assert await swept(ports, Children({}), busy) == []
    await busy.chains["n0"]
