"""A mail server and a receiver of webhooks on loopback, that take messages, refuse them, hang and come back."""

import asyncio
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

import trustme
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "localhost"
USER, PASSWORD = "sailplane", "correct horse battery"


@dataclass
class Taken:
    """A mail: who it was for on the envelope, and what it said."""

    recipients: list[str]
    message: EmailMessage


class MailHandler:
    """Takes mails, or answers `refusal` to the recipient. `loses_answer` says after which mails it hangs up."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.refusal = ""
        self.logins = 0
        self.hangs = False
        self.loses_answer: Callable[[Taken], bool] = lambda mail: False

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Say yes or no."""
        if self.hangs:
            await asyncio.sleep(3600)
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        """Keep the mail."""
        message = message_from_bytes(cast("bytes", envelope.content), policy=policy.default)
        self.taken.append(Taken(list(envelope.rcpt_tos), cast("EmailMessage", message)))
        if self.loses_answer(self.taken[-1]):
            server.transport.abort()
        return "250 OK"

    def log_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """One user there is."""
        self.logins += 1
        known = data == LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=known, handled=known)


class MailServer:
    """On the test's own event loop. `mode` is `none`, `starttls` or `tls`."""

    def __init__(self, mode: str, authority: trustme.CA) -> None:
        self.handler = MailHandler()
        self.port = 0
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(HOST).configure_cert(context)
        self._context = context if mode == "tls" else None
        self._options: dict[str, Any] = {}
        if mode == "starttls":
            self._options = {"tls_context": context, "require_starttls": True}
        if mode != "none":
            self._options |= {
                "authenticator": self.handler.log_in,
                "auth_required": True,
                "auth_require_tls": mode != "tls",
            }
        self._server: asyncio.Server | None = None
        self._connections: list[SMTP] = []

    async def start(self) -> "MailServer":
        """Listen, at the port that it had before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connected, "127.0.0.1", self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def is_up(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    def _connected(self) -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # aiosmtpd does not see that a connection is TLS already
            self._connections.append(SMTP(self.handler, hostname=HOST, enable_SMTPUTF8=True, **self._options))
        return self._connections[-1]

    async def stop(self) -> None:
        """Be gone, with all connections."""
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0)
            self._server = None


@dataclass
class Post:
    """What was posted."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Takes posts with `status`, unless it hangs."""

    posts: list[Post] = field(default_factory=list)
    status: int = 200
    answer: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    port: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> "Receiver":
        """Listen, at the port that it had before."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self._post)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = cast("Any", site._server).sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Be gone."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """With a path that is a secret, as Slack's."""
        return f"http://127.0.0.1:{self.port}/services/T000/B000/XsecretX"

    async def _post(self, request: web.Request) -> web.Response:
        self.posts.append(Post(dict(request.headers), await request.read()))
        if self.hangs:
            await asyncio.sleep(3600)
        return web.Response(status=self.status, text=self.answer, headers=self.headers)
