"""People who start executions, and change their minds."""

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sailplane_core.errors import AlreadyExists, NotFound, Refused, Unavailable
from sailplane_core.ids import ExecutionId, ResourceType
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.admin import execution_pb2, signal_pb2

from . import templates
from .workflows import Drawing, Graph

if TYPE_CHECKING:
    from .world import World

TRY_AGAIN_S = 2.0
LOOK_AGAIN_S = 20.0


@dataclass
class Asked:
    """An execution that a user wants. `again` is what is done once it has ended: "", "relaunch" or "recover"."""

    name: str
    graph: Graph
    a: int
    at_s: float
    max_parallelism: int = 0
    terminate_after_s: float | None = None
    again: str = ""
    is_done: bool = False
    is_terminated: bool = False
    ran_again: str = ""
    """What the execution that repeats it is called, once it was asked for."""

    @property
    def id(self) -> ExecutionId:
        """Its id."""
        return ExecutionId(templates.PROJECT, templates.DOMAIN, self.name)


def plan(chance: random.Random, drawn: Drawing) -> list[Asked]:
    """What the users of a seed want."""
    asked: list[Asked] = []
    for index in range(chance.choice((1, 1, 2))):
        one = Asked(f"x{index}", drawn.graphs[0], chance.randint(0, 99), chance.uniform(0.0, 10.0))
        one.max_parallelism = chance.choice((0, 0, 1, 2))
        if chance.random() < 0.3:
            one.terminate_after_s = chance.uniform(0.0, 40.0)
        if chance.random() < 0.4:
            one.again = chance.choice(("relaunch", "recover"))
        asked.append(one)
    return asked


async def act(world: "World", asked: Asked) -> None:
    """Do what one user does."""
    await asyncio.sleep(asked.at_s)
    await _ask(world, "CreateExecution", _create(asked))
    world.record("accepted", execution=asked.name)
    if asked.terminate_after_s is not None:
        await asyncio.sleep(asked.terminate_after_s)
        request = execution_pb2.ExecutionTerminateRequest(id=asked.id.to_message(), cause="changed my mind")
        world.record("terminate", execution=asked.name)
        asked.is_terminated = True
        await _ask(world, "TerminateExecution", request)
    phase = await _end(world, asked.id)
    world.record("seen ended", execution=asked.name, phase=phase.name)
    if asked.again and (asked.again == "relaunch" or phase is not ExecutionPhase.SUCCEEDED):
        await _again(world, asked)
    asked.is_done = True


async def signal(world: "World") -> None:
    """Answer whatever gates ask, in every execution, after some thought."""
    chance = random.Random(f"signals/{world.seed}")
    answered: set[tuple[str, str]] = set()
    while world.drawn.gates:
        await asyncio.sleep(chance.uniform(1.0, LOOK_AGAIN_S))
        for row in world.disk.rows("admin", "SELECT execution_name, signal_id FROM signals WHERE value IS NULL"):
            key = row["execution_name"], row["signal_id"]
            if key in answered:
                continue
            request = signal_pb2.SignalSetRequest()
            id = ExecutionId(templates.PROJECT, templates.DOMAIN, row["execution_name"])
            request.id.execution_id.CopyFrom(id.to_message())
            request.id.signal_id = row["signal_id"]
            gate = world.drawn.gates[row["signal_id"]]
            if gate.kind == "approve":
                request.value.scalar.primitive.boolean = bool(gate.value)
            else:
                request.value.scalar.primitive.integer = gate.value
            await _ask(world, "SetSignal", request, service="sailplane.service.SignalService")
            answered.add(key)
            world.record("signal set", execution=row["execution_name"], signal=row["signal_id"], value=gate.value)


async def _again(world: "World", asked: Asked) -> None:
    name = f"{asked.name}r"
    if asked.again == "relaunch":
        relaunch = execution_pb2.ExecutionRelaunchRequest(id=asked.id.to_message(), name=name)
        await _ask(world, "RelaunchExecution", relaunch)
    else:
        recover = execution_pb2.ExecutionRecoverRequest(id=asked.id.to_message(), name=name)
        await _ask(world, "RecoverExecution", recover)
    asked.ran_again = name
    world.record("accepted", execution=name, again=asked.again)
    phase = await _end(world, ExecutionId(templates.PROJECT, templates.DOMAIN, name))
    world.record("seen ended", execution=name, phase=phase.name)


async def _end(world: "World", id: ExecutionId) -> ExecutionPhase:
    request = execution_pb2.WorkflowExecutionGetRequest(id=id.to_message())
    while True:
        execution = await _ask(world, "GetExecution", request)
        if execution is not None and execution.closure.phase in EXECUTION_TERMINAL:
            return ExecutionPhase(execution.closure.phase)
        await asyncio.sleep(LOOK_AGAIN_S)


async def _ask(world: "World", method: str, request: Any, service: str = "sailplane.service.AdminService") -> Any:
    """Call until somebody answers; None where it was done before, or cannot be done any more."""
    while True:
        try:
            world.faults.fail("admin", method)
            reply = await world.admin.call(f"/{service}/{method}", request)
            world.faults.fail("admin", f"{method}, which was done")
        except Unavailable:
            await asyncio.sleep(TRY_AGAIN_S)
        except (AlreadyExists, Refused):
            return None
        else:
            return reply


def _create(asked: Asked) -> execution_pb2.ExecutionCreateRequest:
    request = execution_pb2.ExecutionCreateRequest(project=templates.PROJECT, domain=templates.DOMAIN, name=asked.name)
    plan_id = templates.entity(ResourceType.LAUNCH_PLAN, asked.graph.name)
    request.spec.launch_plan.CopyFrom(plan_id.to_message())
    request.spec.max_parallelism = asked.max_parallelism
    request.inputs.literals["a"].scalar.primitive.integer = asked.a
    return request


__all__ = ["Asked", "NotFound", "act", "plan"]
