"""What happens around every RPC: its request is decoded, its handler called, its errors told, its time taken.

A `Guard` does so once for every door that an RPC is called through. This wraps each handler once, when it is
registered, instead of being an interceptor of gRPC's, which would be asked to wrap it again at every call. It takes and
gives what the door has, because gRPC answers UNKNOWN when its own (de)serialisation fails. The log has one line for
each call that failed or was slow, at the level `debug` one for every call; never what was asked or answered.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from grpc import aio
from sailplane_core.errors import InvalidRequest, SailplaneError

from .grpc_errors import Status, internal_status, status_of

log = structlog.get_logger(__name__)

T = TypeVar("T")
Handler = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC as it is called: `name` is `/package.Service/Method`, under our name or Flyte's."""

    name: str
    request: type[Message]
    response: type[Message]
    takes_stream: bool
    gives_stream: bool
    as_flyte: bool


class CallFailed(Exception):
    """How a call ends that went wrong. It is in the log already; the door has only to tell it."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.code, status.message)
        self.status = status


class Guard:
    """An RPC with everything around it, for any door. Calls that took longer than `slow_s` are logged.

    `read` gives the request, or the iterator of requests of a method that takes a stream; `write` makes of a reply what
    the door sends. What either raises counts as raised by the handler.
    """

    def __init__(self, method: Method, handler: Handler, slow_s: float) -> None:
        self.method = method
        self._handler = handler
        self._slow_s = slow_s

    async def answer(self, read: Callable[[], Any], context: Any, write: Callable[[Any], T]) -> T:
        """The reply of a method that gives one. Raises `CallFailed`."""
        begun = time.perf_counter()
        request = None
        try:
            request = read()
            written = write(await self._handler(request, context))
        except Exception as error:
            raise self._failed(error, request, begun) from error
        self._succeeded(begun)
        return written

    async def answers(
        self, read: Callable[[], Any], context: Any, write: Callable[[Any], T]
    ) -> AsyncGenerator[T, None]:
        """The replies of a method that gives a stream. Close it to end the handler. Raises `CallFailed`."""
        begun = time.perf_counter()
        request = None
        try:
            request = read()
            async with aclosing(self._handler(request, context)) as replies:
                async for reply in replies:
                    yield write(reply)
        except Exception as error:
            raise self._failed(error, request, begun) from error
        self._succeeded(begun, is_stream=True)

    def _succeeded(self, begun: float, *, is_stream: bool = False) -> None:
        seconds = time.perf_counter() - begun
        if seconds > self._slow_s and not is_stream:  # a stream lasts as long as somebody listens
            log.warning("slow call", method=self.method.name, ms=_ms(seconds))
        else:
            log.debug("call", method=self.method.name, ms=_ms(seconds))

    def _failed(self, error: Exception, request: object, begun: float) -> Exception:
        """What the door is to be told. What a handler had gRPC abort is over already and goes on to gRPC as it is."""
        if isinstance(error, aio.AbortError):
            return error
        return CallFailed(self._status(error, request if isinstance(request, Message) else None, begun))

    def _status(self, error: Exception, request: Message | None, begun: float) -> Status:
        method, ms = self.method.name, _ms(time.perf_counter() - begun)
        if isinstance(error, DecodeError):
            error = InvalidRequest(f"the request is not a well-formed {self.method.request.DESCRIPTOR.full_name}")
        if isinstance(error, SailplaneError):
            status = status_of(error, request, as_flyte=self.method.as_flyte)
            if status.code is not grpc.StatusCode.INTERNAL:
                log.info("call failed", method=method, code=status.code.name, ms=ms, error=status.message)
                return status
        id = secrets.token_hex(8)
        log.error("internal error", method=method, id=id, ms=ms, exc_info=error)
        return internal_status(id)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
