"""The one table from our errors to gRPC statuses, with the details that Flyte's clients look for, and back.

Nothing else names a status code. What is not in the tree of `sailplane_core.errors` is a fault of ours: it leaves as
INTERNAL with an id and nothing more. It never leaves as UNKNOWN, which flytekit takes for "log in again".
"""

from dataclasses import dataclass
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import status_pb2  # pyright: ignore[reportMissingTypeStubs]
from grpc import StatusCode
from sailplane_core import errors
from sailplane_protos.admin import event_pb2, project_pb2, workflow_pb2

from .flyte_names import flyte_name

DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata that carries a serialised `google.rpc.Status`, by agreement of all gRPC implementations."""

STATUS_BYTES_MAX = 6 * 1024
"""What a status may take in the trailing metadata, as it is encoded there.

A client refuses metadata above its own limit, 8 KiB unless it says otherwise, and then sees RESOURCE_EXHAUSTED in place
of the error. So a longer message is cut.
"""

CODES: dict[type[errors.SailplaneError], StatusCode] = {
    errors.InvalidRequest: StatusCode.INVALID_ARGUMENT,
    errors.CompileFailed: StatusCode.INVALID_ARGUMENT,
    errors.DifferentStructure: StatusCode.INVALID_ARGUMENT,
    errors.InactiveProject: StatusCode.INVALID_ARGUMENT,
    errors.NotFound: StatusCode.NOT_FOUND,
    errors.AlreadyExists: StatusCode.ALREADY_EXISTS,
    errors.IdenticalStructure: StatusCode.ALREADY_EXISTS,
    errors.ConcurrencyLimitReached: StatusCode.ALREADY_EXISTS,
    errors.Refused: StatusCode.FAILED_PRECONDITION,
    errors.AlreadyTerminal: StatusCode.FAILED_PRECONDITION,
    errors.WrongCluster: StatusCode.FAILED_PRECONDITION,
    errors.LimitReached: StatusCode.RESOURCE_EXHAUSTED,
    errors.Unimplemented: StatusCode.UNIMPLEMENTED,
    errors.StaleVersion: StatusCode.ABORTED,
    errors.Unavailable: StatusCode.UNAVAILABLE,
    errors.Malfunction: StatusCode.UNAVAILABLE,
}
"""Every class by itself, so that a new one is a decision and not an accident."""

_CUT = " [the rest is cut off]"


@dataclass(frozen=True, slots=True)
class Status:
    """What a call ends with. `metadata` is trailing metadata with the details, empty when there are none."""

    code: StatusCode
    message: str
    metadata: tuple[tuple[str, str | bytes], ...] = ()


def status_of(error: errors.SailplaneError, request: Message | None, *, as_flyte: bool) -> Status:
    """The status of an error. `request` is what the call sent, None for a stream.

    `as_flyte`: the call came in under Flyte's name, so the types of the details go by Flyte's names too.
    """
    code = CODES.get(type(error), StatusCode.INTERNAL)
    text = str(error).encode(errors="replace").decode()
    detail = _detail(error, request)
    if detail is None:
        return Status(code, _cut(text, STATUS_BYTES_MAX))
    packed = _pack(detail, as_flyte=as_flyte)
    # The message goes out twice, in plain and within the details, where base64 makes 4 bytes of 3; clients insist that
    # the two are the same.
    message = _cut(text, (STATUS_BYTES_MAX - packed.ByteSize() * 4 // 3) * 3 // 7)
    status = status_pb2.Status(code=_number(code), message=message, details=[packed])
    return Status(code, message, ((DETAILS_KEY, status.SerializeToString()),))


def internal_status(id: str) -> Status:
    """The status of a fault of ours. `id` finds it in the log."""
    return Status(StatusCode.INTERNAL, f"internal error {id}; the server's log says more")


_TRIED_AGAIN = frozenset(
    {StatusCode.ABORTED, StatusCode.CANCELLED, StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE}
)
"""What a call may end with although nothing is wrong with the request, nor with the service."""
_FAULTS = frozenset({StatusCode.DATA_LOSS, StatusCode.INTERNAL, StatusCode.UNKNOWN})
"""What a call ends with by a fault of the service."""


def error_of(code: StatusCode, message: str, *, asked: str, kind: str, id: str) -> errors.SailplaneError:
    """What the status of a call of ours means. `asked` is the service that was called, `kind` and `id` about what."""
    if code in _TRIED_AGAIN:
        return errors.Unavailable(f"{asked} ({code.name}: {message})")
    if code in _FAULTS:
        return errors.Malfunction(f"{asked} ({code.name}: {message})")
    match code:
        case StatusCode.INVALID_ARGUMENT:
            return errors.InvalidRequest(message)
        case StatusCode.NOT_FOUND:
            return errors.NotFound(kind, id, message)
        case StatusCode.ALREADY_EXISTS:
            return errors.AlreadyExists(kind, id, message)
        case StatusCode.RESOURCE_EXHAUSTED if "larger than max" in message:  # gRPC's own, and so it stays
            return errors.InvalidRequest(f"{kind} {id} is more than {asked} takes in one request: {message}")
        case StatusCode.RESOURCE_EXHAUSTED:
            return errors.LimitReached(message.removeprefix("limit reached: "))
        case StatusCode.UNIMPLEMENTED:
            return errors.Unimplemented(message)
        case _:
            return errors.Refused(f"{code.name}: {message}" if code is not StatusCode.FAILED_PRECONDITION else message)


def _detail(error: errors.SailplaneError, request: Message | None) -> Message | None:
    """What Flyte attaches to this error. For structures only CreateWorkflow has it, whose request says the id."""
    match error:
        case errors.AlreadyTerminal():
            terminal = event_pb2.EventErrorAlreadyInTerminalState(current_phase=error.phase)
            return event_pb2.EventFailureReason(already_in_terminal_state=terminal)
        case errors.WrongCluster():
            cluster = event_pb2.EventErrorIncompatibleCluster(cluster=error.recorded)
            return event_pb2.EventFailureReason(incompatible_cluster=cluster)
        case errors.InactiveProject():
            return project_pb2.InactiveProject(id=error.project)
        case errors.DifferentStructure() if isinstance(request, workflow_pb2.WorkflowCreateRequest):
            different = workflow_pb2.WorkflowErrorExistsDifferentStructure(id=request.id)
            return workflow_pb2.CreateWorkflowFailureReason(exists_different_structure=different)
        case errors.IdenticalStructure() if isinstance(request, workflow_pb2.WorkflowCreateRequest):
            identical = workflow_pb2.WorkflowErrorExistsIdenticalStructure(id=request.id)
            return workflow_pb2.CreateWorkflowFailureReason(exists_identical_structure=identical)
        case _:
            return None


def _pack(detail: Message, *, as_flyte: bool) -> AnyMessage:
    ours: str = detail.DESCRIPTOR.full_name
    name = (flyte_name(ours) or ours) if as_flyte else ours
    return AnyMessage(type_url=f"type.googleapis.com/{name}", value=detail.SerializeToString())


def _cut(message: str, bytes_max: int) -> str:
    """`message`, cut to `bytes_max` bytes as gRPC encodes it, which makes three of each that is not plain text."""
    message = message[: bytes_max + 1]  # a character takes a byte at least, so this much is enough to look at
    if sum(map(_encoded_bytes, message)) <= bytes_max:
        return message
    left = bytes_max - len(_CUT)
    for end, character in enumerate(message):
        left -= _encoded_bytes(character)
        if left < 0:
            return message[:end] + _CUT
    return message


def _encoded_bytes(character: str) -> int:
    return 1 if " " <= character <= "~" and character != "%" else 3 * len(character.encode())


def _number(code: StatusCode) -> int:
    value: Any = code.value
    return value[0]
