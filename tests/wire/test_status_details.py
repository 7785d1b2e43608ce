"""Some errors carry a message for the client to act upon, under the names that the client called us by."""

from typing import Any

import grpc
import pytest
from compat import raw
from compat.plane import Plane
from flyteidl.admin import event_pb2, execution_pb2, project_pb2, workflow_pb2
from flyteidl.core import execution_pb2 as phases_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc import StatusCode
from wire import good

ALREADY_TERMINAL = event_pb2.EventFailureReason(
    already_in_terminal_state=event_pb2.EventErrorAlreadyInTerminalState(current_phase="SUCCEEDED")
)
ARCHIVED = project_pb2.InactiveProject(id=good.ARCHIVED)


def again(value: int) -> workflow_pb2.WorkflowCreateRequest:
    request = raw.workflow_request("w", good.VERSION, "t", [[], [0]])
    request.spec.template.nodes[0].inputs[0].binding.scalar.primitive.integer = value
    return request


def ended(request: Any, path: str) -> Message:
    """An event of what has ended."""
    here = request.event
    for name in path.split("."):
        here = getattr(here, name)
    here.CopyFrom(good.execution_id())
    return request


def attempt_again() -> event_pb2.TaskExecutionEventRequest:
    request = good.task_event()
    request.event.parent_node_execution_id.CopyFrom(good.node_id())
    request.event.retry_attempt = 0
    request.event.phase = phases_pb2.TaskExecution.RUNNING
    return request


def archived(method: str, field: str = "id.project") -> Message:
    return good.spoiled(good.REQUESTS[method](), field, good.ARCHIVED)


def same(id: Any) -> workflow_pb2.CreateWorkflowFailureReason:
    return workflow_pb2.CreateWorkflowFailureReason(
        exists_identical_structure=workflow_pb2.WorkflowErrorExistsIdenticalStructure(id=id)
    )


def other(id: Any) -> workflow_pb2.CreateWorkflowFailureReason:
    return workflow_pb2.CreateWorkflowFailureReason(
        exists_different_structure=workflow_pb2.WorkflowErrorExistsDifferentStructure(id=id)
    )


WORKFLOW = good.id_of(good.WORKFLOW, "w")
CASES: dict[str, tuple[str, Message, StatusCode, Message]] = {
    "the same workflow": ("CreateWorkflow", again(0), StatusCode.ALREADY_EXISTS, same(WORKFLOW)),
    "another workflow": ("CreateWorkflow", again(5), StatusCode.INVALID_ARGUMENT, other(WORKFLOW)),
    "an ended execution": (
        "CreateWorkflowEvent",
        ended(good.workflow_event(), "execution_id"),
        StatusCode.FAILED_PRECONDITION,
        ALREADY_TERMINAL,
    ),
    "an ended node": (
        "CreateNodeEvent",
        good.spoiled(good.node_event(), "event.id", good.node_id()),
        StatusCode.FAILED_PRECONDITION,
        ALREADY_TERMINAL,
    ),
    "an ended attempt": ("CreateTaskEvent", attempt_again(), StatusCode.FAILED_PRECONDITION, ALREADY_TERMINAL),
    "no end of an ended execution": (
        "TerminateExecution",
        execution_pb2.ExecutionTerminateRequest(id=good.execution_id()),
        StatusCode.FAILED_PRECONDITION,
        ALREADY_TERMINAL,
    ),
    **{
        f"{method} in an archived project": (method, archived(method), StatusCode.INVALID_ARGUMENT, ARCHIVED)
        for method in ("CreateTask", "CreateWorkflow", "CreateLaunchPlan")
    },
    "CreateExecution in an archived project": (
        "CreateExecution",
        archived("CreateExecution", "project"),
        StatusCode.INVALID_ARGUMENT,
        ARCHIVED,
    ),
}


def failure(plane: Plane, package: str, method: str, request: Message) -> Any:
    with grpc.insecure_channel(plane.grpc) as channel:
        call: Any = channel.unary_unary(f"/{package}.service.AdminService/{method}")
        with pytest.raises(grpc.RpcError) as caught:
            call(request.SerializeToString(), timeout=20)
    return caught.value


def status_of(error: Any) -> status_pb2.Status | None:
    data = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    return status_pb2.Status.FromString(data[0]) if data else None


@pytest.mark.parametrize("package", ["flyteidl", "sailplane"])
@pytest.mark.parametrize("case", CASES)
def test_the_reason_goes_with_the_status(world: Plane, package: str, case: str) -> None:
    method, request, code, reason = CASES[case]
    error = failure(world, package, method, request)
    status = status_of(error)
    assert status is not None, error
    assert (error.code(), status.code, status.message) == (code, code.value[0], error.details())
    (detail,) = status.details
    name = reason.DESCRIPTOR.full_name.replace("flyteidl", package)
    assert detail.type_url == f"type.googleapis.com/{name}"
    assert type(reason).FromString(detail.value) == reason


@pytest.mark.parametrize("method", ["CreateTask", "CreateLaunchPlan"])
def test_only_a_workflow_says_what_it_is_that_exists(world: Plane, method: str) -> None:
    # Flyte attaches nothing here, and clients look at the code alone.
    request = good.REQUESTS[method]()
    raw_call = getattr(raw.admin(world), method)
    raw_call(request)
    error = failure(world, "flyteidl", method, request)
    assert error.code() is StatusCode.ALREADY_EXISTS
    assert status_of(error) is None


def test_a_long_reason_arrives_at_a_client_with_ordinary_limits(world: Plane) -> None:
    name = "n" * 255
    request = raw.workflow_request(name, "v" * 255, "t", [[] for _ in range(200)])
    request.id.project, request.id.domain = good.PROJECT, good.DOMAIN
    request.spec.template.nodes[0].task_node.reference_id.version = good.VERSION
    for node in request.spec.template.nodes:
        node.task_node.reference_id.version = good.VERSION
    raw.admin(world).CreateWorkflow(request)
    for node in request.spec.template.nodes:
        node.inputs[0].binding.scalar.primitive.integer += 1
    error = failure(world, "flyteidl", "CreateWorkflow", request)
    assert error.code() is StatusCode.INVALID_ARGUMENT
    status = status_of(error)
    assert status is not None
    assert workflow_pb2.CreateWorkflowFailureReason.FromString(status.details[0].value) == other(request.id)
