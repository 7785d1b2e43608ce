"""Replies of a server-streaming RPC over HTTP, as they come.

Who accepts `text/event-stream` gets server-sent events: an event without a name for each reply, comments as heartbeats,
and at the end an event `status` with a `google.rpc.Status`, also after success; a client that hears it should not
connect again. Everybody else gets JSON, one object a line: `{"result": …}` for a reply, `{"error": …}` for a failure,
as from Flyte's gateway. A call that fails before its first reply is answered with the status's own number.

When the client goes away, the handler is cancelled.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

from grpc import StatusCode
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ..grpc_errors import Status
from ..interceptors import CallFailed
from . import json_text, statuses

HEARTBEAT_S = 15.0
"""How long a client may hear nothing, in seconds. Proxies cut connections that are idle, the strictest after 30."""

EVENTS = "text/event-stream"
LINES = "application/json"

_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-accel-buffering": "no",  # else a proxy holds events back until it has a buffer full
}
_DONE = object()


def head(request: Request) -> Response:
    """What is known without a call."""
    return Response(headers=_HEADERS, media_type=_media_type(request))


class ReplyStream(StreamingResponse):
    """The answer to a call whose `replies` are JSON values. Its head goes out with the first of them.

    It does not wait longer than `heartbeat_s` for that, after which a failure can no longer change the status line.
    """

    def __init__(self, replies: AsyncGenerator[Any, None], request: Request, heartbeat_s: float) -> None:
        super().__init__(replies, headers=_HEADERS, media_type=_media_type(request))
        self._as_events = self.media_type == EVENTS
        self._replies = replies
        self._heartbeat_s = heartbeat_s
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application, until the last reply, or until the client is gone."""
        gone = asyncio.ensure_future(_gone(receive))
        following = asyncio.ensure_future(_next(self._replies))
        try:
            while True:
                await asyncio.wait({gone, following}, timeout=self._heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    break
                if not following.done():
                    await self._write(send, b":\n\n" if self._as_events else b"")
                    continue
                try:
                    reply = following.result()
                except CallFailed as failed:
                    await self._finish(send, failed.status)
                    break
                if reply is _DONE:
                    await self._finish(send, Status(StatusCode.OK, ""))
                    break
                await self._write(send, self._text_of(reply))
                following = asyncio.ensure_future(_next(self._replies))
        finally:
            gone.cancel()
            await _end(self._replies, following)

    def _text_of(self, reply: Any) -> bytes:
        if self._as_events:
            return b"data: " + json_text.dump(reply) + b"\n\n"
        return json_text.dump({"result": reply}) + b"\n"

    async def _finish(self, send: Send, status: Status) -> None:
        is_failure = status.code is not StatusCode.OK
        value = statuses.value_of(status)
        if is_failure and not self._begun:
            self.status_code = statuses.HTTP_STATUSES[status.code]
            self.headers["content-type"] = LINES
            await self._write(send, json_text.dump(value if self._as_events else {"error": value}))
        elif self._as_events:
            await self._write(send, b"event: status\ndata: " + json_text.dump(value) + b"\n\n")
        else:
            await self._write(send, json_text.dump({"error": value}) + b"\n" if is_failure else b"")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send, text: bytes) -> None:
        if not self._begun:
            self._begun = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if text:
            await send({"type": "http.response.body", "body": text, "more_body": True})


def _media_type(request: Request) -> str:
    return EVENTS if EVENTS in request.headers.get("accept", "").lower() else LINES


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _next(replies: AsyncIterator[Any]) -> Any:
    return await anext(replies, _DONE)


async def _end(replies: AsyncGenerator[Any, None], following: "asyncio.Future[Any]") -> None:
    """Cancel what is awaited, and let the handler clean up."""
    following.cancel()
    with suppress(asyncio.CancelledError, CallFailed):
        await following
    await replies.aclose()
