"""Services of ours for operators, over gRPC with our own stubs."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from compat.plane import Plane
from grpc import StatusCode
from sailplane_core.phases import EXECUTION_TERMINAL
from sailplane_protos.governance import (
    audit_pb2,
    audit_pb2_grpc,
    quotas_pb2,
    quotas_pb2_grpc,
    retention_pb2,
    retention_pb2_grpc,
)
from wire import good
from wire.conftest import Call


@pytest.fixture
def quotas(world: Plane) -> Iterator[quotas_pb2_grpc.QuotaServiceStub]:
    with grpc.insecure_channel(world.grpc) as channel:
        yield quotas_pb2_grpc.QuotaServiceStub(channel)


def test_quotas(quotas: quotas_pb2_grpc.QuotaServiceStub, call: Call) -> None:
    given = quotas_pb2.Quotas(project=good.PROJECT, domain=good.DOMAIN, running_executions_max=1)
    quotas.SetQuotas(quotas_pb2.SetQuotasRequest(quotas=given))
    assert list(quotas.ListQuotas(quotas_pb2.ListQuotasRequest()).quotas) == [given]
    place = {"project": good.PROJECT, "domain": good.DOMAIN}
    found = quotas.GetQuotas(quotas_pb2.GetQuotasRequest(**place))
    assert (found.quotas, found.usage.running_executions) == (given, 1)
    with pytest.raises(grpc.RpcError) as caught:
        call("CreateExecution", good.execution())
    error: Any = caught.value
    assert error.code() is StatusCode.RESOURCE_EXHAUSTED
    assert "running_executions_max" in error.details()
    quotas.DeleteQuotas(quotas_pb2.DeleteQuotasRequest(**place))
    call("CreateExecution", good.execution())


def test_who_has_done_what(world: Plane, call: Call) -> None:
    call("CreateTask", good.task())
    with grpc.insecure_channel(world.grpc) as channel:
        audit = audit_pb2_grpc.AuditServiceStub(channel)
        asked = audit_pb2.ListAuditEventsRequest(project=good.PROJECT, domain=good.DOMAIN, rpc="CreateTask")
        deadline = time.monotonic() + 20
        while not (found := [one for one in audit.ListAuditEvents(asked).events if one.entity.startswith("t2:")]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert (found[0].code, found[0].peer.partition(":")[0]) == ("OK", "ipv4")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_retention(world: Plane, call: Call) -> None:
    create = good.execution()
    name = create.name = "brief"
    call("CreateExecution", create)
    asked, end = good.REQUESTS["GetExecution"](), good.REQUESTS["TerminateExecution"]()
    asked.id.name = end.id.name = name
    call("TerminateExecution", end)
    wait_until(lambda: call("GetExecution", asked).closure.phase in EXECUTION_TERMINAL)
    key = {"project": good.PROJECT, "domain": good.DOMAIN}
    policy = retention_pb2.RetentionPolicy(**key, executions_max=1_000)
    with grpc.insecure_channel(world.grpc) as channel:
        retention = retention_pb2_grpc.RetentionServiceStub(channel)
        retention.SetRetentionPolicy(retention_pb2.SetRetentionPolicyRequest(policy=policy))
        assert retention.GetRetentionPolicy(retention_pb2.GetRetentionPolicyRequest(**key)).policy == policy
        listed = retention.ListRetentionPolicies(retention_pb2.ListRetentionPoliciesRequest())
        assert list(listed.policies) == [policy]
        preview = retention_pb2.PreviewRetentionRequest(project=good.PROJECT)
        assert retention.PreviewRetention(preview).executions == 0
        policy.executions_max, policy.age_s_max = 0, 1
        retention.SetRetentionPolicy(retention_pb2.SetRetentionPolicyRequest(policy=policy))
        wait_until(lambda: any(id.name == name for id in retention.PreviewRetention(preview).first))

        def is_gone() -> bool:
            retention.RunRetention(retention_pb2.RunRetentionRequest(project=good.PROJECT))
            try:
                call("GetExecution", asked)
            except grpc.RpcError as error:
                known: Any = error
                return known.code() is StatusCode.NOT_FOUND
            return False

        wait_until(is_gone)
        retention.DeleteRetentionPolicy(retention_pb2.DeleteRetentionPolicyRequest(**key))
        with pytest.raises(grpc.RpcError) as caught:
            retention.GetRetentionPolicy(retention_pb2.GetRetentionPolicyRequest(**key))
        error: Any = caught.value
        assert error.code() is StatusCode.NOT_FOUND
