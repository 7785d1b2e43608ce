"""An execution whose state broke a rule is put aside with its evidence, and all others go on."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import grpc
from compat import raw
from compat.plane import Plane
from sailplane_protos.propeller import service_pb2, service_pb2_grpc

WAITING = ["sh", "-c", 'until test -e "$0"; do sleep 0.05; done']


def test_a_poisoned_execution_is_parked_and_the_others_go_on(own_plane: Callable[..., Plane], tmp_path: Path) -> None:
    plane, go_on = own_plane(), tmp_path / "go_on"
    raw.register(plane, "waiting", "v1", [*WAITING, str(go_on)], [[], [0]])
    for name in ("poisoned", "sound"):
        raw.start(plane, "v1", name, "waiting")
    for name in ("poisoned", "sound"):
        until_running(plane, name)
    plane.kill()
    with closing(sqlite3.connect(plane.data_dir / "propeller.db")) as database, database:
        spoiled = "UPDATE nodes SET kind = 'no such kind' WHERE id = 'n0' AND execution_id LIKE '%/poisoned'"
        assert database.execute(spoiled).rowcount == 1
    plane.start()
    go_on.touch()
    assert raw.wait_all(plane, ["sound"], timeout_s=30) == {"sound": "SUCCEEDED"}
    with grpc.insecure_channel(plane.grpc) as channel:
        propeller = service_pb2_grpc.PropellerServiceStub(channel)
        [parked] = propeller.ListParked(service_pb2.ListParkedRequest(), timeout=10).parked
        assert parked.id.name == "poisoned"
        assert "no such kind" in parked.evidence
        state = propeller.GetExecutionState(service_pb2.GetExecutionStateRequest(id=parked.id), timeout=10)
        assert state.parked.reason == parked.reason
    plane.remote().terminate(plane.remote().fetch_execution(name="poisoned"), cause="it cannot go on")
    assert raw.wait_all(plane, ["poisoned"], timeout_s=30) == {"poisoned": "ABORTED"}
    assert raw.nodes(plane, "poisoned")["n0"] == "ABORTED"


def until_running(plane: Plane, execution: str) -> None:
    """Wait until its first task runs."""
    while raw.nodes(plane, execution).get("n0") != "RUNNING":
        time.sleep(0.05)
