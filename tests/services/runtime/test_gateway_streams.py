"""Server-streaming RPCs through the gateway: lines or events, how they end, and who is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from sailplane_core import errors
from sailplane_protos.admin import agent_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.gateway.door import Gateway
from sailplane_runtime.http_server import HttpServer
from sailplane_runtime.progress import Progress
from sailplane_runtime.settings import HttpSettings
from services.runtime.asking import Client, ask

AGENTS = "sailplane.service.AsyncAgentService"
LOGS = "/api/v1/agent/task/logs/name/1/YQ=="
BYTES_MAX = 1000


class Agents:
    """Sends lines of a log until it is told to stop."""

    def __init__(self, *lines: str | Exception | None) -> None:
        self.lines = lines
        self.sent = 0
        self.has_ended = asyncio.Event()

    async def GetTaskLogs(self, request: Any, call: Any) -> AsyncIterator[Any]:  # noqa: N802
        """A line each; None takes for ever, and an error ends it."""
        try:
            for line in self.lines:
                if line is None:
                    await asyncio.Event().wait()
                elif isinstance(line, Exception):
                    raise line
                else:
                    self.sent += 1
                    yield agent_pb2.GetTaskLogsResponse(body=agent_pb2.GetTaskLogsResponseBody(results=[line]))
        finally:
            self.has_ended.set()


EVENTS = ("accept", "text/event-stream")


def streaming(agents: Agents, **settings: Any) -> Gateway:
    app = Gateway(BYTES_MAX, slow_call_s=60, **settings)
    app.add(AGENTS, agents)
    return app


async def test_a_stream_is_json_line_by_line() -> None:
    answer = await ask(streaming(Agents("a", "b")), "GET", LOGS)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert [json.loads(line) for line in answer.body.splitlines()] == [
        {"result": {"body": {"results": [text], "structured_lines": []}}} for text in ("a", "b")
    ]


async def test_a_stream_is_events_for_who_accepts_them() -> None:
    answer = await ask(streaming(Agents("a", "b\n\n")), "GET", LOGS, EVENTS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.decode() == (
        'data: {"body":{"results":["a"],"structured_lines":[]}}\n\n'
        'data: {"body":{"results":["b\\n\\n"],"structured_lines":[]}}\n\n'
        'event: status\ndata: {"code":0,"message":"","details":[]}\n\n'
    )


@pytest.mark.parametrize("headers", [(), (EVENTS,)])
async def test_a_stream_that_fails_at_once_has_the_number_of_its_status(headers: Any) -> None:
    answer = await ask(streaming(Agents(errors.NotFound("log", "x"))), "GET", LOGS, *headers)
    status = {"code": 5, "message": "missing entity of type log with identifier x", "details": []}
    assert (answer.status, answer.json) == (404, status if headers else {"error": status})
    assert answer.headers["content-type"] == "application/json"


async def test_a_stream_that_fails_later_says_so_at_its_end() -> None:
    agents = Agents("a", errors.Unavailable("the store"))
    answer = await ask(streaming(agents), "GET", LOGS)
    assert answer.status == 200
    assert json.loads(answer.body.splitlines()[-1])["error"]["code"] == 14
    answer = await ask(streaming(agents), "GET", LOGS, EVENTS)
    assert answer.body.decode().split("\n\n")[-2].startswith('event: status\ndata: {"code":14,')


async def test_a_bad_request_for_a_stream_is_a_bad_request() -> None:
    answer = await ask(streaming(Agents("a")), "GET", LOGS + "?lines=x", EVENTS)
    assert (answer.status, answer.json["code"]) == (400, 3)


async def test_events_have_a_pulse() -> None:
    agents = Agents(None)
    client = Client(streaming(agents, heartbeat_s=0.01), "GET", LOGS, [EVENTS])
    running = asyncio.ensure_future(client.run())
    assert (await asyncio.wait_for(client.sent.get(), 10))["status"] == 200
    for _ in range(3):
        assert (await asyncio.wait_for(client.sent.get(), 10))["body"] == b":\n\n"
    client.go()
    await asyncio.wait_for(running, 10)


@pytest.mark.parametrize("lines", [(None,), ("a", None)])
async def test_a_client_that_goes_away_ends_the_handler(lines: Any) -> None:
    agents = Agents(*lines)
    with structlog.testing.capture_logs() as logs:
        client = Client(streaming(agents), "GET", LOGS, [EVENTS])
        running = asyncio.ensure_future(client.run())
        await asyncio.sleep(0.05)
        assert not agents.has_ended.is_set()
        client.go()
        await asyncio.wait_for(running, 10)
    assert agents.has_ended.is_set()
    assert [log for log in logs if log["log_level"] != "debug"] == []


async def test_a_stream_that_is_cancelled_ends_the_handler() -> None:
    agents = Agents("a", None)
    client = Client(streaming(agents), "GET", LOGS, [EVENTS])
    running = asyncio.ensure_future(client.run())
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert agents.has_ended.is_set()


async def test_head_of_a_stream_does_not_begin_it() -> None:
    agents = Agents(None)
    answer = await asyncio.wait_for(ask(streaming(agents), "HEAD", LOGS, EVENTS), 5)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


# Over a connection


@asynccontextmanager
async def served(agents: Agents, **settings: Any) -> AsyncIterator[tuple[int, HttpServer]]:
    server = HttpServer(HttpSettings(port=0, **settings), Progress(ManualClock()), streaming(agents).routes())
    port = server.bind()
    await server.start()
    yield port, server
    await server.stop()


async def listen(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {LOGS} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
    await asyncio.wait_for(reader.readuntil(b'data: {"body"'), 10)
    return reader, writer


async def test_events_arrive_as_they_are_sent_and_a_closed_connection_ends_the_handler() -> None:
    agents = Agents("a", None)
    async with served(agents) as (port, _):
        _, writer = await listen(port)
        assert not agents.has_ended.is_set()
        writer.close()
        await asyncio.wait_for(agents.has_ended.wait(), 10)


async def test_who_listens_does_not_hold_up_a_stop() -> None:
    agents = Agents("a", None)
    async with served(agents, stop_grace_s=0.1) as (port, server):
        _, writer = await listen(port)
        await asyncio.wait_for(server.stop(), 10)
        await asyncio.wait_for(agents.has_ended.wait(), 10)
        writer.close()


async def test_who_does_not_read_is_not_sent_ever_more() -> None:
    """What is not taken waits in the connection, not in memory."""
    agents = Agents(*["x" * 100_000] * 1000)
    async with served(agents, stop_grace_s=0.1) as (port, _):
        _, writer = await listen(port)
        await asyncio.sleep(0.5)
        assert not agents.has_ended.is_set()
        assert agents.sent < 500
        writer.close()
        await asyncio.wait_for(agents.has_ended.wait(), 10)
