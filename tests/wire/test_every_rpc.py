"""Every RPC that Flyte publishes is answered, but for those that Flyte's own control plane does not answer either."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
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
METHODS = [
    method for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
]
WITH_AUTH = {"IdentityService", "AuthMetadataService"}
"""Answered when clients have to say who they are."""
OF_OTHERS = {"AsyncAgentService", "SyncAgentService", "AgentMetadataService", "ExternalPluginService"}
"""Services of agents and plugins: a control plane calls them."""


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
    if service.name in WITH_AUTH | OF_OTHERS:
        assert code is StatusCode.UNIMPLEMENTED
    else:
        assert code in (StatusCode.OK, StatusCode.INVALID_ARGUMENT)
