"""Signed URLs and data by `flyte://` URL: what is given out, and what is refused to whoever asks for too much."""

import base64
import hashlib
import os
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from sailplane_admin import data_proxy, executions
from sailplane_admin.ports import AdminPorts, AdminSettings
from sailplane_core.errors import AlreadyExists, InvalidRequest, LimitReached, NotFound, Refused, SailplaneError
from sailplane_core.phases import NodePhase, TaskPhase
from sailplane_protos.core import literals_pb2
from sailplane_protos.service import dataproxy_pb2
from sailplane_runtime.clock import ManualClock

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

CONTENT = b"a file"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).digest()
URL = f"flyte://v1/{registry.PROJECT}/{registry.DOMAIN}/x/n0"


def upload(**fields: object) -> dataproxy_pb2.CreateUploadLocationRequest:
    """An upload into the default project, of `CONTENT` unless it is said otherwise."""
    given = {"project": registry.PROJECT, "domain": registry.DOMAIN, "content_md5": MD5} | fields
    return dataproxy_pb2.CreateUploadLocationRequest(**given)


def download(uri: str, seconds: int = 0) -> dataproxy_pb2.CreateDownloadLocationRequest:
    return dataproxy_pb2.CreateDownloadLocationRequest(native_url=uri, expires_in=Duration(seconds=seconds))


def get(url: str) -> dataproxy_pb2.GetDataRequest:
    return dataproxy_pb2.GetDataRequest(flyte_url=url)


def deck_link(node: str = "n0") -> dataproxy_pb2.CreateDownloadLinkRequest:
    return dataproxy_pb2.CreateDownloadLinkRequest(
        artifact_type=dataproxy_pb2.ARTIFACT_TYPE_DECK, node_execution_id=requests.node_id(node)
    )


def literals(**values: int) -> literals_pb2.LiteralMap:
    made = literals_pb2.LiteralMap()
    for name, value in values.items():
        made.literals[name].scalar.primitive.integer = value
    return made


async def put(ports: AdminPorts, key: str, data: bytes) -> str:
    uri = ports.blobs.uri(key)
    await ports.blobs.put(uri, data)
    return uri


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With an execution whose node has inputs, outputs, a deck and one attempt."""
    await requests.register(ports)
    await executions.create(ports, requests.create())
    uris = {name: ports.blobs.uri(f"metadata/{requests.KEY}/{name}") for name in ("i", "o", "i0", "o0", "deck.html")}
    for number, name in enumerate(("i", "o", "i0", "o0")):
        await ports.blobs.put(uris[name], literals(a=number).SerializeToString())
    await ports.blobs.put(uris["deck.html"], b"<html></html>")
    await requests.record(
        ports,
        requests.node_event(NodePhase.RUNNING, input_uri=uris["i"]),
        requests.task_event(TaskPhase.SUCCEEDED, input_uri=uris["i0"], output_uri=uris["o0"]),
        requests.node_event(NodePhase.SUCCEEDED, output_uri=uris["o"], deck_uri=uris["deck.html"]),
        requests.node_event(NodePhase.RUNNING, "bare"),
    )
    return ports


# Uploads


async def test_an_upload_lies_below_its_project_and_domain_under_its_digest(ports: AdminPorts) -> None:
    response = await data_proxy.create_upload_location(ports, upload(filename="code.tar.gz"))
    digest = base64.b32encode(MD5).decode()
    assert response.native_url == ports.blobs.uri(f"uploads/flytesnacks/development/{digest}/code.tar.gz")
    assert response.signed_url.startswith("http://localhost:8088/blobs/")
    assert "content-length" not in {name.lower() for name in response.headers}
    assert response.expires_at.ToSeconds() == int(ports.clock.now().timestamp()) + 3600


async def test_files_of_one_root_lie_side_by_side_also_without_digests(ports: AdminPorts) -> None:
    parts = [upload(content_md5=b"", filename_root="frame", filename=name) for name in ("0/a", "0/b")]
    uris = [(await data_proxy.create_upload_location(ports, part)).native_url for part in parts]
    assert uris == [ports.blobs.uri(f"uploads/flytesnacks/development/frame/0/{name}") for name in "ab"]


async def test_an_upload_without_a_name_gets_one_of_its_own(ports: AdminPorts) -> None:
    first, second = [await data_proxy.create_upload_location(ports, upload()) for _ in range(2)]
    assert first.native_url != second.native_url


async def test_what_lies_there_is_replaced_by_the_same_only(ports: AdminPorts) -> None:
    request = upload(filename_root="r", filename="f")
    location = await data_proxy.create_upload_location(ports, request)
    await ports.blobs.put(location.native_url, CONTENT)
    assert (await data_proxy.create_upload_location(ports, request)).native_url == location.native_url
    for md5 in (b"\0" * 16, b""):
        with pytest.raises(AlreadyExists):
            await data_proxy.create_upload_location(ports, upload(filename_root="r", filename="f", content_md5=md5))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"project": ""}, "project"),
        ({"domain": ""}, "domain"),
        ({"content_md5": b""}, "content_md5 or filename_root"),
        ({"content_md5": b"short"}, "content_md5"),
        ({"project": "../other"}, "project"),
        ({"project": ".."}, "project"),
        ({"domain": "a/b"}, "domain"),
        ({"filename": "../../../../other/development/x"}, "filename: it must be a path below"),
        ({"filename": "a/../../b"}, "filename: it must be a path below"),
        ({"filename": "/etc/passwd"}, "filename: it must be a path below"),
        ({"filename": "."}, "filename: it must be a path below"),
        ({"filename_root": "a/./b"}, "filename_root: it must be a path below"),
        ({"filename_root": ".."}, "filename_root: it must be a path below"),
        ({"filename_root": "../../other"}, "filename_root: it must be a path below"),
        ({"filename": "a\0b"}, "filename: must not contain control characters"),
        ({"filename": "x" * 256}, "filename: cannot exceed"),
        ({"filename_root": "x/" * 200}, "filename_root: cannot exceed"),
        ({"project": "nowhere"}, "project"),
        ({"domain": "nowhere"}, "domain"),
        ({"filename": ".incoming"}, "reserved"),
        ({"expires_in": Duration(seconds=3601)}, "expires_in"),
        ({"expires_in": Duration(seconds=-1)}, "expires_in"),
    ],
)
async def test_an_upload_that_asks_for_too_much_is_refused(
    ports: AdminPorts, fields: dict[str, object], text: str
) -> None:
    with pytest.raises(InvalidRequest, match=text):
        await data_proxy.create_upload_location(ports, upload(**fields))


@pytest.mark.parametrize("name", ["with space", "a=b", "100%", "%2e%2e", "ümlaut", "x" * 200])
async def test_odd_names_are_names(ports: AdminPorts, name: str) -> None:
    location = await data_proxy.create_upload_location(ports, upload(filename=name))
    assert location.native_url.endswith(f"/{name}")
    await ports.blobs.put(location.native_url, CONTENT)
    assert await ports.blobs.get(location.native_url) == CONTENT


# Downloads


async def test_a_download_is_of_our_own_objects(ports: AdminPorts, clock: ManualClock) -> None:
    uri = await put(ports, "data/x", CONTENT)
    response = await data_proxy.create_download_location(ports, download(uri, seconds=60))
    assert response.signed_url.startswith("http://localhost:8088/blobs/")
    assert response.expires_at.ToSeconds() == int(clock.now().timestamp()) + 60


@pytest.mark.parametrize(
    "uri",
    [
        *("", "/etc/passwd", "file:///etc/passwd", "s3://bucket/key", "http://169.254.169.254/"),
        *("{root}", "{root}/../admin.db", "{root}x/y", "{root}/.incoming/x"),
    ],
)
async def test_nothing_else_is_signed(ports: AdminPorts, uri: str) -> None:
    with pytest.raises(InvalidRequest):
        await data_proxy.create_download_location(ports, download(uri.format(root=ports.blobs.uri("").rstrip("/"))))


async def test_no_download_lives_longer_than_permitted(ports: AdminPorts) -> None:
    with pytest.raises(InvalidRequest, match="expires_in"):
        await data_proxy.create_download_location(ports, download(ports.blobs.uri("data/x"), seconds=3601))


async def test_a_deck_is_linked_to(admin: AdminPorts) -> None:
    response = await data_proxy.create_download_link(admin, deck_link())
    assert list(response.signed_url) == list(response.pre_signed_urls.signed_url)
    assert response.signed_url[0].startswith("http://localhost:8088/blobs/")


@pytest.mark.parametrize(("node", "error"), [("ghost", InvalidRequest), ("bare", NotFound)])
async def test_without_a_deck_there_is_no_link(admin: AdminPorts, node: str, error: type[SailplaneError]) -> None:
    with pytest.raises(error):
        await data_proxy.create_download_link(admin, deck_link(node))


async def test_a_deck_that_was_never_written_is_not_found(admin: AdminPorts) -> None:
    await admin.blobs.delete(admin.blobs.uri(f"metadata/{requests.KEY}/deck.html"))
    with pytest.raises(NotFound):
        await data_proxy.create_download_link(admin, deck_link())


async def test_a_link_is_to_a_nodes_deck_and_nothing_else(admin: AdminPorts) -> None:
    request = deck_link()
    request.ClearField("artifact_type")
    with pytest.raises(InvalidRequest, match="artifact_type"):
        await data_proxy.create_download_link(admin, request)
    with pytest.raises(InvalidRequest, match="node_execution_id"):
        await data_proxy.create_download_link(
            admin, dataproxy_pb2.CreateDownloadLinkRequest(artifact_type=dataproxy_pb2.ARTIFACT_TYPE_DECK)
        )


# By flyte:// URL


@pytest.mark.parametrize(("path", "value"), [("i", 0), ("o", 1), ("0/i", 2), ("0/o", 3)])
async def test_data_by_url(admin: AdminPorts, path: str, value: int) -> None:
    assert (await data_proxy.get_data(admin, get(f"{URL}/{path}"))).literal_map == literals(a=value)
    one = await data_proxy.get_data(admin, get(f"{URL}/{path}/a"))
    assert one.literal.scalar.primitive.integer == value


async def test_a_deck_by_url(admin: AdminPorts) -> None:
    assert len((await data_proxy.get_data(admin, get(f"{URL}/d"))).pre_signed_urls.signed_url) == 1


async def test_before_a_node_has_outputs_they_are_empty(admin: AdminPorts) -> None:
    response = await data_proxy.get_data(admin, get(URL.replace("n0", "bare") + "/o"))
    assert response.literal_map == literals_pb2.LiteralMap()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", InvalidRequest),
        ("http://example.com/", InvalidRequest),
        (f"{URL}/0/d", InvalidRequest),
        (f"{URL}/d/a", InvalidRequest),
        (f"{URL}/o/ghost", InvalidRequest),
        (f"{URL}/../n1/o", InvalidRequest),
        (f"{URL}/o/a/b", InvalidRequest),
        (f"{URL}/99999999999/o", InvalidRequest),
        (f"{URL}/7/o", NotFound),
        (URL.replace("n0", "ghost") + "/o", NotFound),
        (URL.replace("/x/", "/ghost/") + "/o", NotFound),
        (URL.replace("n0", "bare") + "/d", NotFound),
    ],
)
async def test_a_url_that_leads_nowhere(admin: AdminPorts, url: str, error: type[SailplaneError]) -> None:
    with pytest.raises(error):
        await data_proxy.get_data(admin, get(url))


async def test_what_is_no_literal_map_is_said_to_be_none(admin: AdminPorts) -> None:
    await put(admin, f"metadata/{requests.KEY}/o", b"\xff\xffgarbage")
    with pytest.raises(Refused, match="no LiteralMap"):
        await data_proxy.get_data(admin, get(f"{URL}/o"))


async def test_what_is_too_large_for_a_reply_is_not_read(admin: AdminPorts) -> None:
    path = Path(await put(admin, f"metadata/{requests.KEY}/o", b""))
    os.truncate(path, admin.settings.literals_bytes_max + 1)
    with pytest.raises(LimitReached, match="signed URL"):
        await data_proxy.get_data(admin, get(f"{URL}/o"))


@pytest.mark.parametrize("name", ["upload_expires_in_s", "download_expires_in_s"])
def test_no_installation_has_urls_that_are_good_for_longer_than_an_hour(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name}.*3600 s at most"):
        AdminSettings(**{name: 3601})
