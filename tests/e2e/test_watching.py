"""Watching executions of a control plane, over gRPC and as server-sent events, by a client of our own."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.request import Request, urlopen

import grpc
import pytest
from compat import raw
from compat.plane import Plane
from flyteidl.core import execution_pb2 as phases_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.watch import service_pb2 as watch_pb2
from sailplane_protos.watch import service_pb2_grpc as watch_grpc

PHASES = phases_pb2.WorkflowExecution.Phase
NODE_PHASES = phases_pb2.NodeExecution.Phase
SECONDS_MAX = 60


@pytest.fixture
def stub(plane: Plane) -> Iterator[watch_grpc.WatchServiceStub]:
    raw.register(plane, "chain", "v1", ["true"], [[], [0], [1]])
    with grpc.insecure_channel(plane.grpc) as channel:
        yield watch_grpc.WatchServiceStub(channel)


def asked(version: int = 0) -> watch_pb2.WatchExecutionRequest:
    id = identifier_pb2.WorkflowExecutionIdentifier(project=raw.PROJECT, domain=raw.DOMAIN, name="x")
    return watch_pb2.WatchExecutionRequest(id=id, resume_version=version)


def phases_of(pages: Sequence[watch_pb2.WatchExecutionResponse]) -> dict[str, str]:
    """What was told last."""
    found: dict[str, str] = {}
    for page in pages:
        found |= {node.node_execution.id.node_id: name_of(node) for node in page.nodes}
    return found


def name_of(node: watch_pb2.WatchedNode) -> str:
    return NODE_PHASES.Name(node.node_execution.closure.phase)


def test_an_execution_is_watched_to_its_end_across_a_crash(plane: Plane, stub: watch_grpc.WatchServiceStub) -> None:
    raw.start(plane, "v1", "x")
    first = next(iter(stub.WatchExecution(asked(), timeout=SECONDS_MAX)))
    assert first.HasField("execution")
    plane.kill()
    plane.start()
    rest = list(stub.WatchExecution(asked(first.version), timeout=SECONDS_MAX, wait_for_ready=True))
    assert rest[-1].has_ended
    assert PHASES.Name([page for page in rest if page.HasField("execution")][-1].execution.closure.phase) == "SUCCEEDED"
    whole = list(stub.WatchExecution(asked(), timeout=SECONDS_MAX))
    assert phases_of([first, *rest]) == phases_of(whole)
    assert {phases_of(whole)[f"n{number}"] for number in range(3)} == {"SUCCEEDED"}


def test_the_same_over_http(plane: Plane, stub: watch_grpc.WatchServiceStub) -> None:
    raw.start(plane, "v1", "x")
    url = f"{plane.http}/api/v1/watch/executions/{raw.PROJECT}/{raw.DOMAIN}/x"
    events = events_of(url)
    *news, (kind, status) = events
    assert (kind, status["code"]) == ("status", 0)
    assert news[0][1]["execution"]["id"]["name"] == "x"
    assert news[-1][1]["has_ended"] is True
    version = news[-1][1]["version"]
    [(_, last), _] = events_of(f"{url}?resume_version={version}")
    assert (last["version"], last["nodes"], last["execution"]) == (version, [], None)


def test_a_log_is_there_after_a_crash(plane: Plane, stub: watch_grpc.WatchServiceStub) -> None:
    raw.register(plane, "printing", "v1", ["echo", "{{.inputs.node}}"], [[]])
    raw.start(plane, "v1", "x", "printing")
    list(stub.WatchExecution(asked(), timeout=SECONDS_MAX))
    plane.kill()
    plane.start()
    id = identifier_pb2.NodeExecutionIdentifier(node_id="n0", execution_id=asked().id)
    chunks = stub.TailLogs(watch_pb2.TailLogsRequest(id=id), timeout=SECONDS_MAX, wait_for_ready=True)
    assert b"".join(chunk.data for chunk in chunks) == b"0\n"


def events_of(url: str) -> list[tuple[str, Any]]:
    """Server-sent events until the server ends them, by name."""
    found: list[tuple[str, Any]] = []
    kind = "message"
    with urlopen(Request(url, headers={"Accept": "text/event-stream"}), timeout=SECONDS_MAX) as reply:
        for line in reply:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                found.append((kind, json.loads(value)))
                kind = "message"
    return found
