"""What a transition costs in executions of different sizes, as JSON.

    python bench/sizes.py [--only chain_1000] [--map-items 50000]

The real admin and propeller in one process on SQLite files, with Pods that end at once and a blob store in memory:
nothing but the engine is measured. Each size runs in a process of its own, so that its peak memory is its own.

`written_per_transition_bytes` is what the process wrote to files, write-ahead logs and checkpoints included, and
`rows_per_transition_bytes` what the statements carried; both for admin and propeller together.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import sailplane_admin
import sailplane_propeller
import structlog
import uvloop
from sailplane_admin import tables as admin_tables
from sailplane_admin.ports import AdminPorts, AdminSettings
from sailplane_admin.service import Admin
from sailplane_core.errors import NotFound
from sailplane_core.ids import EntityId, ResourceType
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_core.ports import BlobInfo, ContainerStatus, Message, Pod, PodPhase, PodStatus, SignedUrl
from sailplane_propeller import tables as propeller_tables
from sailplane_propeller.admin_client import AdminClient
from sailplane_propeller.ports import PropellerPorts
from sailplane_propeller.service import Propeller
from sailplane_protos.admin import execution_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from sailplane_protos.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from sailplane_protos.core import workflow_pb2 as core_pb2
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import Engine, event, func, select
from world import machine

PROJECT, DOMAIN, NAME = "flytesnacks", "development", "sizes"
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
ONE = literals_pb2.LiteralMap(
    literals={"o": literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=1)))}
).SerializeToString()
SIZES = (100, 1_000, 10_000)
TERMINAL = frozenset(phase.value for phase in EXECUTION_TERMINAL)
ASK_EVERY_S = 0.02
WAIT_S_MAX = 1800.0


class Blobs:
    """The BlobStore port in memory."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._clock = SystemClock()

    def uri(self, key: str) -> str:
        """Below the root."""
        return f"s3://bench/{key}"

    async def put(self, uri: str, data: bytes) -> None:
        """Store it."""
        self._objects[uri] = data

    async def put_stream(self, uri: str, chunks: AsyncIterable[bytes]) -> None:
        """Store it whole."""
        self._objects[uri] = b"".join([chunk async for chunk in chunks])

    async def get(self, uri: str, *, start: int = 0, bytes_max: int | None = None) -> bytes:
        """Raises `NotFound`."""
        if uri not in self._objects:
            raise NotFound("object", uri)
        data = self._objects[uri]
        return data[start:] if bytes_max is None else data[start : start + bytes_max]

    async def head(self, uri: str) -> BlobInfo:
        """Raises `NotFound`."""
        return BlobInfo(uri, len(await self.get(uri)), self._clock.now())

    async def list(self, prefix_uri: str) -> AsyncIterator[BlobInfo]:
        """Nobody lists here."""
        raise NotImplementedError(prefix_uri)
        yield

    async def delete(self, uri: str) -> None:
        """Missing is fine."""
        self._objects.pop(uri, None)

    async def sign(self, uri: str, method: str, expires_in_s: float, *, content_md5: bytes | None = None) -> SignedUrl:
        """Nobody asks for a URL here."""
        raise NotImplementedError(uri)


class InstantPods:
    """The PodLauncher port: every Pod has run, and written its outputs, when `ensure` returns."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._clock = SystemClock()
        self._ended: asyncio.Queue[PodStatus] = asyncio.Queue()
        self.count = 0

    async def ensure(self, pod: Pod) -> None:
        """Run it."""
        self.count += 1
        prefix: str = pod.manifest["spec"]["containers"][0]["args"][0]
        await self._blobs.put(f"{prefix}/outputs.pb", ONE)
        now = self._clock.now()
        container = ContainerStatus(
            pod.primary_container, "terminated", exit_code=0, reason="Completed", started_at=now, finished_at=now
        )
        labels: dict[str, str] = pod.manifest["metadata"]["labels"]
        self._ended.put_nowait(
            PodStatus(pod.name, pod.namespace, PodPhase.SUCCEEDED, labels=labels, containers=(container,), since=now)
        )

    async def remove(self, namespace: str, name: str) -> None:
        """It has ended already."""

    async def observe(self) -> AsyncIterator[PodStatus]:
        """Their ends."""
        while True:
            yield await self._ended.get()

    async def log(self, namespace: str, name: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        """Nobody writes anything here."""
        return
        yield b""


class Channel:
    """Propeller's way to admin: its handlers, called directly."""

    def __init__(self, handlers: dict[str, Any]) -> None:
        self._handlers = handlers

    def unary_unary(self, path: str, *args: Any, **options: Any) -> Callable[..., Awaitable[Any]]:
        """One RPC."""

        async def call(request: Any, **options: Any) -> Any:
            _, service, method = path.split("/")
            return await getattr(self._handlers[service], method)(request, None)

        return call

    def unary_stream(self, path: str, *args: Any, **options: Any) -> None:
        """Nobody calls one here."""

    stream_unary = stream_stream = unary_stream

    async def close(self) -> None:
        """Nothing to close."""


def chain(size: int) -> core_pb2.WorkflowTemplate:
    """Each node takes what the one before it gave."""
    template = core_pb2.WorkflowTemplate()
    for index in range(size):
        node = _task_node(template, f"n{index}")
        if index:
            node.inputs[0].binding.promise.node_id, node.inputs[0].binding.promise.var = f"n{index - 1}", "o"
        else:
            node.inputs[0].binding.scalar.primitive.integer = 1
    return template


def fan_out(size: int) -> core_pb2.WorkflowTemplate:
    """Nodes that wait for nothing."""
    template = core_pb2.WorkflowTemplate()
    for index in range(size):
        _task_node(template, f"n{index}").inputs[0].binding.scalar.primitive.integer = index
    return template


def mapped(size: int) -> core_pb2.WorkflowTemplate:
    """One array node, as flytekit writes a map over a list of numbers."""
    template = core_pb2.WorkflowTemplate()
    node = template.nodes.add(id="n0")
    node.array_node.node.id = "n0"
    node.array_node.node.task_node.reference_id.CopyFrom(_id(ResourceType.TASK))
    node.array_node.is_original_sub_node_interface.value = True
    for each in (node.inputs.add(var="a"), node.array_node.node.inputs.add(var="a")):
        for index in range(size):
            each.binding.collection.bindings.add().scalar.primitive.integer = index
    return template


def _task_node(template: core_pb2.WorkflowTemplate, id: str) -> core_pb2.Node:
    node = template.nodes.add(id=id)
    node.task_node.reference_id.CopyFrom(_id(ResourceType.TASK))
    node.inputs.add(var="a")
    return node


def _id(kind: "ResourceType.ValueType") -> identifier_pb2.Identifier:
    return EntityId(kind, PROJECT, DOMAIN, NAME, "1").to_message()


CASES: dict[str, tuple[Callable[[int], core_pb2.WorkflowTemplate], int, int]] = {
    **{f"chain_{size}": (chain, size, 0) for size in SIZES},
    **{f"fan_out_{size}": (fan_out, size, 0) for size in SIZES},
    **{f"fan_out_{size}_all_at_once": (fan_out, size, size) for size in SIZES},
}
"""By name: what makes the workflow, of which size, and how many of its nodes run at once (0: the server's default)."""


class Statements:
    """Counts what is handed to the databases: the values of statements, and messages of the outboxes."""

    def __init__(self) -> None:
        self.bytes = 0
        event.listen(Engine, "before_cursor_execute", self._count)

    def watch(self, store: SqlStore) -> None:
        """Count a store's messages, too."""
        for topic in ("commands", "events", "executions"):
            store.listen(topic, self._count_messages)

    def _count_messages(self, messages: Sequence[Message]) -> None:
        self.bytes += sum(len(one.topic) + len(one.key) + len(one.id) + len(one.payload) for one in messages)

    def _count(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            self.bytes += sum(_size(one) for one in (parameters if many else [parameters]))


def _size(parameters: Any) -> int:
    values = parameters.values() if isinstance(parameters, dict) else parameters
    return sum(
        len(value) if isinstance(value, str | bytes | memoryview) else 8 for value in values if value is not None
    )


def written_bytes() -> int:
    """What this process has written to files so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


class Plane:
    """Admin and propeller on a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def __aenter__(self) -> "Plane":
        clock, blobs = SystemClock(), Blobs()
        self.stores = {
            service: await SqlStore.open(
                f"sqlite:///{self._directory / service}.db",
                tables.metadata,
                migrations=Path(str(package.__file__)).parent / "migrations",
            )
            for service, tables, package in (
                ("admin", admin_tables, sailplane_admin),
                ("propeller", propeller_tables, sailplane_propeller),
            )
        }
        self.queue = MemoryQueue(clock)
        self.pods = InstantPods(blobs)
        self.admin = Admin(AdminPorts(self.stores["admin"], blobs, clock, AdminSettings()), self.queue)
        self.handlers = dict(self.admin.grpc_services())
        client = AdminClient(Channel(self.handlers))  # type: ignore[arg-type]
        self.propeller = Propeller(
            PropellerPorts(self.stores["propeller"], self.queue, blobs, self.pods, clock, client)
        )
        await self.admin.start()
        await self.propeller.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.propeller.stop()
        await self.admin.stop()
        await self.queue.close()
        for store in self.stores.values():
            await store.close()

    async def call(self, method: str, request: Any) -> Any:
        """A call to AdminService."""
        return await getattr(self.handlers["sailplane.service.AdminService"], method)(request, None)

    async def register(self, template: core_pb2.WorkflowTemplate) -> None:
        """A task, a workflow of it, and its launch plan."""
        variables = {"a": interface_pb2.Variable(type=INTEGER)}
        task = task_pb2.TaskCreateRequest(id=_id(ResourceType.TASK))
        task.spec.template.CopyFrom(tasks_pb2.TaskTemplate(id=task.id, type="container"))
        task.spec.template.metadata.runtime.version = "1"
        task.spec.template.interface.inputs.variables["a"].CopyFrom(variables["a"])
        task.spec.template.interface.outputs.variables["o"].CopyFrom(variables["a"])
        task.spec.template.container.image = "none"
        task.spec.template.container.command.append("true")
        task.spec.template.container.args.extend(["{{.outputPrefix}}", "{{.input}}"])
        await self.call("CreateTask", task)
        template.id.CopyFrom(_id(ResourceType.WORKFLOW))
        template.interface.SetInParent()
        workflow = workflow_pb2.WorkflowCreateRequest(id=template.id)
        workflow.spec.template.CopyFrom(template)
        await self.call("CreateWorkflow", workflow)
        plan = launch_plan_pb2.LaunchPlanCreateRequest(id=_id(ResourceType.LAUNCH_PLAN))
        plan.spec.workflow_id.CopyFrom(template.id)
        plan.spec.entity_metadata.SetInParent()
        await self.call("CreateLaunchPlan", plan)

    async def run(self, name: str, at_once: int) -> None:
        """Start an execution, and wait until admin says that it has succeeded and everybody was told everything."""
        request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, name=name)
        request.spec.launch_plan.CopyFrom(_id(ResourceType.LAUNCH_PLAN))
        request.spec.max_parallelism = at_once
        await self.call("CreateExecution", request)
        id = identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)
        ask = execution_pb2.WorkflowExecutionGetRequest(id=id)
        async with asyncio.timeout(WAIT_S_MAX):
            closure = await self._ended(ask)
        if closure.phase != ExecutionPhase.SUCCEEDED:
            raise SystemExit(f"it is {ExecutionPhase(closure.phase).name}: {closure.error}")

    async def _ended(self, ask: execution_pb2.WorkflowExecutionGetRequest) -> execution_pb2.ExecutionClosure:
        while True:
            closure: execution_pb2.ExecutionClosure = (await self.call("GetExecution", ask)).closure
            if closure.phase in TERMINAL:
                return closure
            await asyncio.sleep(ASK_EVERY_S)

    async def counted(self) -> dict[str, int]:
        """How many transitions propeller has made, and how many nodes it has stored."""
        tables = propeller_tables
        return await self.stores["propeller"].read(
            lambda connection: {
                "transitions": connection.scalar(select(func.sum(tables.executions.c.version))) or 0,
                "nodes": connection.scalar(select(func.count()).select_from(tables.nodes)) or 0,
            }
        )


async def measure(name: str, make: Callable[[int], core_pb2.WorkflowTemplate], size: int, at_once: int) -> None:
    """One case in this process; prints its figures."""
    statements = Statements()
    with tempfile.TemporaryDirectory(prefix="sailplane-bench-") as directory:
        async with Plane(Path(directory)) as plane:
            for store in plane.stores.values():
                statements.watch(store)
            begun = time.perf_counter()
            await plane.register(make(size))
            registered_s = time.perf_counter() - begun
            wrote, carried = written_bytes(), statements.bytes
            begun, used = time.perf_counter(), time.process_time()
            await plane.run("x", at_once)
            wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - used
            await asyncio.sleep(0.2)  # what is confirmed late is written, too
            wrote, carried = written_bytes() - wrote, statements.bytes - carried
            counted = await plane.counted()
            pods = plane.pods.count
    transitions = counted["transitions"]
    figures = {
        **counted,
        "pods": pods,
        "register_s": round(registered_s, 2),
        "wall_s": round(wall_s, 2),
        "pods_per_s": round(pods / wall_s, 1),
        "ms_per_transition": round(wall_s / transitions * 1e3, 3),
        "cpu_ms_per_transition": round(cpu_s / transitions * 1e3, 3),
        "cpu_ms_per_pod": round(cpu_s / pods * 1e3, 3),
        "written_per_transition_bytes": wrote // transitions,
        "rows_per_transition_bytes": carried // transitions,
        "written_per_pod_bytes": wrote // pods,
        "rows_per_pod_bytes": carried // pods,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print(json.dumps({name: figures}))


def main() -> None:
    """Run the cases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="one case, or the beginning of some")
    parser.add_argument("--map-items", type=int, default=50_000)
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    cases = {**CASES, "map": (mapped, arguments.map_items, 0)}
    chosen = {name: case for name, case in cases.items() if name.startswith(arguments.only or "")}
    if arguments.here:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
        make, size, at_once = cases[arguments.only]
        uvloop.run(measure(arguments.only, make, size, at_once))
        return
    results: dict[str, Any] = {}
    for name in chosen:
        command = [sys.executable, __file__, "--here", "--only", name, "--map-items", str(arguments.map_items)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        results |= json.loads(done.stdout) if done.returncode == 0 else {name: done.stderr[-2000:]}
    print(json.dumps({"machine": machine(), **results}, indent=2))


if __name__ == "__main__":
    main()
