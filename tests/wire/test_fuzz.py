"""Whatever a client sends to any RPC, it is answered: never INTERNAL, never UNKNOWN, and the server goes on.

    make fuzz CASES=10000

Each RPC gets messages made of its descriptor alone, and its good request (`good.REQUESTS`) with changes. What is sent
is the same in every run; a failure prints the message as text.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import rpc_table
from compat.plane import Plane
from google.protobuf import text_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sailplane_protos.admin import version_pb2
from wire import fuzz, good

CASES = int(os.environ.get("FUZZ_CASES", "200"))
SECONDS_MAX = 10.0
"""Of one call, on a machine that has much else to do."""
GROWTH_BYTES_MAX = 300 * 1024 * 1024
"""What the server may have kept of all that it was sent."""
METHODS: list[MethodDescriptor] = [
    method
    for service in rpc_table.services()
    for method in service.methods
    if rpc_table.answered(method) in ("yes", "among many")
]
FAULTS = {StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.UNAVAILABLE, StatusCode.DATA_LOSS}


def name_of(method: MethodDescriptor) -> str:
    return f"{method.containing_service.name}.{method.name}"


def resident_bytes(plane: Plane) -> int:
    """What the server has in memory."""
    assert plane.process is not None
    status = Path(f"/proc/{plane.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


@pytest.fixture(scope="module")
def channel(world: Plane) -> Iterator[grpc.Channel]:
    """To a world that is watched: at the end the server is well, and has not grown."""
    before_bytes = resident_bytes(world)
    with grpc.insecure_channel(world.grpc) as opened:
        yield opened
        assert resident_bytes(world) - before_bytes < GROWTH_BYTES_MAX


def requests(method: MethodDescriptor) -> st.SearchStrategy[Message]:
    """What the RPC is sent."""
    anything = fuzz.messages(method.input_type)
    make = good.REQUESTS.get(method.name)
    if make is None or method.containing_service.file.name.endswith("cacheservice.proto"):
        return anything
    request = method.input_type._concrete_class.FromString(make().SerializeToString())
    return st.one_of(anything, fuzz.spoiled(request))


def answer(channel: grpc.Channel, method: MethodDescriptor, data: bytes) -> StatusCode:
    """What the RPC answers."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.server_streaming:
            stream: Any = channel.unary_stream(path)
            for _ in zip(range(3), stream(data, timeout=1), strict=False):
                pass
        else:
            call: Any = channel.unary_unary(path)
            call(data, timeout=SECONDS_MAX)
    except grpc.RpcError as error:
        known: Any = error
        if known.code() is StatusCode.DEADLINE_EXCEEDED and method.server_streaming:
            return StatusCode.OK
        return known.code()
    return StatusCode.OK


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_it_is_answered(channel: grpc.Channel, method: MethodDescriptor) -> None:
    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(method))
    def send(request: Message) -> None:
        note(text_format.MessageToString(request)[:4000])
        code = answer(channel, method, request.SerializeToString())
        assert code not in FAULTS | {StatusCode.DEADLINE_EXCEEDED}

    send()


def test_the_server_is_well_after_all_that(world: Plane, channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=20).status == health_pb2.HealthCheckResponse.SERVING
    call: Any = channel.unary_unary("/sailplane.service.AdminService/GetVersion")
    assert call(version_pb2.GetVersionRequest().SerializeToString(), timeout=20)
    begun = time.monotonic()
    listed: Any = channel.unary_unary("/sailplane.service.AdminService/ListExecutions")
    assert listed(good.REQUESTS["ListExecutions"]().SerializeToString(), timeout=20)
    assert time.monotonic() - begun < SECONDS_MAX
    assert "Traceback" not in world.log.read_text()
