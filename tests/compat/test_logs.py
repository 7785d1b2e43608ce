"""What tasks of stock flytekit print is read while they run and when they are over, over gRPC and HTTP."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from urllib.request import Request, urlopen

import grpc
import pytest
from compat import raw
from compat.plane import Plane
from compat.runs import Runs
from flyteidl.admin import execution_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.watch import service_pb2 as watch_pb2
from sailplane_protos.watch import service_pb2_grpc as watch_grpc

SECONDS_MAX = 30


@pytest.fixture
def stub(plane: Plane) -> Iterator[watch_grpc.WatchServiceStub]:
    with grpc.insecure_channel(plane.grpc) as channel:
        yield watch_grpc.WatchServiceStub(channel)


def node_id(execution: str, node: str = "n0") -> identifier_pb2.NodeExecutionIdentifier:
    id = identifier_pb2.WorkflowExecutionIdentifier(project=raw.PROJECT, domain=raw.DOMAIN, name=execution)
    return identifier_pb2.NodeExecutionIdentifier(node_id=node, execution_id=id)


def read(stub: watch_grpc.WatchServiceStub, request: watch_pb2.TailLogsRequest) -> str:
    return b"".join(chunk.data for chunk in stub.TailLogs(request, timeout=SECONDS_MAX)).decode()


def test_each_attempt_has_its_log(runs: Runs, stub: watch_grpc.WatchServiceStub) -> None:
    execution = runs.run("logs.speaking").id.name
    for attempt in (0, 1):
        printed = read(stub, watch_pb2.TailLogsRequest(id=node_id(execution), attempt=attempt))
        assert f"attempt {attempt} says this\n" in printed
        assert f"attempt {attempt} complains\n" in printed
        assert f"attempt {1 - attempt}" not in printed
    path = f"/api/v1/watch/logs/{raw.PROJECT}/{raw.DOMAIN}/{execution}/n0/1"
    with urlopen(Request(f"{runs.plane.http}{path}?offset=0"), timeout=SECONDS_MAX) as reply:
        lines = [json.loads(line)["result"] for line in reply]
    assert b"".join(base64.b64decode(line["data"]) for line in lines).decode() == printed


def test_each_item_of_a_map_has_its_log(runs: Runs, stub: watch_grpc.WatchServiceStub) -> None:
    execution = runs.run("logs.counting", {"xs": [5, 7]}).id.name
    for index, x in enumerate((5, 7)):
        item = watch_pb2.ArrayItem(index=index)
        assert f"item {x}\n" in read(stub, watch_pb2.TailLogsRequest(id=node_id(execution), item=item))


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_log_is_followed_and_kept_when_the_execution_is_aborted(
    plane: Plane, stub: watch_grpc.WatchServiceStub
) -> None:
    script = "echo first; while [ ! -e go ]; do sleep 0.1; done; echo second; sleep 600"
    raw.register(plane, "printing", "v1", ["sh", "-c", script], [[]])
    raw.start(plane, "v1", "prints", "printing")
    until(lambda: raw.nodes(plane, "prints").get("n0") == "RUNNING")
    following = stub.TailLogs(watch_pb2.TailLogsRequest(id=node_id("prints"), follow=True), timeout=SECONDS_MAX)
    first = next(following)
    assert (first.offset, first.data) == (0, b"first\n")
    [place] = plane.data_dir.glob("pods/*/prints-n0-0")
    for folder in (place, *(path for path in place.rglob("*") if path.is_dir())):
        (folder / "go").touch()
    second = next(following)
    assert (second.offset, second.data) == (6, b"second\n")
    abort = execution_pb2.ExecutionTerminateRequest(id=raw.get(plane, "prints").id, cause="enough")
    raw.admin(plane).TerminateExecution(abort)
    assert list(following) == []
    until(lambda: not place.exists())
    resumed = watch_pb2.TailLogsRequest(id=node_id("prints"), offset=6)
    assert read(stub, resumed) == "second\n"


def test_what_has_printed_nothing_has_no_log(plane: Plane, stub: watch_grpc.WatchServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        read(stub, watch_pb2.TailLogsRequest(id=node_id("nobody")))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
