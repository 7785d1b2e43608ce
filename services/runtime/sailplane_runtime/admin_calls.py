"""Calls of a service to admin: each with a time limit, and with our own errors."""

from collections.abc import Awaitable
from typing import TypeVar

from grpc import aio

from .grpc_errors import error_of

T = TypeVar("T")

TIMEOUT_S = 10.0


async def reply(kind: str, id: str, call: Awaitable[T]) -> T:
    """The reply of a call about something; what went wrong as one of our own errors."""
    try:
        return await call
    except aio.AioRpcError as error:
        raise error_of(error.code(), error.details() or "", asked="admin", kind=kind, id=id) from error
