"""Signed URLs over HTTP: `GET`, `HEAD` and `PUT` of one blob, for whoever holds the URL.

What stock clients need is little: plain 200 answers, no header demanded, ranges, empty bodies, any file name. A body
is checked against the digest in the URL and against a `Content-MD5` header, and becomes visible only when complete.
Answers never repeat anything of the request. Whoever serves these routes must not log their paths: they are
credentials (uvicorn: `access_log=False`).
"""

import asyncio
import base64
import binascii
import hashlib
import os
import stat

from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, SailplaneError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..http_bodies import UNWANTED_BYTES_MAX, discard_body
from .files import FileBlobs, as_our_errors, unlinked_on_failure

UPLOAD_BYTES_MAX = 5 * 1024**3

HEADERS = {
    # A deck is HTML that a user's task wrote: in a sandbox its origin is none, so it sees no session.
    "Content-Security-Policy": "sandbox allow-scripts",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private",
}


class _Rejected(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def blob_routes(blobs: FileBlobs, *, upload_bytes_max: int = UPLOAD_BYTES_MAX) -> list[Route]:
    """Routes for the URLs that `blobs.sign` gives. A body longer than `upload_bytes_max` is refused with 413."""

    async def serve(request: Request) -> Response:
        said, _, key = request.path_params["signed"].partition("/")
        try:
            permission = blobs.signer.permission(key, said)
            if permission is None or not permission.covers(request.method, blobs.clock.now()):
                await discard_body(request)
                raise _Rejected(403, "the signature is wrong or expired, or not for this method")
            if request.method == "PUT":
                return await _put(blobs, key, request, permission.content_md5, upload_bytes_max)
            return _get(blobs, key)
        except _Rejected as rejected:
            return PlainTextResponse(str(rejected), rejected.status)
        except SailplaneError as error:
            return _error_response(error)

    return [Route("/blobs/{signed:path}", serve, methods=["GET", "PUT"])]


def _get(blobs: FileBlobs, key: str) -> Response:
    with as_our_errors(key):
        path = blobs.existing_path(blobs.path_of(key))
        status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("blob", key)
    media_type = "text/html" if key.endswith(".html") else "application/octet-stream"
    return FileResponse(path, headers=HEADERS, media_type=media_type, stat_result=status)


async def _put(blobs: FileBlobs, key: str, request: Request, content_md5: bytes, bytes_max: int) -> Response:
    digests = _wanted_digests(request, content_md5)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        await discard_body(request)
        raise _too_large(bytes_max)
    path = blobs.path_of(key)
    with as_our_errors(key):
        descriptor, incoming = blobs.open_incoming()
        with unlinked_on_failure(descriptor, incoming):
            digest = await _receive(request, descriptor, bytes_max, with_digest=bool(digests))
            if any(digest != wanted for wanted in digests):
                raise _Rejected(400, "the body does not have the MD5 digest that was announced")
            await asyncio.to_thread(blobs.publish, descriptor, incoming, path)
    return Response(status_code=200)


async def _receive(request: Request, descriptor: int, bytes_max: int, *, with_digest: bool) -> bytes:
    """Write the body to the file, chunk by chunk as the server hands it over; its MD5 digest if asked for."""
    digest = hashlib.md5(usedforsecurity=False)
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > bytes_max + UNWANTED_BYTES_MAX:
                break
            if received > bytes_max:
                continue
            if with_digest:
                digest.update(chunk)
            while chunk:
                chunk = chunk[os.write(descriptor, chunk) :]
    except ClientDisconnect:
        raise _Rejected(400, "the body ended early") from None
    if received > bytes_max:
        raise _too_large(bytes_max)
    return digest.digest()


def _wanted_digests(request: Request, content_md5: bytes) -> list[bytes]:
    """Every digest that the body must have: the one the URL is bound to, the one the client announces."""
    wanted = [content_md5] if content_md5 else []
    if "content-md5" in request.headers:
        try:
            wanted.append(base64.b64decode(request.headers["content-md5"], validate=True))
        except binascii.Error:
            raise _Rejected(400, "Content-MD5 must be the digest in base64") from None
    return wanted


def _too_large(bytes_max: int) -> _Rejected:
    return _Rejected(413, f"the body is larger than {bytes_max} bytes")


def _error_response(error: SailplaneError) -> Response:
    match error:
        case NotFound():
            return PlainTextResponse("there is no such object", 404)
        case InvalidRequest():
            return PlainTextResponse("no object can have this name", 400)
        case LimitReached():
            return PlainTextResponse("the disk is full", 507)
        case _:
            return PlainTextResponse("the blob store does not answer, try again", 503)
