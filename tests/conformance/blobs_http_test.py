"""Signed URLs against a real HTTP server: what they permit, and everything they must not."""

import asyncio
import base64
import hashlib
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import uvicorn
from conformance.conftest import soon
from sailplane_core.errors import InvalidRequest, Refused
from sailplane_runtime.blobs.files import INCOMING, FileBlobs
from sailplane_runtime.blobs.http import blob_routes
from sailplane_runtime.blobs.signed_urls import SECRET_BYTES, UrlSigner, load_secret
from sailplane_runtime.clock import ManualClock
from starlette.applications import Starlette

UPLOAD_BYTES_MAX = 1_000_000


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Door:
    """The routes behind a real server, and requests to it byte by byte."""

    blobs: FileBlobs
    clock: ManualClock
    port: int

    async def signed(self, method: str, key: str, content_md5: bytes | None = None) -> str:
        """What stands in the request line for this permission."""
        url = (await self.blobs.sign(self.blobs.uri(key), method, 60, content_md5=content_md5)).url
        return url.removeprefix(self.blobs.public_base_url)

    async def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
        if method == "PUT":
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def send(self, raw: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        answer = await soon(reader.read())
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *headers = head.decode("latin-1").split("\r\n")
        return Answer(int(status.split()[1]), {h.split(": ")[0]: h.split(": ", 1)[1] for h in headers}, body)

    async def stored(self) -> list[str]:
        return [info.uri.rpartition("/")[2] async for info in self.blobs.list(self.blobs.uri(""))]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    clock = ManualClock()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    blobs = FileBlobs(tmp_path / "blobs", UrlSigner(b"s" * 32), clock, public_base_url=f"http://127.0.0.1:{port}")
    app = Starlette(routes=blob_routes(blobs, upload_bytes_max=UPLOAD_BYTES_MAX))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.001)
    yield Door(blobs, clock, port)
    server.should_exit = True
    await serving
    assert list((tmp_path / "blobs" / INCOMING).iterdir()) == []


def md5(data: bytes) -> bytes:
    return hashlib.md5(data).digest()


def in_base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


KEYS = ["a/b.pb", "a b/c d", "rB1pGvvnIVIF5DvQH8RYrw==/x.tar.gz", "100%/%2e%2e", "a+b&c=d?e#f", "été/日本語", "x" * 200]


@pytest.mark.parametrize("key", KEYS)
async def test_a_round_trip_as_stock_clients_do_it(door: Door, key: str) -> None:
    """flytekit uses `requests`; it re-quotes URLs, and sends a digest header of its own."""
    data = os.urandom(100_000)
    put = (await door.blobs.sign(door.blobs.uri(key), "PUT", 60, content_md5=md5(data))).url
    get = (await door.blobs.sign(door.blobs.uri(key), "GET", 60)).url
    headers = {"Content-Length": str(len(data)), "Content-MD5": in_base64(md5(data))}
    answer = await asyncio.to_thread(requests.put, put, data=data, headers=headers, timeout=20)
    assert (answer.status_code, answer.content) == (200, b"")
    assert await door.blobs.get(door.blobs.uri(key)) == data
    answer = await asyncio.to_thread(requests.get, get, timeout=20)
    assert (answer.status_code, answer.content) == (200, data)
    assert "content-encoding" not in answer.headers


async def test_no_header_is_demanded(door: Door) -> None:
    assert (await door.ask("PUT", await door.signed("PUT", "a"), b"data")).status == 200
    target = await door.signed("PUT", "a", md5(b"again"))
    assert (await door.ask("PUT", target, b"again")).status == 200
    assert (await door.blobs.sign(door.blobs.uri("a"), "PUT", 60, content_md5=md5(b""))).headers == {}


async def test_an_empty_body_is_an_empty_object(door: Door) -> None:
    assert (await door.ask("PUT", await door.signed("PUT", "a"))).status == 200
    answer = await door.ask("GET", await door.signed("GET", "a"))
    assert (answer.status, answer.body) == (200, b"")


async def test_putting_again_is_fine(door: Door) -> None:
    target = await door.signed("PUT", "a")
    for data in (b"first", b"second", b"second"):
        assert (await door.ask("PUT", target, data)).status == 200
    assert await door.blobs.get(door.blobs.uri("a")) == b"second"


async def test_a_chunked_body(door: Door) -> None:
    target = await door.signed("PUT", "a", md5(b"hello world"))
    raw = f"PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await door.send(raw.encode() + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    assert answer.status == 200
    assert await door.blobs.get(door.blobs.uri("a")) == b"hello world"


async def test_head_and_ranges(door: Door) -> None:
    await door.blobs.put(door.blobs.uri("a"), b"0123456789")
    target = await door.signed("GET", "a")
    head = await door.ask("HEAD", target)
    assert (head.status, head.headers["content-length"], head.body) == (200, "10", b"")
    part = await door.ask("GET", target, Range="bytes=2-4")
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert (await door.ask("GET", target, Range="bytes=-3")).body == b"789"
    assert (await door.ask("GET", target, Range="bytes=50-")).status == 416
    assert (await door.ask("GET", target, Range="bytes=" + ",".join(f"{n}-" for n in range(5000)))).status in (
        200,
        206,
        400,
        431,
    )


async def test_missing_objects(door: Door) -> None:
    await door.blobs.put(door.blobs.uri("dir/x"), b"")
    for key in ("nothing", "dir", "dir/x/y"):
        assert (await door.ask("GET", await door.signed("GET", key))).status == 404


async def test_a_permission_ends(door: Door) -> None:
    await door.blobs.put(door.blobs.uri("a"), b"x")
    get, put = await door.signed("GET", "a"), await door.signed("PUT", "b")
    door.clock.advance(59)
    assert (await door.ask("GET", get)).status == 200
    door.clock.advance(1)
    assert (await door.ask("GET", get)).status == 403
    assert (await door.ask("PUT", put, b"x")).status == 403
    assert await door.stored() == ["a"]


async def test_a_permission_is_for_its_method(door: Door) -> None:
    await door.blobs.put(door.blobs.uri("a"), b"x")
    get, put = await door.signed("GET", "a"), await door.signed("PUT", "a")
    assert (await door.ask("PUT", get, b"overwritten")).status == 403
    assert (await door.ask("GET", put)).status == 403
    assert (await door.ask("HEAD", put)).status == 403
    assert (await door.ask("PUT", get.replace("method=GET", "method=PUT"), b"overwritten")).status == 403
    for method in ("DELETE", "POST", "PATCH", "OPTIONS", "TRACE"):
        assert (await door.ask(method, put)).status == 405
    assert await door.blobs.get(door.blobs.uri("a")) == b"x"


async def test_a_permission_is_for_its_object(door: Door) -> None:
    await door.blobs.put(door.blobs.uri("p/a"), b"x")
    await door.blobs.put(door.blobs.uri("p/ab"), b"secret")
    permission = (await door.signed("GET", "p/a")).split("/")[2]
    for other in ("p/ab", "p/a/", "p//a", "p/./a", "p/a%00", "p/b/../a", "P/a", "/p/a", "p/a%20", "", "p/%61b"):
        assert (await door.ask("GET", f"/blobs/{permission}/{other}")).status in (403, 404)
    assert (await door.ask("GET", f"/blobs/{permission}/p/a")).body == b"x"


async def test_every_part_is_signed(door: Door) -> None:
    await door.blobs.put(door.blobs.uri("a"), b"x")
    for target, body in (
        (await door.signed("GET", "a"), b""),
        (await door.signed("PUT", "new", md5(b"data")), b"data"),
    ):
        permission, key = target.split("/")[2:]
        method, expires, digest, signature = permission.split("-")
        for changed in (
            f"HEAD-{expires}-{digest}-{signature}",
            f"{method}-{int(expires) + 1}-{digest}-{signature}",
            f"{method}-{expires}-{'0' * 32}-{signature}",
            f"{method}-{expires}--{signature[:-1]}",
            f"{method}-{expires}-{digest}-{'1' if signature[0] == '0' else '0'}{signature[1:]}",
            f"{method}-{expires}-{digest}-",
            f"{method}-{expires}-{digest}",
            f"{method}-{expires}-{digest}-x-{signature}",
            signature,
            "-",
        ):
            assert (await door.ask(method, f"/blobs/{changed}/{key}", body)).status == 403
        assert (await door.ask(method, f"/blobs/{key}", body)).status == 403
        assert (await door.ask(method, target, body)).status == 200


async def test_another_installations_secret_permits_nothing(door: Door) -> None:
    await door.blobs.put(door.blobs.uri("a"), b"x")
    forged = UrlSigner(b"t" * 32).sign("GET", "a", door.clock.now().replace(year=2099))
    assert (await door.ask("GET", f"/blobs/{forged}")).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/blobs/../secret",
        "/blobs/..%2fsecret",
        "/blobs/%2e%2e/secret",
        "/blobs/a/%2e%2e/%2e%2e/secret",
        "/blobs//etc/passwd",
        "/blobs/%2fetc%2fpasswd",
        "/blobs/..%5csecret",
        "/blobs/a%00b",
        "/blobs/%ff%fe",
        "/blobs/%c0%ae%c0%ae/secret",
        "/blobs/.incoming/x",
        "/blobs/a%0d%0aSet-Cookie:%20x=1",
        "/blobs/<script>alert(1)</script>",
        "/secret",
    ],
)
async def test_hostile_paths_get_nothing_and_are_not_repeated(door: Door, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    permission = (await door.signed("GET", "a")).split("/")[2]
    below = path.removeprefix("/blobs/")
    for target in (path, f"/blobs/{permission}/{below}", f"/blobs/GET-x-<b>-%ff/{below}"):
        for method in ("GET", "PUT"):
            answer = await door.ask(method, target, b"x" if method == "PUT" else b"")
            assert answer.status in (400, 403, 404)
            assert b"secret" not in answer.body
            assert b"script" not in answer.body
            assert "Set-Cookie" not in answer.headers
            assert answer.headers["content-type"].startswith("text/plain")
    assert await door.stored() == []


async def test_a_correctly_signed_key_still_cannot_leave_the_root(door: Door, tmp_path: Path) -> None:
    """The second fence: should the signer ever be led to sign such a key."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "blobs" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "blobs" / "up").symlink_to(tmp_path)
    for key in ("../secret", "a/../../secret", "link", "up/secret", f"{INCOMING}/x"):
        for method in ("GET", "PUT"):
            if (key, method) == ("link", "PUT"):
                continue  # replaces the link itself
            target = door.blobs.signer.sign(method, key, door.clock.now().replace(year=2099))
            assert (await door.ask(method, f"/blobs/{target}", b"x" if method == "PUT" else b"")).status == 400
    assert (tmp_path / "secret").read_text() == "secret"


async def test_the_digest_in_the_url_binds_the_body(door: Door) -> None:
    target = await door.signed("PUT", "a", md5(b"expected"))
    answer = await door.ask("PUT", target, b"something else")
    assert answer.status == 400
    answer = await door.ask("PUT", target, b"something else", Content_MD5=in_base64(md5(b"something else")))
    assert answer.status == 400
    assert await door.stored() == []
    assert (await door.ask("PUT", target, b"expected")).status == 200


async def test_the_digest_in_the_header_is_checked(door: Door) -> None:
    target = await door.signed("PUT", "a")
    for header in (in_base64(md5(b"other")), "not base64!", "", in_base64(b"short"), md5(b"data").hex()):
        assert (await door.ask("PUT", target, b"data", Content_MD5=header)).status == 400
    assert await door.stored() == []
    assert (await door.ask("PUT", target, b"data", Content_MD5=in_base64(md5(b"data")))).status == 200


async def test_a_body_that_is_too_large_is_refused(door: Door) -> None:
    target = await door.signed("PUT", "a")
    assert (await door.ask("PUT", target, bytes(UPLOAD_BYTES_MAX))).status == 200
    await door.blobs.delete(door.blobs.uri("a"))
    announced = (
        f"PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {UPLOAD_BYTES_MAX + 1}\r\n\r\n"
    )
    assert (await door.send(announced.encode() + bytes(UPLOAD_BYTES_MAX + 1))).status == 413
    chunks = b"".join(b"%x\r\n%b\r\n" % (100_000, bytes(100_000)) for _ in range(12)) + b"0\r\n\r\n"
    chunked = f"PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await door.send(chunked.encode() + chunks)).status == 413
    assert await door.stored() == []


async def test_a_client_that_sends_too_much_learns_the_reason(door: Door) -> None:
    """As long as it is within `UNWANTED_BYTES_MAX`: such a client reads nothing before it has sent everything."""
    put, get = await door.signed("PUT", "a"), await door.signed("GET", "a")
    for target, status in ((put, 413), (get, 403)):
        url = f"http://127.0.0.1:{door.port}{target}"
        answer = await asyncio.to_thread(requests.put, url, data=bytes(8_000_000), timeout=20)
        assert answer.status_code == status


async def test_an_upload_that_breaks_off_leaves_nothing(door: Door, tmp_path: Path) -> None:
    target = await door.signed("PUT", "a")
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode() + bytes(500))
    await writer.drain()
    incoming = tmp_path / "blobs" / INCOMING

    async def until(count: int) -> None:
        while len(list(incoming.iterdir())) != count:
            await asyncio.sleep(0.001)

    await soon(until(1))
    writer.close()
    await soon(until(0))
    assert await door.stored() == []


async def test_an_object_below_another_is_the_callers_mistake(door: Door) -> None:
    await door.blobs.put(door.blobs.uri("a"), b"x")
    assert (await door.ask("PUT", await door.signed("PUT", "a/b"), b"x")).status == 400
    assert (await door.ask("PUT", await door.signed("PUT", "y" * 300), b"x")).status == 400


async def test_html_is_shown_in_a_sandbox_and_nothing_else_is_guessed(door: Door) -> None:
    for key, media_type in (("deck.html", "text/html; charset=utf-8"), ("x.svg", "application/octet-stream")):
        await door.blobs.put(door.blobs.uri(key), b"<script>alert(1)</script>")
        answer = await door.ask("GET", await door.signed("GET", key))
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-security-policy"] == "sandbox allow-scripts"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_failing_disk_says_so(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    def broken(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    target = await door.signed("PUT", "a")
    for failure, status in ((full, 507), (broken, 503)):
        monkeypatch.setattr(FileBlobs, "publish", failure)
        assert (await door.ask("PUT", target, b"x")).status == status


async def test_signatures_are_not_logged(door: Door, caplog: pytest.LogCaptureFixture, capfd) -> None:
    caplog.set_level(logging.DEBUG)
    target = await door.signed("PUT", "a")
    for body in (b"x", bytes(UPLOAD_BYTES_MAX + 1)):
        await door.ask("PUT", target, body)
    await door.ask("GET", target)
    # pytest listens to uvicorn's access log although that is turned off.
    said = [record.getMessage() for record in caplog.records if record.name != "uvicorn.access"]
    said += capfd.readouterr()
    assert target.split("/")[2].rpartition("-")[2] not in "".join(said)


# The secret


def test_the_secret_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret"
    secret = load_secret(path)
    assert len(secret) == SECRET_BYTES
    assert load_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert load_secret(tmp_path / "other") != secret


def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"short"):
        (tmp_path / "secret").write_bytes(content)
        with pytest.raises(Refused, match="delete it"):
            load_secret(tmp_path / "secret")
    with pytest.raises(InvalidRequest):
        UrlSigner(b"")
