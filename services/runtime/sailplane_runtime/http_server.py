"""The HTTP server of a service: its routes, a health check, and a look at whom each request is meant for.

A browser can be made to send requests to a server on this machine by a page whose own name was pointed here (DNS
rebinding). Such a request carries that page's name in `Host`, so it is answered only for names that are ours. An
address is always fine: no name was involved.

Pages of other names that are known to be good can be permitted to call us (CORS): `HttpSettings.cors_origins`.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence

import uvicorn
from sailplane_core.errors import InvalidRequest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .grpc_server import cannot_listen
from .progress import Progress
from .settings import HttpSettings

BACKLOG = 1024

CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
CORS_HEADERS = ("Content-Type", "authorization", "flyte-authorization", "x-request-id")
_ORIGIN = re.compile(r"https?://[^/?#@*\s]+")


class HttpServer:
    """Serves routes on one address. `names` are host names it goes by besides `localhost`.

    Raises `InvalidRequest` when the settings name an origin that is none.
    """

    def __init__(
        self, settings: HttpSettings, progress: Progress, routes: Sequence[BaseRoute], names: Iterable[str] = ()
    ) -> None:
        async def healthcheck(request: Request) -> Response:
            stale = progress.stale()
            if stale:
                return PlainTextResponse(f"no progress: {', '.join(stale)}\n", 503)
            return PlainTextResponse("ok\n")

        app = Starlette(
            routes=[Route("/healthcheck", healthcheck), *routes],
            middleware=[
                Middleware(HostCheck, names={"localhost", settings.host.lower(), *names}),
                *_cors(settings.cors_origins),
            ],
        )
        self._settings = settings
        self._server = uvicorn.Server(_config(app, settings))
        self._socket: socket.socket | None = None
        self._ticks: asyncio.Task[None] | None = None

    def bind(self) -> int:
        """Take the port and give its number; requests are answered from `start` on. Raises `Refused` when it cannot."""
        host, port = self._settings.host, self._settings.port
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(address)
        except OSError as error:
            self.close()
            raise cannot_listen(host, port, error) from error
        return self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the port back, when it was only bound."""
        if self._socket is not None:
            self._socket.close()

    async def start(self) -> None:
        """Answer requests."""
        if self._socket is None:
            raise RuntimeError("bind first")
        # The parts of uvicorn's `serve` without its signal handlers: signals belong to the process, not to one door.
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[self._socket])
        self._ticks = asyncio.create_task(self._server.main_loop(), name="http-ticks")

    async def stop(self) -> None:
        """Take no more requests, and give those under way `stop_grace_s`."""
        if self._ticks is None:
            return self.close()
        self._ticks.cancel()
        await asyncio.gather(self._ticks, return_exceptions=True)
        try:
            async with asyncio.timeout(self._settings.stop_grace_s):
                await self._server.shutdown(sockets=[s for s in (self._socket,) if s is not None])
        except TimeoutError:
            for task in self._server.server_state.tasks:
                task.cancel()


def _cors(origins: Sequence[str]) -> list[Middleware]:
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise InvalidRequest.invalid("HTTP setting cors_origins", f"{origin!r} is not scheme://host[:port]")
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_HEADERS,
            expose_headers=("x-request-id",),
        )
    ]


class HostCheck:
    """Answers requests that are meant for us, and others with 421."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application."""
        if scope["type"] == "http" and not self._is_ours(_host(scope)):
            refusal = PlainTextResponse("this server does not go by the name in the Host header\n", 421)
            return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host).lower()
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _host(scope: Scope) -> str:
    hosts = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
    return hosts[0] if len(hosts) == 1 else ""


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _config(app: ASGIApp, settings: HttpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,  # paths of signed URLs are credentials
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive_s,
        h11_max_incomplete_event_size=settings.header_bytes_max,
    )
