"""Starting the execution that a launch-plan node stands for."""

from dataclasses import dataclass
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
