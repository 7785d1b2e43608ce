"""Server-streaming RPCs through the gateway: lines or events, how they end, and who is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from sailplane_core import errors
from sailplane_protos.admin import agent_pb2
from sailplane_runtime.gateway.door import Gateway
from services.runtime.asking import Client, ask

AGENTS = "sailplane.service.AsyncAgentService"
LOGS = "/api/v1/agent/task/logs/name/1/YQ=="
BYTES_MAX = 1000


class Agents:
    """Sends lines of a log until it is told to stop."""

    def __init__(self, *lines: str | Exception | None) -> None:
        self.lines = lines
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
