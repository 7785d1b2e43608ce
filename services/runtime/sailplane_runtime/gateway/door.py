"""The gateway as an ASGI application: finds what a request asks for, calls it as the gRPC server would, and answers.

There is no connection between the two: the guard around a handler (`sailplane_runtime.interceptors`) is the same, so
that codes, messages, logs and times are. RPCs go by Flyte's names here.

A browser may be made to send requests by a page of anybody's. Such a page cannot read answers, but it could write: it
may post forms and plain text without asking. So a request that is not only for reading is refused when its `Origin`
is another than the host it was sent to and not one that was permitted, and a body must be of a type that no form has.
"""

import asyncio
import secrets
import string
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from sailplane_core.errors import InvalidRequest, SailplaneError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ..flyte_names import flyte_name
from ..grpc_errors import Status, status_of
from ..http_bodies import discard_body, read_body
from ..interceptors import CallFailed, Guard
from ..rpcs import rpcs_of
from ..threads import inline_or_thread
from . import json_text, openapi, statuses, streams
from .bindings import Binding, bindings_of
from .templates import Routes, segments_of

JSON = "application/json"
PROTOBUF = "application/octet-stream"

OPENAPI_PATH = "/api/v1/openapi"
DISTRIBUTION = "sailplane-server"

READING = ("GET", "HEAD", "OPTIONS")
PASSED_ON = ("authorization", "flyte-authorization")
"""Headers that become metadata of the call."""
REQUEST_ID = "x-request-id"
REQUEST_ID_CHARACTERS_MAX = 128
_ALPHANUMERIC = string.ascii_lowercase + string.digits
_OWN_ID_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler may ask of the call it answers, by the names that gRPC's context has for it."""

    metadata: tuple[tuple[str, str], ...]
    client: str

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """What came with the request, by lower-case names."""
        return self.metadata

    def peer(self) -> str:
        """Who asks."""
        return self.client


@dataclass(frozen=True, slots=True)
class _Rpc:
    binding: Binding
    guard: Guard


class Gateway:
    """The RPCs of what was added to it. `origins` are those whose pages may write, besides our own."""

    def __init__(
        self,
        message_bytes_max: int,
        slow_call_s: float,
        origins: Collection[str] = (),
        heartbeat_s: float = streams.HEARTBEAT_S,
    ) -> None:
        self._message_bytes_max = message_bytes_max
        self._slow_call_s = slow_call_s
        self._origins = frozenset(origins)
        self._heartbeat_s = heartbeat_s
        self._rpcs: Routes[_Rpc] = Routes()
        self._offered: list[tuple[MethodDescriptor, Binding]] = []
        self._openapi = b""

    def add(self, service: str, servicer: object) -> None:
        """Offer those methods of a service, by its name in our schema, that the schema binds to HTTP."""
        for method, guard in rpcs_of(flyte_name(service) or service, service, servicer, self._slow_call_s):
            if method.client_streaming:
                continue  # HTTP has one request for one answer
            for binding in bindings_of(method):
                self._rpcs.add(binding.path, binding.verb, _Rpc(binding, guard))
                self._offered.append((method, binding))

    def routes(self) -> list[BaseRoute]:
        """To be the last routes of a server: every path that no other route has is the gateway's."""
        return [Route(OPENAPI_PATH, self._describe), Route("/{path:path}", self)]

    async def _describe(self, request: Request) -> Response:
        """All of this in the words of OpenAPI, made when it is first asked for: few ever do, and it takes a while."""
        if not self._openapi:
            version = metadata.version(DISTRIBUTION)
            self._openapi = await asyncio.to_thread(lambda: json_text.dump(openapi.document(self._offered, version)))
        return Response(self._openapi, media_type=JSON)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application."""
        request = Request(scope, receive)
        id = _request_id(request)
        with structlog.contextvars.bound_contextvars(request_id=id):
            try:
                response = await self._answer(request, id)
            except ClientDisconnect:
                return
            response.headers[REQUEST_ID] = id
            await response(scope, receive, send)

    async def _answer(self, request: Request, id: str) -> Response:
        as_json = _wants_json(request)
        try:
            segments = segments_of(request.scope["raw_path"].decode("latin-1"))
            found = self._rpcs.find(segments)
            if not found:
                return await _refusal(request, StatusCode.NOT_FOUND, "Not Found", as_json=as_json)
            allowed = [*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"]
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"allow": ", ".join(allowed)})
            rpc = found.get("GET" if request.method == "HEAD" else request.method)
            if rpc is None:
                refusal = await _refusal(request, StatusCode.UNIMPLEMENTED, "Not Implemented", as_json=as_json)
                refusal.headers["allow"] = ", ".join(allowed)
                return refusal
            if request.method not in READING and not self._may_write(request):
                words = "pages of this origin may not write here"
                return await _refusal(request, StatusCode.PERMISSION_DENIED, words, as_json=as_json)
            return await self._call(rpc, request, segments, id, as_json=as_json)
        except SailplaneError as error:
            return _failure(status_of(error, None, as_flyte=True), as_json=as_json)

    async def _call(self, rpc: _Rpc, request: Request, segments: Sequence[str], id: str, *, as_json: bool) -> Response:
        guard = rpc.guard
        body = await read_body(request, self._message_bytes_max)
        if body is None:
            words = f"the body is larger than {self._message_bytes_max} bytes"
            return _failure(Status(StatusCode.RESOURCE_EXHAUSTED, words), as_json=as_json, http_status=413)
        is_json = media_type(request.headers.get("content-type", "")) == JSON
        if body and not is_json and media_type(request.headers.get("content-type", "")) != PROTOBUF:
            words = f"the Content-Type of a body must be {JSON} or {PROTOBUF}"
            return _failure(Status(StatusCode.INVALID_ARGUMENT, words), as_json=as_json, http_status=415)
        query = request.scope["query_string"].decode("latin-1")

        def fill() -> Message:
            message = guard.method.request()
            rpc.binding.read(message, segments, query, body, is_json=is_json)
            return message

        read = await _when_called(fill, len(body))
        call = _call_of(request, id)
        if guard.method.gives_stream:
            if request.method == "HEAD":
                return streams.head(request)
            replies = guard.answers(read, call, _writer(rpc))
            return streams.ReplyStream(replies, request, self._heartbeat_s)
        try:
            reply = await guard.answer(read, call, _checked(guard))
        except CallFailed as failed:
            return _failure(failed.status, as_json=as_json)
        return await _success(rpc, reply, as_json=as_json)

    def _may_write(self, request: Request) -> bool:
        origin = request.headers.get("origin")
        if origin is None or origin in self._origins:
            return True
        return origin.partition("://")[2].lower() == request.headers.get("host", "").lower()


async def _when_called(fill: Callable[[], Message], body_bytes: int) -> Callable[[], Message]:
    """`fill` done, on a thread if that may take long; what it raised is raised within the guard, as by gRPC."""
    try:
        message = await inline_or_thread(body_bytes, fill)
    except (InvalidRequest, DecodeError) as error:
        raised = error

        def fail() -> Message:
            raise raised

        return fail
    return lambda: message


def _checked(guard: Guard) -> Callable[[Any], Message]:
    def check(reply: Any) -> Message:
        if not isinstance(reply, guard.method.response):
            raise TypeError(f"{guard.method.name} replied with {type(reply).__name__}")
        return reply

    return check


def _writer(rpc: _Rpc) -> Callable[[Any], Any]:
    check = _checked(rpc.guard)
    return lambda reply: json_text.value_of(_answered(rpc, check(reply)))


def _answered(rpc: _Rpc, reply: Message) -> Message:
    return getattr(reply, rpc.binding.response_body) if rpc.binding.response_body else reply


async def _success(rpc: _Rpc, reply: Message, *, as_json: bool) -> Response:
    answered = _answered(rpc, reply)
    encode = (lambda: json_text.encode(answered)) if as_json else answered.SerializeToString
    content = await inline_or_thread(answered.ByteSize(), encode)
    return _response(content, 200, as_json=as_json)


def _failure(status: Status, *, as_json: bool, http_status: int | None = None) -> Response:
    content = json_text.dump(statuses.value_of(status)) if as_json else statuses.message_of(status).SerializeToString()
    return _response(content, http_status or statuses.HTTP_STATUSES[status.code], as_json=as_json)


async def _refusal(request: Request, code: StatusCode, words: str, *, as_json: bool) -> Response:
    await discard_body(request)
    return _failure(Status(code, words), as_json=as_json)


def _response(content: bytes, http_status: int, *, as_json: bool) -> Response:
    headers = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
    return Response(content, http_status, headers, media_type=JSON if as_json else PROTOBUF)


def media_type(header: str) -> str:
    """The type that a header names, without its parameters."""
    return header.partition(";")[0].strip().lower()


def _wants_json(request: Request) -> bool:
    """By what the client accepts; if that does not tell, the answer is of the kind that the request is."""
    accepted = [media_type(each) for each in ",".join(request.headers.getlist("accept")).split(",")]
    for one in accepted:
        if one in (JSON, PROTOBUF):
            return one == JSON
    return media_type(request.headers.get("content-type", "")) != PROTOBUF


def _request_id(request: Request) -> str:
    """The client's own, if it is fit for a log and a header."""
    id = request.headers.get(REQUEST_ID, "")
    if 0 < len(id) <= REQUEST_ID_CHARACTERS_MAX and all("!" <= character <= "~" for character in id):
        return id
    return "a-" + "".join(secrets.choice(_ALPHANUMERIC) for _ in range(_OWN_ID_CHARACTERS))


def _call_of(request: Request, id: str) -> Call:
    passed_on = ((name, request.headers[name]) for name in PASSED_ON if name in request.headers)
    return Call((*passed_on, (REQUEST_ID, id)), _peer(request))


def _peer(request: Request) -> str:
    """Who asks, as gRPC writes addresses."""
    if request.client is None:
        return "unknown"
    host, port = request.client
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
