"""A worker on real tables and a real queue, with hands that only write down what they were given."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from core.machine.world import compiled, workflow_id
from sailplane_core.errors import NotFound
from sailplane_core.ids import EntityId, ExecutionId
from sailplane_core.machine import Command
from sailplane_core.ports import BlobStore, Message, PodLauncher
from sailplane_propeller import tables
from sailplane_propeller.live import Live
from sailplane_propeller.ports import PropellerPorts
from sailplane_propeller.worker import EXECUTIONS_TOPIC, Worker
from sailplane_protos.core import compiler_pb2, tasks_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.sql import SqlStore

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
X = ExecutionId("p", "development", "x")


class Shelf:
    """Compiled workflows by name."""

    def __init__(self, edges: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self._edges = edges

    async def compiled_workflow(self, id: EntityId) -> compiler_pb2.CompiledWorkflowClosure:
        """A workflow of the shelf."""
        if id.name not in self._edges:
            raise NotFound("WORKFLOW", str(id))
        closure = compiler_pb2.CompiledWorkflowClosure(primary=compiled(id.name, self._edges[id.name]))
        for node in closure.primary.template.nodes:
            if node.HasField("task_node"):
                closure.tasks.add(template=tasks_pb2.TaskTemplate(id=node.task_node.reference_id, type="container"))
                break
        return closure


@dataclass
class Engine:
    """A worker and what surrounds it."""

    ports: PropellerPorts
    worker: Worker
    handed: list[tuple[str, Command]] = field(default_factory=list[tuple[str, Command]])

    def hand_out(self, live: Live, commands: Sequence[Command]) -> None:
        """Write down."""
        self.handed.extend((live.id.name, command) for command in commands)


def engine(ports: PropellerPorts) -> Engine:
    """A fresh worker on these ports, as after a restart."""
    made = Engine(ports, Worker(ports, "file:///blobs"))
    made.worker.hand_out = made.hand_out
    return made


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[PropellerPorts]:
    """Tables in a file, a queue in memory, and a clock that stands still until somebody waits."""
    clock = ManualClock(NOON)
    store = await SqlStore.open(f"sqlite:///{tmp_path / 'propeller.db'}", tables.metadata)
    nobody = cast("BlobStore", None), cast("PodLauncher", None)
    shelf = Shelf({"chain": {"a": [], "b": ["a"]}, "wide": {f"n{i}": [] for i in range(50)}})
    yield PropellerPorts(store, MemoryQueue(clock), *nobody, clock, shelf)
    await store.close()


def start_message(id: ExecutionId = X, workflow: str = "chain") -> Message:
    """Admin's order to start."""
    order = queue_pb2.ExecutionCommand(execution_id=id.to_message())
    order.start.workflow_id.CopyFrom(workflow_id(workflow).to_message())
    order.start.namespace = "p-development"
    order.start.inputs_uri = "file:///in.pb"
    order.start.raw_output_prefix = "file:///raw"
    return Message(EXECUTIONS_TOPIC, str(id), f"start:{id}", order.SerializeToString())


def abort_message(id: ExecutionId = X) -> Message:
    """Admin's order to abort."""
    order = queue_pb2.ExecutionCommand(execution_id=id.to_message())
    order.abort.cause = "enough"
    return Message(EXECUTIONS_TOPIC, str(id), f"abort:{id}", order.SerializeToString())
