"""Starting the execution that a launch-plan node stands for."""

from dataclasses import dataclass, field
from typing import cast

import pytest
from sailplane_core.errors import AlreadyExists, NotFound
from sailplane_core.failures import FailureKind
from sailplane_core.ids import EntityId, ExecutionId, ResourceType
from sailplane_propeller import children
from sailplane_protos.admin import execution_pb2
from sailplane_protos.core import literals_pb2
from sailplane_protos.propeller import queue_pb2

PLAN = EntityId(ResourceType.LAUNCH_PLAN, "p", "d", "plan", "v1")
CALLER = children.Caller(ExecutionId("p", "d", "x"), "n0", 0, queue_pb2.Start())


@dataclass
class Admin:
    """Refuses to start anything, because the name is taken or because the plan skips it."""

    has_child: bool

    async def create_execution(self, request: execution_pb2.ExecutionCreateRequest) -> None:
        """Refused."""
        raise AlreadyExists("execution", request.name, "concurrency limit (1) reached")

    async def execution(self, id: ExecutionId) -> execution_pb2.Execution:
        """The child, if it was started before."""
        assert id == CALLER.child
        if not self.has_child:
            raise NotFound("execution", str(id))
        return execution_pb2.Execution(id=id.to_message())


@pytest.mark.parametrize("has_child", [True, False])
async def test_a_child_that_was_started_before_is_told_from_one_that_its_plan_skips(has_child: bool) -> None:
    admin = cast("children.ExecutionSource", Admin(has_child))
    failure = await children.launch(admin, CALLER, PLAN, literals_pb2.LiteralMap())
    if has_child:
        assert failure is None
    else:
        assert failure is not None
        assert (failure.kind, failure.retryable) == (FailureKind.USER, False)
        assert "concurrency limit (1) reached" in failure.message


@dataclass
class Recoverer:
    """Knows some of the children that may be recovered."""

    known: set[str]
    recovered: list[str] = field(default_factory=list[str])

    async def recover_execution(self, request: execution_pb2.ExecutionRecoverRequest) -> None:
        """Recovered, if it is known."""
        if request.id.name not in self.known:
            raise NotFound("execution", request.id.name)
        self.recovered.append(request.id.name)

    async def create_execution(self, request: execution_pb2.ExecutionCreateRequest) -> None:
        """Started afresh."""
        self.recovered.append("afresh")


@pytest.mark.parametrize(("known", "recovered"), [({"b", "c"}, "b"), ({"a"}, "a"), (set[str](), "afresh")])
async def test_the_nearest_child_that_there_was_is_recovered(known: set[str], recovered: str) -> None:
    admin = Recoverer(known)
    earlier = [ExecutionId("p", "d", name) for name in ("a", "b", "c")]
    source = cast("children.ExecutionSource", admin)
    assert await children.launch(source, CALLER, PLAN, literals_pb2.LiteralMap(), earlier) is None
    assert admin.recovered == [recovered]
