"""Every RPC is answered: those that Flyte publishes, but for what its own control plane does not answer, and ours."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import rpc_table
from compat.plane import Plane
from flyteidl.cacheservice import cacheservice_pb2
from flyteidl.datacatalog import datacatalog_pb2
from flyteidl.service import (
    admin_pb2,
    agent_pb2,
    auth_pb2,
    dataproxy_pb2,
    external_plugin_service_pb2,
    identity_pb2,
    signal_pb2,
)
from grpc import StatusCode

FILES = (
    admin_pb2,
    agent_pb2,
    auth_pb2,
    cacheservice_pb2,
    datacatalog_pb2,
    dataproxy_pb2,
    external_plugin_service_pb2,
    identity_pb2,
    signal_pb2,
)
FLYTES = [service for file in FILES for service in file.DESCRIPTOR.services_by_name.values()]
NAMES_OF_FLYTES = {service.name for service in FLYTES}
OURS = [service for service in rpc_table.services() if service.name not in NAMES_OF_FLYTES]
METHODS = [method for service in (*FLYTES, *OURS) for method in service.methods]


@pytest.fixture(scope="module")
def channel(plane: Plane) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(plane.grpc) as opened:
        yield opened


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.containing_service.name}.{method.name}")
def test_it_is_answered(channel: grpc.Channel, method: Any) -> None:
    service = method.containing_service
    call: Any = channel.unary_unary(f"/{service.full_name}/{method.name}")
    try:
        call(b"", timeout=20)
        code = StatusCode.OK
    except grpc.RpcError as error:
        known: Any = error
        code = known.code()
    if rpc_table.answered(method) == "yes":
        assert code in (StatusCode.OK, StatusCode.INVALID_ARGUMENT)
    else:
        assert code is StatusCode.UNIMPLEMENTED
