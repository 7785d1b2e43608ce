"""The HTTP door: health, routes, and requests that were meant for somebody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sailplane_core.errors import InvalidRequest, Refused
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.http_server import HttpServer
from sailplane_runtime.progress import Progress
from sailplane_runtime.settings import HttpSettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


@asynccontextmanager
async def serving(progress: Progress | None = None) -> AsyncIterator[int]:
    routes = [Route("/hello", hello)]
    server = HttpServer(HttpSettings(port=0), progress or Progress(ManualClock()), routes, ["box.example"])
    port = server.bind()
    await server.start()
    yield port
    await server.stop()


async def get(port: int, path: str, *headers: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.1", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8088", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8088", "10.0.0.7", "box.example:1"],
)
async def test_names_of_ours_and_addresses_are_served(host: str) -> None:
    async with serving() as port:
        assert await get(port, "/hello", f"Host: {host}") == (200, "hello")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[evil]:1"])
async def test_other_names_are_not(host: str) -> None:
    async with serving() as port:
        for path in ("/hello", "/healthcheck", "/nowhere"):
            status, body = await get(port, path, f"Host: {host}")
            assert status == 421
            assert "evil" not in body


async def test_two_host_headers_are_refused() -> None:
    async with serving() as port:
        status, _ = await get(port, "/hello", "Host: localhost", "Host: evil.example")
    assert status in (400, 421)


async def test_health_follows_progress() -> None:
    clock = ManualClock()
    progress = Progress(clock, stale_after_s=20)

    async def hang() -> None:
        await asyncio.Event().wait()

    progress.watch("the store", hang)
    await progress.start()
    async with serving(progress) as port:
        assert await get(port, "/healthcheck", "Host: localhost") == (200, "ok\n")
        clock.advance(timedelta(seconds=21).total_seconds())
        assert await get(port, "/healthcheck", "Host: localhost") == (503, "no progress: the store\n")
    await progress.stop()


async def test_a_port_in_use_is_refused_with_words() -> None:
    async with serving() as port:
        with pytest.raises(Refused, match=f"port {port} of 127.0.0.1 is in use"):
            HttpServer(HttpSettings(port=port), Progress(ManualClock()), []).bind()


async def test_it_stops_while_a_client_keeps_its_connection() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in await reader.readline()
    await reader.read()
    writer.close()
    await writer.wait_closed()


# Pages of others


@asynccontextmanager
async def permitting(*origins: str) -> AsyncIterator[int]:
    settings = HttpSettings(port=0, cors_origins=origins)
    server = HttpServer(settings, Progress(ManualClock()), [Route("/hello", hello)])
    port = server.bind()
    await server.start()
    yield port
    await server.stop()


async def options(port: int, *headers: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = ["OPTIONS /hello HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    answer = (await reader.read()).decode().lower()
    writer.close()
    await writer.wait_closed()
    return answer


ASKING = ("Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type, flyte-authorization")


async def test_a_page_of_a_permitted_origin_may_call() -> None:
    async with permitting("https://console.example") as port:
        answer = await options(port, "Origin: https://console.example", *ASKING)
        assert answer.startswith("http/1.1 200")
        assert "access-control-allow-origin: https://console.example" in answer
        for refused in (("Origin: https://evil.example", *ASKING), ("Origin: null", *ASKING)):
            answer = await options(port, *refused)
            assert answer.startswith("http/1.1 400")
            assert "access-control-allow-origin" not in answer
        assert (await options(port, "Host: evil.example", *ASKING)).startswith("http/1.1 4")


async def test_no_page_may_call_unless_that_was_configured() -> None:
    async with serving() as port:
        answer = await options(port, "Origin: https://console.example", *ASKING)
    assert "access-control" not in answer


@pytest.mark.parametrize("origin", ["*", "null", "console.example", "https://a.example/", "https://*.example", ""])
def test_what_is_no_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(InvalidRequest, match="cors_origins"):
        HttpServer(HttpSettings(port=0, cors_origins=(origin,)), Progress(ManualClock()), [])
