"""The whole engine on a real store, real files and real processes: what tasks do wrong, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from core.machine.world import compiled, workflow_id
from google.protobuf import text_format
from sailplane_core.ids import EntityId, ExecutionId
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_core.ports import Message
from sailplane_propeller import records, tables
from sailplane_propeller.ports import PropellerPorts, PropellerSettings
from sailplane_propeller.service import Propeller
from sailplane_propeller.worker import EXECUTIONS_TOPIC
from sailplane_protos.core import compiler_pb2, errors_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.pods.process import ProcessLauncher
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.sql import SqlStore

X = ExecutionId("p", "development", "x")
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)


class OneTask:
    """Definitions: a workflow `w` of nodes `a` and `b`, side by side, of a task whose shell script a test gives."""

    def __init__(self) -> None:
        self.script = "true"
        self.outputs: tuple[str, ...] = ()
        self.retries = 0
        self.nodes: dict[str, list[str]] = {"a": []}

    async def compiled_workflow(self, id: EntityId) -> compiler_pb2.CompiledWorkflowClosure:
        """The workflow as the test wants it now."""
        closure = compiler_pb2.CompiledWorkflowClosure(primary=compiled(id.name, self.nodes))
        template = tasks_pb2.TaskTemplate(type="container")
        for node in closure.primary.template.nodes:
            if node.HasField("task_node"):
                template.id.CopyFrom(node.task_node.reference_id)
        template.metadata.retries.retries = self.retries
        for name in self.outputs:
            template.interface.outputs.variables[name].CopyFrom(interface_pb2.Variable(type=INTEGER))
        template.container.image = "any"
        template.container.command.extend(["sh", "-c", self.script, "{{.outputPrefix}}"])
        closure.tasks.add(template=template)
        return closure


class HeldBack:
    """Definitions that nobody gets before `release` is set."""

    def __init__(self, source: OneTask) -> None:
        self._source = source
        self.release = asyncio.Event()

    async def compiled_workflow(self, id: EntityId) -> compiler_pb2.CompiledWorkflowClosure:
        """Wait, then answer."""
        await self.release.wait()
        return await self._source.compiled_workflow(id)


@dataclass
class Running:
    """A propeller, and everything it told."""

    propeller: Propeller
    ports: PropellerPorts
    definitions: OneTask
    launcher: ProcessLauncher
    launcher_dir: Path
    told: list[queue_pb2.Event]
    changed: asyncio.Event

    async def run(self) -> event_pb2.WorkflowExecutionEvent:
        """Start the execution and wait for its last event."""
        await self.start()
        return await self.end()

    async def start(self) -> None:
        """Order the start."""
        order = queue_pb2.ExecutionCommand(execution_id=X.to_message())
        order.start.workflow_id.CopyFrom(workflow_id("w").to_message())
        order.start.namespace = "p-development"
        order.start.inputs_uri = self.ports.blobs.uri("in.pb")
        order.start.raw_output_prefix = self.ports.blobs.uri("raw")
        await self.ports.blobs.put(order.start.inputs_uri, b"")
        await self.order(order, "start")

    async def order(self, order: queue_pb2.ExecutionCommand, name: str) -> None:
        """Put an order on the queue."""
        await self.ports.queue.publish([Message(EXECUTIONS_TOPIC, str(X), f"{name}:{X}", order.SerializeToString())])

    async def until(self, kind: str, phase: int) -> queue_pb2.Event:
        """The first event of a kind in a phase."""
        async with asyncio.timeout(20):
            while True:
                for event in self.told:
                    if event.WhichOneof("event") == kind and getattr(event, kind).phase == phase:
                        return event
                self.changed.clear()
                await self.changed.wait()

    async def end(self) -> event_pb2.WorkflowExecutionEvent:
        """The event that ends the execution."""
        ends = [ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED]
        waiting = [asyncio.create_task(self.until("workflow", phase)) for phase in ends]
        done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        return done.pop().result().workflow

    def attempts(self) -> int:
        """How many attempts were told of."""
        return len({event.task.retry_attempt for event in self.told if event.HasField("task")})


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """Everything real but admin."""
    clock = SystemClock()
    store = await SqlStore.open(f"sqlite:///{tmp_path / 'propeller.db'}", tables.metadata)
    blobs = FileBlobs(tmp_path / "blobs", UrlSigner(b"s" * 32), clock)
    launcher = ProcessLauncher(tmp_path, clock, warm=False, blobs=blobs, termination_grace_s=1)
    await launcher.start()
    definitions = OneTask()
    settings = PropellerSettings(output_bytes_max=10_000)
    ports = PropellerPorts(store, MemoryQueue(clock), blobs, launcher, clock, definitions, settings)
    propeller = Propeller(ports)
    await propeller.start()
    made = Running(propeller, ports, definitions, launcher, tmp_path, [], asyncio.Event())

    async def listen() -> None:
        while True:
            deliveries = await ports.queue.receive("events", 100)
            for delivery in deliveries:
                made.told.extend(queue_pb2.EventBatch.FromString(delivery.message.payload).events)
            await ports.queue.ack(deliveries)
            made.changed.set()

    listening = asyncio.create_task(listen())
    yield made
    listening.cancel()
    await propeller.stop()
    await launcher.stop()
    await store.close()


def error_document(kind: int) -> str:
    """A shell command that writes an error document of a kind where the engine looks."""
    document = errors_pb2.ErrorDocument(error=errors_pb2.ContainerError(code="USER:Bang", message="bang", kind=kind))
    octal = "".join(f"\\{byte:03o}" for byte in document.SerializeToString())
    return f"mkdir -p ${{0#file://}}; printf '{octal}' > ${{0#file://}}/error.pb"


async def test_a_good_exit_without_declared_outputs_is_a_success(running: Running) -> None:
    assert (await running.run()).phase == ExecutionPhase.SUCCEEDED
    phases = [event.task.phase for event in running.told if event.HasField("task")]
    assert phases == [TaskPhase.QUEUED, TaskPhase.RUNNING, TaskPhase.SUCCEEDED]


async def test_a_non_zero_exit_is_the_users_error_and_says_which(running: Running) -> None:
    running.definitions.script = "echo the last words >&2; exit 3"
    end = await running.run()
    assert end.phase == ExecutionPhase.FAILED
    assert end.error.kind == end.error.USER
    assert "3" in end.error.message
    assert running.attempts() == 1


async def test_a_process_that_is_killed_spends_the_systems_budget(running: Running) -> None:
    running.definitions.script = "kill -9 $$$$"  # Kubernetes reads $$ as $
    end = await running.run()
    assert end.error.kind == end.error.SYSTEM
    assert end.error.code.startswith("RetriesExhausted|")
    assert running.attempts() == 4


async def test_outputs_that_were_declared_and_not_written_are_named(running: Running) -> None:
    running.definitions.outputs = ("answer",)
    end = await running.run()
    assert end.error.code == "RetriesExhausted|OutputsNotFound"
    assert "answer" in end.error.message


async def test_garbage_in_the_outputs_is_said_to_be_garbage(running: Running) -> None:
    running.definitions.outputs = ("answer",)
    running.definitions.script = "mkdir -p ${0#file://}; head -c 300 /dev/zero > ${0#file://}/outputs.pb"
    end = await running.run()
    assert end.phase == ExecutionPhase.FAILED
    assert "outputs.pb" in end.error.message


async def test_outputs_over_the_limit_fail_for_good(running: Running) -> None:
    running.definitions.outputs = ("answer",)
    running.definitions.script = "mkdir -p ${0#file://}; head -c 20000 /dev/zero > ${0#file://}/outputs.pb"
    end = await running.run()
    assert end.error.code == "OutputSizeExceeded"
    assert running.attempts() == 1


async def test_an_output_of_another_type_than_declared_fails_for_good(running: Running) -> None:
    running.definitions.outputs = ("answer",)
    literal = literals_pb2.Literal()
    literal.scalar.primitive.string_value = "forty-two"
    outputs = literals_pb2.LiteralMap(literals={"answer": literal}).SerializeToString()
    octal = "".join(f"\\{byte:03o}" for byte in outputs)
    running.definitions.script = f"mkdir -p $0; printf '{octal}' > $0/outputs.pb"
    end = await running.run()
    assert end.error.code == "OutputTypeMismatch"
    assert "'answer' is declared as integer, and outputs.pb holds string" in end.error.message
    assert running.attempts() == 1


async def test_a_recoverable_error_document_is_tried_again_and_a_final_one_is_not(running: Running) -> None:
    running.definitions.retries = 2
    running.definitions.script = error_document(errors_pb2.ContainerError.RECOVERABLE)
    end = await running.run()
    assert end.error.code == "RetriesExhausted|USER:Bang"
    assert running.attempts() == 3


async def test_a_final_error_document_ends_at_once(running: Running) -> None:
    running.definitions.retries = 2
    running.definitions.script = error_document(errors_pb2.ContainerError.NON_RECOVERABLE)
    end = await running.run()
    assert (end.error.code, end.error.message) == ("USER:Bang", "bang")
    assert running.attempts() == 1


async def test_a_task_that_prints_megabytes_succeeds(running: Running) -> None:
    running.definitions.script = "head -c 20000000 /dev/zero | tr '\\0' x"
    assert (await running.run()).phase == ExecutionPhase.SUCCEEDED


async def test_an_abort_ends_the_processes(running: Running, tmp_path: Path) -> None:
    running.definitions.nodes = {"a": [], "b": []}
    running.definitions.script = "sleep 60"
    await running.start()
    await running.until("task", TaskPhase.RUNNING)
    order = queue_pb2.ExecutionCommand(execution_id=X.to_message())
    order.abort.cause = "enough"
    await running.order(order, "abort")
    end = await running.end()
    assert (end.phase, end.error.message) == (ExecutionPhase.ABORTED, "enough")
    found = await running.ports.store.read(lambda connection: records.load(connection, X, "", running.ports.settings))
    assert found is not None
    assert {node.phase for node in found.state.nodes.values()} == {NodePhase.SUCCEEDED, NodePhase.ABORTED}
    assert not list((tmp_path / "pods").glob("*/x-*"))


async def test_what_is_done_is_forgotten_in_memory_and_in_the_outbox(running: Running) -> None:
    await running.run()
    async with asyncio.timeout(10):
        while await running.ports.store.pending(records.COMMANDS_TOPIC):
            await asyncio.sleep(0.01)
        while await running.ports.store.pending(records.EVENTS_TOPIC):
            await asyncio.sleep(0.01)


async def test_inputs_are_written_where_the_task_looks_for_them(running: Running) -> None:
    await running.run()
    root = running.ports.blobs.uri("").rstrip("/")
    stored = await running.ports.blobs.get(f"{root}/metadata/propeller/{X}/a/data/inputs.pb")
    assert text_format.MessageToString(literals_pb2.LiteralMap.FromString(stored)) == ""


async def test_a_pod_that_ends_before_its_execution_is_loaded_again_is_not_forgotten(running: Running) -> None:
    running.definitions.script = "sleep 0.2"
    await running.start()
    await running.until("task", TaskPhase.RUNNING)
    await running.propeller.stop()
    await running.launcher.stop()
    launcher = ProcessLauncher(running.launcher_dir, SystemClock(), warm=False, blobs=running.ports.blobs)
    await launcher.start()
    held = HeldBack(running.definitions)
    second = Propeller(replace(running.ports, launcher=launcher, admin=held))
    await second.start()
    await asyncio.sleep(0.5)  # the Pod ends, and is reported, while the definition is still out of reach
    held.release.set()
    try:
        assert (await running.end()).phase == ExecutionPhase.SUCCEEDED
    finally:
        await second.stop()
        await launcher.stop()


@pytest.mark.parametrize("name", ["outputs.pb", "error.pb"])
async def test_results_that_point_elsewhere_fail_the_attempt_and_say_so(running: Running, name: str) -> None:
    running.definitions.outputs = ("answer",)
    running.definitions.script = f"mkdir -p $0; ln -s /etc/hostname $0/{name}"
    end = await running.run()
    assert (end.phase, end.error.code) == (ExecutionPhase.FAILED, "BadOutputs")


async def test_names_of_pods_are_forgotten_with_their_execution(running: Running) -> None:
    await running.run()
    names = running.propeller._names
    async with asyncio.timeout(5):
        while names.find("p-development", "x-a-0") is not None:
            await asyncio.sleep(0.01)
