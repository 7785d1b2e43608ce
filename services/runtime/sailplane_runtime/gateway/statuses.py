"""How a failed call looks over HTTP: the number of its status line, and `google.rpc.Status` as the body."""

from typing import Any

from google.rpc import status_pb2  # pyright: ignore[reportMissingTypeStubs]
from grpc import StatusCode

from ..grpc_errors import DETAILS_KEY, Status
from .json_text import any_value

HTTP_STATUSES: dict[StatusCode, int] = {
    StatusCode.OK: 200,
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
}
"""As `google/rpc/code.proto` has it, and grpc-gateway after it."""


def message_of(status: Status) -> Any:
    """The status as `google.rpc.Status`, with its details."""
    found = status_pb2.Status()
    for key, value in status.metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            found.ParseFromString(value)
    code: Any = status.code.value
    found.code, found.message = code[0], status.message
    return found


def value_of(status: Status) -> dict[str, Any]:
    """The status as a JSON value."""
    found = message_of(status)
    return {"code": found.code, "message": found.message, "details": [any_value(detail) for detail in found.details]}
