"""The data proxy: signed URLs for what clients bring and fetch, and data by `flyte://` URL."""

import asyncio
import base64
import hashlib
import secrets
import unicodedata

from google.protobuf.duration_pb2 import Duration
from sailplane_core import flyte_urls, validation
from sailplane_core.errors import AlreadyExists, InvalidRequest, NotFound
from sailplane_core.ports import BlobInfo, SignedUrl
from sailplane_protos.core import identifier_pb2
from sailplane_protos.service import dataproxy_pb2

from . import execution_data, node_executions, projects, task_executions
from .ports import AdminPorts
from .tables import time_us, timestamp_of

UPLOADS = "uploads"
MD5_BYTES = 16
PATH_BYTES_MAX = 400
"""Of `filename_root` and of `filename`: with both, a key keeps below the 1024 bytes that S3 takes."""
NAME_BYTES_MAX = 255
"""Of a part between slashes, as file systems have it."""
RANDOM_NAME_BYTES = 10
CHUNK_BYTES = 8 * 1024 * 1024


async def create_upload_location(
    ports: AdminPorts, request: dataproxy_pb2.CreateUploadLocationRequest
) -> dataproxy_pb2.CreateUploadLocationResponse:
    """Where a client may put a file: `uploads/<project>/<domain>/<filename_root or digest>/<filename>`.

    A file that was put under the same root and name with other content is not replaced: `AlreadyExists`.
    """
    _check_upload(request)
    await ports.store.read(
        lambda connection: projects.require_active(connection, ports.settings, request.project, request.domain)
    )
    expires_in_s = _expires_in_s(request.expires_in, ports.settings.upload_expires_in_s)
    root = request.filename_root or base64.b32encode(request.content_md5).decode()
    name = request.filename or base64.b32encode(secrets.token_bytes(RANDOM_NAME_BYTES)).decode().lower()
    try:
        uri = ports.blobs.uri(f"{UPLOADS}/{request.project}/{request.domain}/{root}/{name}")
    except InvalidRequest as error:
        raise InvalidRequest.invalid("filename_root or filename", str(error)) from error
    if request.filename and request.filename_root:
        await _check_not_other(ports, uri, request.content_md5)
    signed = await ports.blobs.sign(uri, "PUT", expires_in_s, content_md5=request.content_md5 or None)
    return dataproxy_pb2.CreateUploadLocationResponse(
        signed_url=signed.url,
        native_url=uri,
        expires_at=timestamp_of(time_us(signed.expires_at)),
        headers=signed.headers,
    )


def _check_upload(request: dataproxy_pb2.CreateUploadLocationRequest) -> None:
    validation.check_scope(request.project, request.domain)
    if not request.content_md5 and not request.filename_root:
        raise InvalidRequest("content_md5 or filename_root must be specified")
    if request.content_md5 and len(request.content_md5) != MD5_BYTES:
        raise InvalidRequest.invalid("content_md5", f"an MD5 digest has {MD5_BYTES} bytes")
    for field, text in (("project", request.project), ("domain", request.domain)):
        if "/" in text or text in (".", ".."):
            raise InvalidRequest.invalid(field, "must not be a path")
    for field, text in (("filename_root", request.filename_root), ("filename", request.filename)):
        if problem := _path_problem(text):
            raise InvalidRequest.invalid(field, problem)


def _path_problem(text: str) -> str:
    """Why a text cannot be a part of a key; "" if it can. Kept to what every blob store takes."""
    if text.startswith("/") or not {".", ".."}.isdisjoint(text.split("/")):
        return "it must be a path below the project and domain, without . and .."
    if any(unicodedata.category(character) == "Cc" for character in text):
        return "must not contain control characters"
    parts = text.encode().split(b"/")
    if sum(map(len, parts)) + len(parts) > PATH_BYTES_MAX or max(map(len, parts)) > NAME_BYTES_MAX:
        return f"cannot exceed {PATH_BYTES_MAX} bytes, nor {NAME_BYTES_MAX} between slashes"
    return ""


async def _check_not_other(ports: AdminPorts, uri: str, content_md5: bytes) -> None:
    try:
        present = await ports.blobs.head(uri)
    except NotFound:
        return
    if not content_md5 or content_md5 != (present.md5 or await _md5(ports, present)):
        raise AlreadyExists("file", uri, f"file [{uri}] already exists with other content")


async def _md5(ports: AdminPorts, stored: BlobInfo) -> bytes:
    """The digest of an object whose store does not remember it."""
    digest = hashlib.md5(usedforsecurity=False)
    for start in range(0, stored.size_bytes, CHUNK_BYTES):
        chunk = await ports.blobs.get(stored.uri, start=start, bytes_max=CHUNK_BYTES)
        await asyncio.to_thread(digest.update, chunk)
    return digest.digest()


def _expires_in_s(asked: Duration, limit_s: float) -> float:
    seconds = asked.seconds + asked.nanos / 1e9
    if not 0 <= seconds <= limit_s:
        raise InvalidRequest.invalid("expires_in", f"must be positive and at most {limit_s:.0f} s")
    return seconds or limit_s


async def create_download_location(
    ports: AdminPorts, request: dataproxy_pb2.CreateDownloadLocationRequest
) -> dataproxy_pb2.CreateDownloadLocationResponse:
    """A URL to fetch an object of our blob store by. Raises `InvalidRequest` for one that lies elsewhere."""
    if not request.native_url:
        raise InvalidRequest.missing("native_url")
    expires_in_s = _expires_in_s(request.expires_in, ports.settings.download_expires_in_s)
    try:
        signed = await ports.blobs.sign(request.native_url, "GET", expires_in_s)
    except InvalidRequest as error:
        raise InvalidRequest.invalid("native_url", "it is not in this installation's blob store") from error
    return dataproxy_pb2.CreateDownloadLocationResponse(
        signed_url=signed.url, expires_at=timestamp_of(time_us(signed.expires_at))
    )


async def create_download_link(
    ports: AdminPorts, request: dataproxy_pb2.CreateDownloadLinkRequest
) -> dataproxy_pb2.CreateDownloadLinkResponse:
    """A URL to read a node's deck by."""
    if request.artifact_type != dataproxy_pb2.ARTIFACT_TYPE_DECK:
        raise InvalidRequest.invalid("artifact_type", "only a deck can be linked to")
    if request.WhichOneof("source") != "node_execution_id":
        raise InvalidRequest.missing("node_execution_id")
    expires_in_s = _expires_in_s(request.expires_in, ports.settings.download_expires_in_s)
    try:
        node = await node_executions.load(ports, request.node_execution_id)
    except NotFound as error:
        raise InvalidRequest(str(error)) from error
    signed = await _signed_deck(ports, node.closure.deck_uri, request.node_execution_id.node_id, expires_in_s)
    return dataproxy_pb2.CreateDownloadLinkResponse(
        signed_url=[signed.url],
        expires_at=timestamp_of(time_us(signed.expires_at)),
        pre_signed_urls=_pre_signed(signed),
    )


async def _signed_deck(ports: AdminPorts, uri: str, node_id: str, expires_in_s: float) -> SignedUrl:
    if not uri:
        raise NotFound("deck", node_id)
    await ports.blobs.head(uri)
    return await ports.blobs.sign(uri, "GET", expires_in_s)


def _pre_signed(signed: SignedUrl) -> dataproxy_pb2.PreSignedURLs:
    return dataproxy_pb2.PreSignedURLs(signed_url=[signed.url], expires_at=timestamp_of(time_us(signed.expires_at)))


async def get_data(ports: AdminPorts, request: dataproxy_pb2.GetDataRequest) -> dataproxy_pb2.GetDataResponse:
    """What a `flyte://` URL points to: a literal map, one literal of it, or a deck's signed URL."""
    if not request.flyte_url:
        raise InvalidRequest.missing("flyte_url")
    url = flyte_urls.parse(request.flyte_url)
    if url.part is flyte_urls.Part.DECK:
        node = await node_executions.load(ports, url.node_execution_id)
        signed = await _signed_deck(ports, node.closure.deck_uri, url.node_id, ports.settings.download_expires_in_s)
        return dataproxy_pb2.GetDataResponse(pre_signed_urls=_pre_signed(signed))
    inputs_uri, outputs_uri = await _uris(ports, url.node_execution_id, url.attempt)
    uri = inputs_uri if url.part is flyte_urls.Part.INPUTS else outputs_uri
    values = await execution_data.read_whole(ports, uri, ports.settings.literals_bytes_max)
    if not url.name:
        return dataproxy_pb2.GetDataResponse(literal_map=values)
    if url.name not in values.literals:
        raise InvalidRequest.invalid("flyte_url", f"there is no literal {url.name!r} at {request.flyte_url}")
    return dataproxy_pb2.GetDataResponse(literal=values.literals[url.name])


async def _uris(ports: AdminPorts, id: identifier_pb2.NodeExecutionIdentifier, attempt: int | None) -> tuple[str, str]:
    """Where a node's, or one of its attempts', inputs and outputs lie."""
    if attempt is None:
        node = await node_executions.load(ports, id)
        return node.input_uri, node.closure.output_uri
    found = await task_executions.find_attempt(ports, id, attempt)
    return found.input_uri, found.closure.output_uri
