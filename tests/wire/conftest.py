"""A control plane for the whole folder, and how to call it."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from compat.plane import Plane
from flyteidl.service import admin_pb2_grpc, dataproxy_pb2_grpc, signal_pb2_grpc
from wire import good

Call = Callable[[str, Any], Any]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A running control plane with nothing in it."""
    started = Plane(tmp_path_factory.mktemp("plane") / "data").start()
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane of the module's own, in which there is what `good.REQUESTS` are about."""
    started = Plane(tmp_path_factory.mktemp("world") / "data").start()
    try:
        good.build(started)
        yield started
        good.leave(started)
    finally:
        exit_code = started.stop()
    assert exit_code == 0


@pytest.fixture(scope="module")
def call(world: Plane) -> Iterator[Call]:
    """Calls an RPC of that control plane by its name, over the published stubs."""
    with grpc.insecure_channel(world.grpc) as channel:
        stubs = (
            admin_pb2_grpc.AdminServiceStub(channel),
            dataproxy_pb2_grpc.DataProxyServiceStub(channel),
            signal_pb2_grpc.SignalServiceStub(channel),
        )

        def to(method: str, request: Any) -> Any:
            stub = next(stub for stub in stubs if hasattr(stub, method))
            return getattr(stub, method)(request, timeout=20)

        yield to
