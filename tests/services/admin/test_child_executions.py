"""What launch-plan nodes ask of admin, over gRPC and on real tables, and what a child's end means for the node."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio
from sailplane_admin import execution_orders, executions
from sailplane_admin.handlers.admin_service import AdminHandlers
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import LimitReached, Unavailable
from sailplane_core.failures import MESSAGE_BYTES_MAX, FailureKind
from sailplane_core.ids import EntityId, ExecutionId
from sailplane_core.machine import ChildEnded
from sailplane_core.phases import ExecutionPhase
from sailplane_propeller import children
from sailplane_propeller.admin_client import AdminClient
from sailplane_propeller.children import Caller
from sailplane_protos.admin import execution_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_protos.core import literals_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_protos.service import admin_pb2_grpc
from services.runtime.serving import serving

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

PLAN = EntityId.of(registry.plan_id("chain"))
CALLER = Caller(requests.KEY, "n0", 0, queue_pb2.Start())
ERROR = phases_pb2.ExecutionError


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With the execution `x`, whose node `n0` is to start the launch plan `chain`."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    return ports


@pytest.fixture
async def client(admin: AdminPorts) -> AsyncIterator[AdminClient]:
    """How propeller calls this admin."""
    async with serving(AdminHandlers(admin)) as channel:
        yield AdminClient(channel)


def inputs(a: int | str = 1) -> literals_pb2.LiteralMap:
    made = literals_pb2.LiteralMap()
    if isinstance(a, int):
        made.literals["a"].scalar.primitive.integer = a
    else:
        made.literals["a"].scalar.primitive.string_value = a
    return made


async def child(ports: AdminPorts) -> execution_pb2.Execution:
    return await executions.get(ports, execution_pb2.WorkflowExecutionGetRequest(id=CALLER.child.to_message()))


async def record(ports: AdminPorts, id: ExecutionId, phase: ExecutionPhase, **more: Any) -> None:
    await requests.record(ports, requests.workflow_event(phase, 1, **more), id=id)


async def told(ports: AdminPorts) -> ChildEnded:
    """What the parent's engine reads out of the one message it got about a child."""
    pending = await ports.store.pending(execution_orders.TOPIC)
    orders = [queue_pb2.ExecutionCommand.FromString(message.payload) for message in pending]
    [ended] = [order.child_ended for order in orders if order.HasField("child_ended")]
    return children.end_told(ended)


async def test_a_child_runs_as_its_parent_was_told_to(admin: AdminPorts, client: AdminClient) -> None:
    start = queue_pb2.Start(
        labels={"team": "red"},
        annotations={"note": "a"},
        envs={"B": "2", "A": "1"},
        max_parallelism=7,
        overwrite_cache=True,
        raw_output_prefix="s3://raw",
    )
    start.interruptible.value = False
    start.security_context.run_as.k8s_service_account = "robot"
    assert await children.launch(client, Caller(requests.KEY, "n0", 0, start), PLAN, inputs(4)) is None
    spec = (await child(admin)).spec
    assert spec.metadata.mode == execution_pb2.ExecutionMetadata.CHILD_WORKFLOW
    assert spec.metadata.parent_node_execution == requests.node_id()
    assert spec.metadata.nesting == 1
    assert spec.launch_plan == PLAN.to_message()
    assert (dict(spec.labels.values), dict(spec.annotations.values)) == ({"team": "red"}, {"note": "a"})
    assert [(pair.key, pair.value) for pair in spec.envs.values] == [("A", "1"), ("B", "2")]
    assert (spec.max_parallelism, spec.overwrite_cache) == (7, True)
    assert spec.HasField("interruptible")
    assert not spec.interruptible.value
    assert spec.security_context.run_as.k8s_service_account == "robot"
    assert spec.raw_output_data_config.output_location_prefix == "s3://raw"


async def test_starting_a_child_twice_starts_one(admin: AdminPorts, client: AdminClient) -> None:
    for _ in range(2):
        assert await children.launch(client, CALLER, PLAN, inputs()) is None
    started = [
        message.key for message in await admin.store.pending(execution_orders.TOPIC) if message.key != str(requests.KEY)
    ]
    assert started == [str(CALLER.child)]


@pytest.mark.parametrize(
    ("plan", "given", "says"),
    [
        ("none", inputs(), "missing entity of type LAUNCH_PLAN"),
        ("chain", inputs("text"), "a input wrong type"),
        ("chain", literals_pb2.LiteralMap(), "expected_inputs a missing"),
    ],
)
async def test_a_child_that_cannot_be_is_the_users_failure(
    client: AdminClient, plan: str, given: literals_pb2.LiteralMap, says: str
) -> None:
    failure = await children.launch(client, CALLER, EntityId.of(registry.plan_id(plan)), given)
    assert failure is not None
    assert (failure.code, failure.kind, failure.retryable) == ("RuntimeExecutionError", FailureKind.USER, False)
    assert says in failure.message
    assert "n0" in failure.message


async def test_inputs_that_admin_does_not_take_fail_the_node_and_are_not_tried_for_ever(admin: AdminPorts) -> None:
    async with serving(AdminHandlers(admin), message_bytes_max=1000) as channel:
        failure = await children.launch(AdminClient(channel), CALLER, PLAN, inputs("x" * 2000))
    assert failure is not None
    assert "more than admin takes in one request" in failure.message


class Broken(admin_pb2_grpc.AdminServiceServicer):
    """An admin that answers every call with one status."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    async def CreateExecution(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The status."""
        await context.abort(self._code, "no")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INTERNAL, Unavailable),
        (grpc.StatusCode.UNKNOWN, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Unavailable),
        (grpc.StatusCode.CANCELLED, Unavailable),
        (grpc.StatusCode.DATA_LOSS, Unavailable),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, LimitReached),
        (grpc.StatusCode.PERMISSION_DENIED, None),
    ],
)
async def test_what_may_pass_is_tried_again(code: grpc.StatusCode, error: type[Exception] | None) -> None:
    server = aio.server()
    admin_pb2_grpc.add_AdminServiceServicer_to_server(Broken(code), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        if error is not None:
            with pytest.raises(error):
                await children.launch(AdminClient(channel), CALLER, PLAN, inputs())
        else:
            assert await children.launch(AdminClient(channel), CALLER, PLAN, inputs()) is not None
    await server.stop(None)


# Recovering


async def test_a_child_is_recovered_out_of_the_earlier_one(admin: AdminPorts, client: AdminClient) -> None:
    await executions.create(admin, requests.create("old", a=7))
    old = ExecutionId(registry.PROJECT, registry.DOMAIN, "old")
    for _ in range(2):
        assert await children.launch(client, CALLER, PLAN, inputs(), recovers=[old]) is None
    spec = (await child(admin)).spec
    assert spec.metadata.mode == execution_pb2.ExecutionMetadata.RECOVERED
    assert spec.metadata.parent_node_execution == requests.node_id()
    assert spec.metadata.reference_execution == old.to_message()
    pending = await admin.store.pending(execution_orders.TOPIC)
    order = queue_pb2.ExecutionCommand.FromString(pending[-1].payload)
    assert (order.execution_id, order.start.recover_from) == (CALLER.child.to_message(), old.to_message())


async def test_a_child_whose_original_is_gone_starts_afresh(admin: AdminPorts, client: AdminClient) -> None:
    ghost = ExecutionId(registry.PROJECT, registry.DOMAIN, "ghost")
    assert await children.launch(client, CALLER, PLAN, inputs(), recovers=[ghost]) is None
    assert (await child(admin)).spec.metadata.mode == execution_pb2.ExecutionMetadata.CHILD_WORKFLOW


# Ending


async def test_terminating(admin: AdminPorts, client: AdminClient) -> None:
    assert await children.terminate(client, CALLER.child, "enough")
    await children.launch(client, CALLER, PLAN, inputs())
    for _ in range(2):
        assert not await children.terminate(client, CALLER.child, "enough")
    assert (await child(admin)).closure.abort_metadata.cause == "enough"
    await record(admin, CALLER.child, ExecutionPhase.ABORTED)
    assert await children.terminate(client, CALLER.child, "enough")


def failed(**error: Any) -> dict[str, Any]:
    return {"error": ERROR(**error)}


@pytest.mark.parametrize(
    ("phase", "end", "uri", "code", "kind", "says"),
    [
        (ExecutionPhase.SUCCEEDED, {"output_uri": "result"}, "result", "", None, ""),
        (ExecutionPhase.SUCCEEDED, {}, "", "", None, ""),
        (
            ExecutionPhase.FAILED,
            failed(code="USER:ValueError", message="no", kind=ERROR.USER),
            "",
            "USER:ValueError",
            FailureKind.USER,
            "failed: no",
        ),
        (
            ExecutionPhase.FAILED,
            failed(code="Evicted", message="gone", kind=ERROR.SYSTEM),
            "",
            "Evicted",
            FailureKind.SYSTEM,
            "failed: gone",
        ),
        (ExecutionPhase.FAILED, {}, "", "LaunchPlanExecutionFailed", FailureKind.USER, "no error was given"),
        (ExecutionPhase.TIMED_OUT, failed(code="Timeout", message="late"), "", "Timeout", FailureKind.USER, "late"),
        (
            ExecutionPhase.ABORTED,
            failed(code="ExecutionAborted", message="enough"),
            "",
            "RemoteChildWorkflowExecutionFailed",
            FailureKind.USER,
            "aborted: enough",
        ),
    ],
)
async def test_the_message_and_a_look_say_the_same_end(
    admin: AdminPorts,
    client: AdminClient,
    phase: ExecutionPhase,
    end: dict[str, Any],
    uri: str,
    code: str,
    kind: FailureKind | None,
    says: str,
) -> None:
    caller = Caller(requests.KEY, "n0", 3, queue_pb2.Start())
    await children.launch(client, caller, PLAN, inputs())
    assert await children.look(client, "n0", caller.child) is None
    await record(admin, caller.child, phase, **end)
    ended = await children.look(client, "n0", caller.child)
    assert await told(admin) == ended
    assert ended is not None
    assert (ended.node_id, ended.child_name) == ("n0", caller.child.name)
    assert (ended.phase, ended.outputs_uri) == (phase, uri)
    if kind is None:
        assert ended.failure is None
    else:
        assert ended.failure is not None
        assert (ended.failure.code, ended.failure.kind, ended.failure.retryable) == (code, kind, False)
        assert says in ended.failure.message
        assert str(caller.child) in ended.failure.message


async def test_a_child_that_is_lost_does_not_hang_its_node(client: AdminClient) -> None:
    ended = await children.look(client, "n0", CALLER.child)
    assert ended is not None
    assert ended.failure is not None
    assert (ended.phase, ended.failure.kind) == (ExecutionPhase.FAILED, FailureKind.SYSTEM)


def test_a_long_error_is_cut() -> None:
    message = queue_pb2.ChildEnded(child=CALLER.child.to_message(), phase=phases_pb2.WorkflowExecution.FAILED)
    message.error.message = "x" * 2 * MESSAGE_BYTES_MAX
    failure = children.end_told(message).failure
    assert failure is not None
    assert len(failure.message) == MESSAGE_BYTES_MAX
