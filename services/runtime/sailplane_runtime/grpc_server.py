"""The gRPC server of a service, or of several in one process.

Each service is registered under our name and, where Flyte has it, under Flyte's: `sailplane.service.AdminService` and
`flyteidl.service.AdminService` have the same handlers and the same bytes. Health and reflection are added to every
server.
"""

import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import Message
from grpc import aio
from sailplane_core.errors import Refused

from .flyte_names import flyte_name
from .grpc_errors import Status
from .health import SERVICE as HEALTH
from .health import Health
from .interceptors import CallFailed, Guard
from .progress import Progress
from .reflection import V1, V1ALPHA, Reflection
from .rpcs import rpcs_of
from .settings import GrpcSettings

Context = aio.ServicerContext[Any, Any]
RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class GrpcServer:
    """Serves what was added to it. Belongs to the event loop that it was made on."""

    def __init__(self, settings: GrpcSettings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._handlers: dict[str, RpcHandler] = {}
        self._names: dict[str, str] = {}
        self._health: Health | None = None
        self._server: aio.Server | None = None

    def add(self, service: str, servicer: object) -> None:
        """Offer a service, by its full name in our schema. Only before `start`."""
        self._register(service, service, servicer)
        if (other := flyte_name(service)) is not None:
            self._register(other, service, servicer)

    def bind(self) -> int:
        """Take the port and give its number; calls are answered from `start` on.

        Raises `Refused` when the port is taken or the address is not one of this machine's.
        """
        self._health = Health(self._progress, self._names)
        self._register(HEALTH, HEALTH, self._health)
        reflection = Reflection(self._names)
        self._register(V1ALPHA, V1ALPHA, reflection)
        self._register(V1, V1ALPHA, reflection)
        settings = self._settings
        self._server = aio.server(handlers=[_Table(self._handlers)], options=_options(settings))
        check_address(settings.host, settings.port)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            return self._server.add_insecure_port(f"{host}:{settings.port}")
        except RuntimeError as error:
            raise Refused(f"cannot listen on {host}:{settings.port}") from error

    async def start(self) -> None:
        """Answer calls."""
        if self._server is None:
            raise RuntimeError("bind first")
        await self._server.start()

    async def stop(self) -> None:
        """Take no more calls, and give those under way `stop_grace_s`."""
        if self._health is not None:
            self._health.close()
        if self._server is not None:
            await self._server.stop(self._settings.stop_grace_s)

    def _register(self, name: str, schema_name: str, servicer: object) -> None:
        self._names[name] = schema_name
        for _, guard in rpcs_of(name, schema_name, servicer, self._settings.slow_call_s):
            self._handlers[guard.method.name] = _handler(guard)


class _Table(grpc.GenericRpcHandler):
    """All methods of the server in one lookup. gRPC asks one generic handler after the other, at every call."""

    def __init__(self, handlers: dict[str, RpcHandler]) -> None:
        self._find = handlers.get

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "RpcHandler | None":
        return self._find(handler_call_details.method)


def _handler(guard: Guard) -> RpcHandler:
    """The RPC as gRPC takes it. Requests and replies are bytes here."""
    method = guard.method
    decode = method.request.FromString

    def incoming(sent: Any) -> Any:
        return partial(_decoded, sent, decode) if method.takes_stream else partial(decode, sent)

    async def answer(sent: Any, context: Context) -> bytes:
        try:
            return await guard.answer(incoming(sent), context, _encoded)
        except CallFailed as failed:
            await _abort(context, failed.status)

    async def answers(sent: Any, context: Context) -> AsyncIterator[bytes]:
        try:
            async with aclosing(guard.answers(incoming(sent), context, _encoded)) as replies:
                async for reply in replies:
                    yield reply
        except CallFailed as failed:
            await _abort(context, failed.status)

    if method.takes_stream:
        if method.gives_stream:
            return grpc.stream_stream_rpc_method_handler(answers)
        return grpc.stream_unary_rpc_method_handler(answer)
    if method.gives_stream:
        return grpc.unary_stream_rpc_method_handler(answers)
    return grpc.unary_unary_rpc_method_handler(answer)


async def _decoded(sent: AsyncIterator[bytes], decode: Callable[[bytes], Message]) -> AsyncIterator[Message]:
    async for data in sent:
        yield decode(data)


def _encoded(reply: Message) -> bytes:
    return reply.SerializeToString()


async def _abort(context: Context, status: Status) -> NoReturn:
    await context.abort(status.code, status.message, status.metadata)


def check_address(host: str, port: int) -> None:
    """Raises `Refused` with the reason when nothing can listen there. gRPC itself would only say that it failed."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError) -> Refused:
    """What to tell somebody whose address cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return Refused(f"port {port} of {host} is in use by another program; choose another port, or stop it")
    return Refused(f"cannot listen on port {port} of {host}: {error.strerror or error}")


def _options(settings: GrpcSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        ("grpc.max_send_message_length", -1),  # what may be stored may be sent; clients have limits of their own
        ("grpc.max_metadata_size", settings.metadata_bytes_max),
        ("grpc.so_reuseport", 0),  # else a second server takes half of the calls instead of failing to start
        # flytekit pings every 30 s without a call; a server that counts that as abuse cuts it off.
        ("grpc.http2.max_ping_strikes", 0),
    ]
