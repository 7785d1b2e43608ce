"""Asks an ASGI application, with nothing in between that would put a request right."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Headers = Sequence[tuple[str, str]]
JSON = ("content-type", "application/json")
PROTOBUF = ("content-type", "application/octet-stream")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Client:
    """One request, of which the answer can be watched as it comes."""

    def __init__(self, app: Any, verb: str, target: str, headers: Headers = (), body: bytes = b"") -> None:
        path, _, query = target.partition("?")
        self._scope = {
            "type": "http",
            "method": verb,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost:8088"), *((name.encode(), value.encode()) for name, value in headers)],
            "client": ("127.0.0.1", 4242),
            "scheme": "http",
        }
        self._app = app
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self) -> None:
        """Until the application is done with it."""
        await self._app(self._scope, self._incoming.get, self.sent.put)

    def go(self) -> None:
        """Close the connection."""
        self._incoming.put_nowait({"type": "http.disconnect"})


async def ask(app: Any, verb: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> Answer:
    """The whole answer."""
    client = Client(app, verb, target, headers, body)
    await asyncio.wait_for(client.run(), 30)
    start = client.sent.get_nowait()
    chunks = []
    while not client.sent.empty():
        chunks.append(client.sent.get_nowait()["body"])
    return Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, b"".join(chunks))
