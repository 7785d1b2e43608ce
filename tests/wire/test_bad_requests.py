"""Whoever sends a malformed request is told so with Flyte's code and the name of the field, and nothing is written."""

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from compat.plane import Plane
from flyteidl.service import admin_pb2, dataproxy_pb2, signal_pb2
from grpc import StatusCode
from wire import bad_attributes, bad_definitions, bad_runs, good
from wire.bad import Bad
from wire.conftest import Call

CASES = [*bad_definitions.CASES, *bad_attributes.CASES, *bad_runs.CASES]

METHODS = [
    method
    for file, service in (
        (admin_pb2, "AdminService"),
        (dataproxy_pb2, "DataProxyService"),
        (signal_pb2, "SignalService"),
    )
    for method in file.DESCRIPTOR.services_by_name[service].methods
]
NEEDS_NOTHING = {"GetVersion", "GetDomains", "ListProjects", "ListMatchableAttributes"}
"""An empty request is a good one."""
NO_MESSAGES = (b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05a", b"\x0b" * 200)
"""Half a tag, a length beyond the end twice, and groups without end."""


WRITTEN_ALL_THE_TIME = ("audit_events", "leases")
"""Who was refused what, and that the scheduler is alive."""


def written(plane: Plane) -> dict[str, Any]:
    """Every row of every database, and the path of every object."""
    found: dict[str, Any] = {}
    for path in plane.data_dir.glob("*.db"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                if table in WRITTEN_ALL_THE_TIME:
                    continue
                found[f"{path.name}:{table}"] = database.execute(f'SELECT * FROM "{table}"').fetchall()
        database.close()
    found["objects"] = sorted(str(path) for path in (plane.data_dir / "blobs").rglob("*"))
    return found


@pytest.fixture(scope="module")
def quiet_world(world: Plane) -> Plane:
    """Once it has settled what it knows it has done."""
    before: dict[str, Any] = {}
    while before != (before := written(world)):
        time.sleep(0.5)
    return world


@pytest.fixture
def nothing_is_written(quiet_world: Plane) -> Iterator[None]:
    world = quiet_world
    before = written(world)
    yield
    after = written(world)
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


def failure(call: Call, method: str, request: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(method, request)
    return caught.value


@pytest.mark.usefixtures("nothing_is_written")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_refused_by_the_name_of_the_field(call: Call, case: Bad) -> None:
    error: Any = failure(call, case.method, case.make())
    assert (error.code(), case.says in error.details()) == (case.code, True), error.details()


@pytest.mark.usefixtures("nothing_is_written")
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_an_empty_request_is_refused_unless_it_says_all(call: Call, method: Any) -> None:
    request = method.input_type._concrete_class()
    if method.name in NEEDS_NOTHING:
        call(method.name, request)
        return
    error: Any = failure(call, method.name, request)
    assert error.code() is StatusCode.INVALID_ARGUMENT, error.details()


@pytest.mark.usefixtures("nothing_is_written")
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_bytes_that_are_no_message_are_refused(world: Plane, method: Any) -> None:
    with grpc.insecure_channel(world.grpc) as channel:
        call: Any = channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}")
        for data in NO_MESSAGES:
            with pytest.raises(grpc.RpcError) as caught:
                call(data, timeout=20)
            error: Any = caught.value
            assert error.code() is StatusCode.INVALID_ARGUMENT
            assert "is not a well-formed" in error.details()


def test_every_rpc_is_in_the_table() -> None:
    assert {case.method for case in CASES} == {method.name for method in METHODS} - {"GetVersion", "GetDomains"}


def test_what_the_table_spoils_is_good(call: Call) -> None:
    """The last test of this module, because it writes."""
    of_flyte = {method.name for method in METHODS}
    for method, make in good.REQUESTS.items():
        if method in of_flyte:
            call(method, make())
    call("CreateExecution", good.task_alone())
    call("CreateUploadLocation", good.unnamed_upload())
