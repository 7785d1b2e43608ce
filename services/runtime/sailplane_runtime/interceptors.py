"""What happens around every RPC: its request is decoded, its handler called, its errors told, its time taken.

This wraps each handler once, when it is registered, instead of being an interceptor of gRPC's, which would be asked to
wrap it again at every call. It takes and gives bytes, because gRPC answers UNKNOWN when its own (de)serialisation
fails. The log has one line for each call that failed or was slow, at the level `debug` one for every call; never what
was asked or answered.
"""

import secrets
import time
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from grpc import aio
from sailplane_core.errors import InvalidRequest, SailplaneError

from .grpc_errors import Status, internal_status, status_of

log = structlog.get_logger(__name__)

Context = aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Context], Any]


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC as it is called: `name` is `/package.Service/Method`, under our name or Flyte's."""

    name: str
    request: type[Message]
    response: type[Message]
    takes_stream: bool
    gives_stream: bool
    as_flyte: bool


def guarded(method: Method, handler: Handler, slow_s: float) -> "grpc.RpcMethodHandler[Any, Any]":
    """The handler with everything around it, as gRPC takes it. Calls that took longer than `slow_s` are logged."""
    guard = _Guard(method, handler, slow_s)
    if method.takes_stream:
        if method.gives_stream:
            return grpc.stream_stream_rpc_method_handler(guard.stream_stream)
        return grpc.stream_unary_rpc_method_handler(guard.stream_unary)
    if method.gives_stream:
        return grpc.unary_stream_rpc_method_handler(guard.unary_stream)
    return grpc.unary_unary_rpc_method_handler(guard.unary_unary)


class _Guard:
    def __init__(self, method: Method, handler: Handler, slow_s: float) -> None:
        self._method = method
        self._handler = handler
        self._slow_s = slow_s
        self._decode = method.request.FromString

    async def unary_unary(self, data: bytes, context: Context) -> bytes:
        begun = time.perf_counter()
        request = None
        try:
            request = self._decode(data)
            reply = await self._handler(request, context)
            encoded = reply.SerializeToString()
        except BaseException as error:
            await self._fail(error, request, context, begun)
        self._succeeded(begun)
        return encoded

    async def stream_unary(self, incoming: AsyncIterator[bytes], context: Context) -> bytes:
        begun = time.perf_counter()
        try:
            reply = await self._handler(self._decoded(incoming), context)
            encoded = reply.SerializeToString()
        except BaseException as error:
            await self._fail(error, None, context, begun)
        self._succeeded(begun)
        return encoded

    async def unary_stream(self, data: bytes, context: Context) -> AsyncIterator[bytes]:
        begun = time.perf_counter()
        request = None
        try:
            request = self._decode(data)
            async for reply in self._handler(request, context):
                yield reply.SerializeToString()
        except BaseException as error:
            await self._fail(error, request, context, begun)
        self._succeeded(begun, is_stream=True)

    async def stream_stream(self, incoming: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        begun = time.perf_counter()
        try:
            async for reply in self._handler(self._decoded(incoming), context):
                yield reply.SerializeToString()
        except BaseException as error:
            await self._fail(error, None, context, begun)
        self._succeeded(begun, is_stream=True)

    async def _decoded(self, incoming: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for data in incoming:
            yield self._decode(data)

    def _succeeded(self, begun: float, *, is_stream: bool = False) -> None:
        seconds = time.perf_counter() - begun
        if seconds > self._slow_s and not is_stream:  # a stream lasts as long as somebody listens
            log.warning("slow call", method=self._method.name, ms=_ms(seconds))
        else:
            log.debug("call", method=self._method.name, ms=_ms(seconds))

    async def _fail(self, error: BaseException, request: Message | None, context: Context, begun: float) -> NoReturn:
        """End the call with the status of `error`; what is no error of a handler goes on to gRPC."""
        if isinstance(error, aio.AbortError | CancelledError | GeneratorExit) or not isinstance(error, Exception):
            raise error
        status = self._status(error, request, begun)
        await context.abort(status.code, status.message, status.metadata)

    def _status(self, error: Exception, request: Message | None, begun: float) -> Status:
        method, ms = self._method.name, _ms(time.perf_counter() - begun)
        if isinstance(error, DecodeError):
            error = InvalidRequest(f"the request is not a well-formed {self._method.request.DESCRIPTOR.full_name}")
        if isinstance(error, SailplaneError):
            status = status_of(error, request, as_flyte=self._method.as_flyte)
            if status.code is not grpc.StatusCode.INTERNAL:
                log.info("call failed", method=method, code=status.code.name, ms=ms, error=status.message)
                return status
        id = secrets.token_hex(8)
        log.error("internal error", method=method, id=id, ms=ms, exc_info=error)
        return internal_status(id)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
