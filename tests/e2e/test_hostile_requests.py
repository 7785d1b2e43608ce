"""Nothing that a client sends is our fault, costs us our memory, or stops the work of others.

A failing test prints its seed; `HOSTILE_SEED=<seed>` sends the same again, and `HOSTILE_ROUNDS` sets how much.
"""

import asyncio
import os
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module

import grpc
import psutil
import pytest
from compat import raw
from compat.plane import Plane
from e2e import hostile
from flyteidl.admin import (
    common_pb2,
    event_pb2,
    execution_pb2,
    launch_plan_pb2,
    node_execution_pb2,
    project_pb2,
    task_pb2,
    workflow_pb2,
)
from flyteidl.core import identifier_pb2
from flyteidl.service import dataproxy_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode, aio
from sailplane_protos.propeller import service_pb2, service_pb2_grpc

SEED = int(os.environ.get("HOSTILE_SEED") or random.randrange(2**32))
ROUNDS = int(os.environ.get("HOSTILE_ROUNDS") or 50)

SERVICES = {
    "sailplane.service.AdminService": "sailplane_protos.service.admin_pb2",
    "sailplane.service.DataProxyService": "sailplane_protos.service.dataproxy_pb2",
    "sailplane.propeller.PropellerService": "sailplane_protos.propeller.service_pb2",
    "sailplane.scheduler.SchedulerService": "sailplane_protos.scheduler.service_pb2",
}
MEANT = {"Drain"}
"""These do what they say, whoever asks: an engine that was drained takes no more work."""

OUR_FAULT = {
    StatusCode.INTERNAL,
    StatusCode.UNKNOWN,
    StatusCode.UNAVAILABLE,
    StatusCode.ABORTED,
    StatusCode.DEADLINE_EXCEEDED,
}
ANSWER_WITHIN_S = 20
GROWTH_MB_MAX = 50

ADMIN = "/flyteidl.service.AdminService/"
DATA_PROXY = "/flyteidl.service.DataProxyService/"
EXECUTION = identifier_pb2.WorkflowExecutionIdentifier(project=raw.PROJECT, domain=raw.DOMAIN, name="x1")


@dataclass
class Caller:
    """Sends bytes, and keeps what we are to blame for."""

    channel: aio.Channel
    codes: Counter[str] = field(default_factory=Counter[str])
    blamed: list[str] = field(default_factory=list[str])

    async def __call__(self, method: str, data: bytes, *, streams: bool = False) -> bool:
        """Whether it succeeded."""
        try:
            if streams:
                async for _ in self.channel.unary_stream(method)(data, timeout=ANSWER_WITHIN_S):
                    break
            else:
                await self.channel.unary_unary(method)(data, timeout=ANSWER_WITHIN_S)
        except aio.AioRpcError as error:
            self.codes[error.code().name] += 1
            if error.code() in OUR_FAULT:
                self.blamed.append(f"{method} {error.code().name} {error.details()} {data[:2000]!r}")
            return False
        self.codes["OK"] += 1
        return True


def run(plane: Plane, act: Callable[[Caller], Awaitable[None]]) -> Caller:
    """Let `act` call this control plane, which must then still be there and no more than a little larger."""
    assert plane.process is not None
    process = psutil.Process(plane.process.pid)

    async def call() -> Caller:
        async with aio.insecure_channel(plane.grpc) as channel:
            caller = Caller(channel)
            await act(caller)
            return caller

    before = process.memory_info().rss
    caller = asyncio.run(call())
    print(f"HOSTILE_SEED={SEED} {dict(caller.codes)}")
    assert not caller.blamed, "\n".join([f"HOSTILE_SEED={SEED}", *caller.blamed[:10], plane.tail()])
    assert process.memory_info().rss - before < GROWTH_MB_MAX << 20
    return caller


def methods() -> Iterator[tuple[str, MethodDescriptor]]:
    """Every RPC of this control plane, from the descriptors, so that a new one cannot be forgotten."""
    for service, module in SERVICES.items():
        import_module(module)
        for method in Default().FindServiceByName(service).methods:
            if method.name not in MEANT:
                yield f"/{service}/{method.name}", method


def test_no_request_of_any_rpc_is_our_fault(plane: Plane) -> None:
    luck = random.Random(SEED)

    async def act(caller: Caller) -> None:
        for turn in range(ROUNDS):
            calls = []
            for path, method in methods():
                message = GetMessageClass(method.input_type)()
                hostile.fill(message, luck, luck.choice((2, 3, 5)), luck.choice((0.3, 0.6, 0.9)))
                data = message.SerializeToString()
                if turn % 3 == 0:
                    data = hostile.broken(data, luck)
                calls.append(caller(path, data[:300_000], streams=method.server_streaming))
            await asyncio.gather(*calls)

    assert run(plane, act).codes["INVALID_ARGUMENT"] > 0


def requests(version: str) -> Sequence[tuple[str, Message]]:
    """Good requests about things that exist: what is one step away from them gets furthest."""
    plan = launch_plan_pb2.LaunchPlanCreateRequest(id=raw.identifier(identifier_pb2.LAUNCH_PLAN, "plan", version))
    plan.spec.workflow_id.CopyFrom(raw.identifier(identifier_pb2.WORKFLOW, "w", version))
    plan.spec.entity_metadata.schedule.cron_schedule.schedule = "0 0 1 1 *"
    named = common_pb2.NamedEntityIdentifier(project=raw.PROJECT, domain=raw.DOMAIN, name="w")
    listing = common_pb2.ResourceListRequest(id=named, limit=10, filters="eq(name,w)")
    listing.sort_by.key = "created_at"
    of_workflow = event_pb2.WorkflowExecutionEventRequest()
    of_workflow.event.execution_id.CopyFrom(EXECUTION)
    of_node = event_pb2.NodeExecutionEventRequest()
    of_node.event.id.execution_id.CopyFrom(EXECUTION)
    of_node.event.id.node_id = "n0"
    of_task = event_pb2.TaskExecutionEventRequest()
    of_task.event.task_id.CopyFrom(raw.identifier(identifier_pb2.TASK, "t", version))
    of_task.event.parent_node_execution_id.CopyFrom(of_node.event.id)
    for one in (of_workflow, of_node, of_task):
        one.event.phase = 2
        one.event.occurred_at.GetCurrentTime()
    return [
        (f"{ADMIN}CreateLaunchPlan", plan),
        (f"{ADMIN}UpdateLaunchPlan", launch_plan_pb2.LaunchPlanUpdateRequest(id=plan.id, state=1)),
        (f"{ADMIN}RegisterProject", project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="p", name="p"))),
        (f"{ADMIN}CreateWorkflowEvent", of_workflow),
        (f"{ADMIN}CreateNodeEvent", of_node),
        (f"{ADMIN}CreateTaskEvent", of_task),
        *((f"{ADMIN}List{kind}", listing) for kind in ("Executions", "Workflows", "Tasks", "LaunchPlans")),
        (
            f"{ADMIN}ListNodeExecutions",
            node_execution_pb2.NodeExecutionListRequest(
                workflow_execution_id=EXECUTION, limit=5, filters="eq(phase,SUCCEEDED)"
            ),
        ),
        (
            f"{ADMIN}ListNamedEntities",
            common_pb2.NamedEntityListRequest(resource_type=2, project=raw.PROJECT, domain=raw.DOMAIN, limit=5),
        ),
        (f"{ADMIN}GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=EXECUTION)),
        (f"{ADMIN}GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=EXECUTION)),
        (f"{ADMIN}TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=EXECUTION, cause="why not")),
        (f"{ADMIN}RelaunchExecution", execution_pb2.ExecutionRelaunchRequest(id=EXECUTION)),
        (f"{ADMIN}RecoverExecution", execution_pb2.ExecutionRecoverRequest(id=EXECUTION)),
        (
            f"{DATA_PROXY}CreateUploadLocation",
            dataproxy_pb2.CreateUploadLocationRequest(
                project=raw.PROJECT, domain=raw.DOMAIN, filename="a", content_md5=b"0123456789abcdef"
            ),
        ),
        (
            f"{DATA_PROXY}GetData",
            dataproxy_pb2.GetDataRequest(flyte_url="flyte://v1/flytesnacks/development/x1/n0/0/i"),
        ),
        (
            f"{DATA_PROXY}CreateDownloadLink",
            dataproxy_pb2.CreateDownloadLinkRequest(artifact_type=1, node_execution_id=of_node.event.id),
        ),
    ]


def test_requests_one_step_from_good_are_not_our_fault_either(plane: Plane) -> None:
    luck = random.Random(SEED)
    version = uuid.UUID(int=luck.getrandbits(128)).hex
    raw.register(plane, "w", version, ["true"], [[], [0]])
    raw.admin(plane).CreateTask(raw.task_request("t", version, ["true"], ["node"]))
    raw.start(plane, version, EXECUTION.name, "w")

    async def act(caller: Caller) -> None:
        for _ in range(ROUNDS):
            sent = [(path, hostile.varied(request, luck)) for path, request in requests(version)]
            await asyncio.gather(*(caller(path, request.SerializeToString()) for path, request in sent))

    assert run(plane, act).codes["OK"] > 0
    assert_all_end(plane)


def definitions(version: str) -> tuple[task_pb2.TaskCreateRequest, workflow_pb2.WorkflowCreateRequest]:
    """A task and a workflow of two nodes of it."""
    task = raw.task_request("t", version, ["sh", "-c", "exit 0", "{{.inputs.node}}"], ["node"])
    task.spec.template.container.env.add(key="A", value="b")
    task.spec.template.container.resources.requests.add(name=1, value="100m")
    return task, raw.workflow_request("w", version, "t", [[], [0]])


def test_hostile_definitions_and_launches_stop_nobody_elses_work(plane: Plane) -> None:
    luck = random.Random(SEED)
    ran = Counter[str]()

    async def attempt(caller: Caller, index: int) -> None:
        """Register what may be odd, and run it if it was taken."""
        version = f"v{index}"
        task, workflow = definitions(version)
        launch = execution_pb2.ExecutionCreateRequest(project=raw.PROJECT, domain=raw.DOMAIN, name=f"odd{index}")
        launch.spec.launch_plan.CopyFrom(raw.identifier(identifier_pb2.LAUNCH_PLAN, "w", version))
        launch.spec.envs.values.add(key="B", value="c")
        spec = luck.choice((task.spec, workflow.spec, launch.spec))
        spec.CopyFrom(hostile.varied(spec, luck))
        for method, request in (("CreateTask", task), ("CreateWorkflow", workflow), ("CreateExecution", launch)):
            if not await caller(f"{ADMIN}{method}", request.SerializeToString()):
                return
        ran["odd"] += 1

    async def act(caller: Caller) -> None:
        for start in range(0, 4 * ROUNDS, 20):
            await asyncio.gather(*(attempt(caller, index) for index in range(start, start + 20)))

    # Somebody else's work, under way all the time.
    raw.register(plane, "good", "v", ["sleep", "0.3"], [[], [0], [1], [2], [3], [4]])
    good = [f"good{index}" for index in range(8)]
    for name in good:
        raw.start(plane, "v", name, "good")
    run(plane, act)
    assert ran["odd"] > 0
    assert raw.wait_all(plane, good, 60) == dict.fromkeys(good, "SUCCEEDED"), f"HOSTILE_SEED={SEED}\n{plane.tail()}"
    assert_all_end(plane)
    assert "supervisor_died" not in plane.log.read_text(), f"HOSTILE_SEED={SEED}"


def assert_all_end(plane: Plane) -> None:
    """Every execution comes to an end, whatever it was; one that was told to wait at a gate when it is terminated."""
    listing = common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=raw.PROJECT, domain=raw.DOMAIN), limit=10_000
    )
    names = [one.id.name for one in raw.admin(plane).ListExecutions(listing).executions]
    phases = raw.wait_all(plane, names, 90)
    left = {name: phase for name, phase in phases.items() if phase not in raw.TERMINAL}
    assert names
    waiting = [name for name in left if waits_at_a_gate(plane, name)]
    for name in waiting:
        id = identifier_pb2.WorkflowExecutionIdentifier(project=raw.PROJECT, domain=raw.DOMAIN, name=name)
        raw.admin(plane).TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=id, cause="it waits"))
    assert raw.wait_all(plane, waiting, 30) == dict.fromkeys(waiting, "ABORTED")
    left = {name: phase for name, phase in left.items() if name not in waiting}
    assert not left, f"HOSTILE_SEED={SEED}\n{left}\n{plane.tail()}"


_TASK = ("CreateTask", task_pb2.TaskCreateRequest)
_WORKFLOW = ("CreateWorkflow", workflow_pb2.WorkflowCreateRequest)
_PLAN = ("CreateLaunchPlan", launch_plan_pb2.LaunchPlanCreateRequest)
_LAUNCH = ("CreateExecution", execution_pb2.ExecutionCreateRequest)
_TYPE = "spec.template.interface.inputs.variables.value.type"
_NODES = "spec.template.nodes"

SELF_CONTAINING = [
    (*_TASK, _TYPE, "collection_type"),
    (*_TASK, _TYPE, "union_type.variants"),
    (*_TASK, "spec.template.custom", "fields.value.struct_value"),
    (*_WORKFLOW, _NODES, "branch_node.if_else.case.then_node"),
    (*_WORKFLOW, f"{_NODES}.branch_node.if_else.case.condition", "conjunction.left_expression"),
    (*_WORKFLOW, f"{_NODES}.inputs.binding", "collection.bindings"),
    (*_LAUNCH, "inputs.literals.value", "collection.literals"),
    (*_PLAN, "spec.default_inputs.parameters.value.default", "collection.literals"),
]
"""What can contain itself: in which request, where, and through which fields."""


@pytest.mark.parametrize("levels", [10, 25, 45, 95, 20_000])
def test_what_contains_itself_over_and_over_is_answered(plane: Plane, levels: int) -> None:
    raw.register(plane, "w", "v", ["true"], [[]])
    calls: list[tuple[str, bytes]] = []
    for method, request, place, loop in SELF_CONTAINING:
        around = _numbers(request.DESCRIPTOR, place)
        within = _numbers(_message_at(request.DESCRIPTOR, place), loop)
        calls.append((f"{ADMIN}{method}", _head(method) + _nested(around + within * levels)))

    async def act(caller: Caller) -> None:
        for method, data in calls:
            await caller(method, data)

    run(plane, act)
    raw.start(plane, "v", "after", "w")
    assert raw.wait_all(plane, ["after"], 30) == {"after": "SUCCEEDED"}


def _head(method: str) -> bytes:
    """The beginning of a request, which is good so far; what follows is merged into it."""
    match method:
        case "CreateTask":
            return raw.task_request("deep", "v", ["true"]).SerializeToString()
        case "CreateWorkflow":
            return workflow_pb2.WorkflowCreateRequest(
                id=raw.identifier(identifier_pb2.WORKFLOW, "deep", "v")
            ).SerializeToString()
        case "CreateLaunchPlan":
            plan = launch_plan_pb2.LaunchPlanCreateRequest(id=raw.identifier(identifier_pb2.LAUNCH_PLAN, "deep", "v"))
            plan.spec.workflow_id.CopyFrom(raw.identifier(identifier_pb2.WORKFLOW, "w", "v"))
            return plan.SerializeToString()
        case _:
            launch = execution_pb2.ExecutionCreateRequest(project=raw.PROJECT, domain=raw.DOMAIN)
            launch.spec.launch_plan.CopyFrom(raw.identifier(identifier_pb2.LAUNCH_PLAN, "w", "v"))
            return launch.SerializeToString()


def _message_at(message: Descriptor, place: str) -> Descriptor:
    for name in place.split("."):
        message = message.fields_by_name[name].message_type
    return message


def _numbers(message: Descriptor, place: str) -> list[int]:
    """The numbers of the fields on a way into a message; `value` steps through a map's entry."""
    numbers: list[int] = []
    for name in place.split("."):
        field = message.fields_by_name[name]
        numbers.append(field.number)
        message = field.message_type
    return numbers


def _nested(numbers: Sequence[int]) -> bytes:
    """One message per number, each in the one before, by hand: no library makes them this deep."""
    size = 0
    heads: list[bytes] = []
    for number in reversed(numbers):
        head = _varint(number << 3 | 2) + _varint(size)
        heads.append(head)
        size += len(head)
    return b"".join(reversed(heads))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def waits_at_a_gate(plane: Plane, execution: str) -> bool:
    """Whether nothing but gates is under way in it: for a century, say, or for a signal that nobody gives."""
    request = service_pb2.GetExecutionStateRequest()
    request.id.project, request.id.domain, request.id.name = raw.PROJECT, raw.DOMAIN, execution
    with grpc.insecure_channel(plane.grpc) as channel:
        state = service_pb2_grpc.PropellerServiceStub(channel).GetExecutionState(request, timeout=10)
    under_way = {node.kind for node in state.nodes if node.phase in ("QUEUED", "RUNNING")}
    return under_way == {"gate"}
