"""The gRPC server of a service, or of several in one process.

Each service is registered under our name and, where Flyte has it, under Flyte's: `sailplane.service.AdminService` and
`flyteidl.service.AdminService` have the same handlers and the same bytes. Methods come from the descriptors; one that a
servicer does not define is answered with UNIMPLEMENTED. Health and reflection are added to every server.
"""

import errno
import socket
from collections.abc import AsyncIterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from grpc import aio
from sailplane_core.errors import Refused, Unimplemented

from .flyte_names import flyte_name, is_flyte_name
from .health import SERVICE as HEALTH
from .health import Health
from .interceptors import Handler, Method, guarded
from .progress import Progress
from .reflection import V1, V1ALPHA, Reflection
from .settings import GrpcSettings

_GENERATED = "_pb2_grpc"

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
        for method in _describe(schema_name).methods:
            path = f"/{name}/{method.name}"
            self._handlers[path] = self._handler(path, method, servicer)

    def _handler(self, path: str, method: MethodDescriptor, servicer: object) -> RpcHandler:
        described = Method(
            path,
            GetMessageClass(method.input_type),
            GetMessageClass(method.output_type),
            takes_stream=method.client_streaming,
            gives_stream=method.server_streaming,
            as_flyte=is_flyte_name(path[1:]),
        )
        handler = _implementation(servicer, method.name) or _not_offered(described)
        return guarded(described, handler, self._settings.slow_call_s)


class _Table(grpc.GenericRpcHandler):
    """All methods of the server in one lookup. gRPC asks one generic handler after the other, at every call."""

    def __init__(self, handlers: dict[str, RpcHandler]) -> None:
        self._find = handlers.get

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "RpcHandler | None":
        return self._find(handler_call_details.method)


def _describe(service: str) -> ServiceDescriptor:
    """The descriptor of a service. Of our schema's it is found without anybody having imported it before."""
    try:
        return Default().FindServiceByName(service)
    except KeyError:
        package = import_module(service.rpartition(".")[0].replace("sailplane", "sailplane_protos", 1))
        names = {module.name for module in iter_modules(package.__path__)}
        for name in sorted(names):
            if f"{name}_grpc" in names:
                import_module(f"{package.__name__}.{name}")
        return Default().FindServiceByName(service)


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


def _implementation(servicer: object, name: str) -> Handler | None:
    """The servicer's method, unless it is only the one that it inherits from generated code."""
    for owner in type(servicer).__mro__:
        if name in vars(owner):
            return None if owner.__module__.endswith(_GENERATED) else getattr(servicer, name)
    return None


def _not_offered(method: Method) -> Handler:
    error_text = f"this server does not offer {method.name[1:].replace('/', '.')}"

    async def refuse(request: Any, context: Any) -> NoReturn:
        raise Unimplemented(error_text)

    async def refuse_stream(request: Any, context: Any) -> AsyncIterator[Any]:
        raise Unimplemented(error_text)
        yield

    return refuse_stream if method.gives_stream else refuse
