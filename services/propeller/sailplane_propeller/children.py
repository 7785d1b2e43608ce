"""Child executions: what launch-plan nodes ask of admin, and what a child's end means for its node.

A child is named by its parent, node and attempt, so that starting it twice is starting it once. Admin tells its end
(`queue.proto: ChildEnded`); `look` asks for it, should the message be lost. None of this decides: the callers are the
performers of commands, which have checked that the node still wants what its command says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sailplane_core import closures
from sailplane_core.errors import (
    AlreadyExists,
    InvariantBroken,
    LimitReached,
    NotFound,
    Refused,
    SailplaneError,
    Unavailable,
)
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import EntityId, ExecutionId, child_execution_name
from sailplane_core.machine import ChildEnded
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.admin import execution_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_protos.core import literals_pb2
from sailplane_protos.propeller import queue_pb2

LAUNCH_FAILED = "RuntimeExecutionError"
CHILD_ABORTED = "RemoteChildWorkflowExecutionFailed"
CHILD_FAILED = "LaunchPlanExecutionFailed"
"""Flyte's codes; the last one only for a child that failed without saying why."""
CHILD_LOST = "ChildExecutionNotFound"


class ExecutionSource(Protocol):
    """Admin, for executions. Every method raises `Unavailable` or `LimitReached` when asking later may help."""

    async def create_execution(self, request: execution_pb2.ExecutionCreateRequest) -> None:
        """Start one. Raises `AlreadyExists` when the name is taken or the launch plan skips it, others for good."""
        ...

    async def recover_execution(self, request: execution_pb2.ExecutionRecoverRequest) -> None:
        """Start one again without what it finished. Raises as `create_execution`, `NotFound` without an original."""
        ...

    async def terminate_execution(self, id: ExecutionId, cause: str) -> None:
        """Ask for its end. Raises `NotFound`, and `Refused` when it has ended."""
        ...

    async def execution(self, id: ExecutionId) -> execution_pb2.Execution:
        """One execution. Raises `NotFound`."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who wants a child: an attempt of a launch-plan node, in an execution that was started with `start`."""

    execution: ExecutionId
    node_id: str
    attempt: int
    start: queue_pb2.Start

    @property
    def child(self) -> ExecutionId:
        """The execution that this attempt starts."""
        return child_of(self.execution, self.node_id, self.attempt)


def child_of(parent: ExecutionId, node_id: str, attempt: int) -> ExecutionId:
    """The execution that an attempt of a launch-plan node starts. To know its name, no row of the parent is needed."""
    return ExecutionId(parent.project, parent.domain, child_execution_name(parent, node_id, attempt))


# Starting


async def launch(
    admin: ExecutionSource,
    caller: Caller,
    plan: EntityId,
    inputs: literals_pb2.LiteralMap,
    recovers: Sequence[ExecutionId] = (),
) -> Failure | None:
    """Start the child, or find it started; why it cannot be, for good.

    `inputs` are what the node binds; the launch plan's defaults and fixed inputs are added by admin. `recovers` are the
    children that this node started in earlier executions, the nearest first: the first that is to be found is recovered
    instead. A node may have been ended before it got to starting its child.

    Raises `Unavailable` or `LimitReached` when another try may help.
    """
    try:
        for original in recovers:
            if await _recover(admin, caller, original):
                return None
        await admin.create_execution(create_request(caller, plan, inputs))
    except AlreadyExists as error:  # so does a launch plan answer that skips what would be too many at once
        return None if await _is_there(admin, caller.child) else _refused(caller, plan, error)
    except (Unavailable, LimitReached):
        raise
    except SailplaneError as error:
        return _refused(caller, plan, error)
    return None


async def _is_there(admin: ExecutionSource, child: ExecutionId) -> bool:
    try:
        await admin.execution(child)
    except NotFound:
        return False
    return True


def _refused(caller: Caller, plan: EntityId, error: SailplaneError) -> Failure:
    message = f"node {caller.node_id} cannot start launch plan {plan}: {error}"
    return Failure(LAUNCH_FAILED, message, FailureKind.USER, retryable=False)


async def _recover(admin: ExecutionSource, caller: Caller, original: ExecutionId) -> bool:
    request = execution_pb2.ExecutionRecoverRequest(id=original.to_message(), name=caller.child.name)
    _name_parent(request.metadata, caller)
    try:
        await admin.recover_execution(request)
    except NotFound:
        return False
    return True


def create_request(
    caller: Caller, plan: EntityId, inputs: literals_pb2.LiteralMap
) -> execution_pb2.ExecutionCreateRequest:
    """The child as admin is asked for it. Everything that the parent's callers said about its run goes for it too."""
    start, child = caller.start, caller.child
    request = execution_pb2.ExecutionCreateRequest(
        project=child.project, domain=child.domain, name=child.name, inputs=inputs
    )
    spec = request.spec
    spec.launch_plan.CopyFrom(plan.to_message())
    spec.metadata.mode = execution_pb2.ExecutionMetadata.CHILD_WORKFLOW
    _name_parent(spec.metadata, caller)
    spec.labels.values.update(start.labels)
    spec.annotations.values.update(start.annotations)
    for key in sorted(start.envs):
        spec.envs.values.add(key=key, value=start.envs[key])
    spec.security_context.CopyFrom(start.security_context)
    spec.max_parallelism = start.max_parallelism
    spec.raw_output_data_config.output_location_prefix = start.raw_output_prefix
    spec.overwrite_cache = start.overwrite_cache
    if start.HasField("queueing_budget"):
        spec.quality_of_service.spec.queueing_budget.CopyFrom(start.queueing_budget)
    if start.HasField("interruptible"):
        spec.interruptible.CopyFrom(start.interruptible)
    return request


def _name_parent(metadata: execution_pb2.ExecutionMetadata, caller: Caller) -> None:
    metadata.parent_node_execution.node_id = caller.node_id
    metadata.parent_node_execution.execution_id.CopyFrom(caller.execution.to_message())


# Ending


async def terminate(admin: ExecutionSource, child: ExecutionId, cause: str) -> bool:
    """Ask for the child's end. True when there is nothing to wait for: it was never started, or is over."""
    try:
        await admin.terminate_execution(child, cause)
    except (NotFound, Refused):
        return True
    return False


async def look(admin: ExecutionSource, node_id: str, child: ExecutionId) -> ChildEnded | None:
    """How a child of `node_id` ended; None while it has not.

    To be asked only about a child that was started: one that is not to be found is lost, and never ends otherwise.
    """
    try:
        closure = (await admin.execution(child)).closure
    except NotFound:
        failure = Failure(CHILD_LOST, f"child execution {child} is gone", FailureKind.SYSTEM, retryable=False)
        return ChildEnded(node_id, child.name, ExecutionPhase.FAILED, failure=failure)
    phase = ExecutionPhase(closure.phase)
    if phase not in EXECUTION_TERMINAL:
        return None
    outputs_uri, error = closures.result_of(closure)
    return _ended(node_id, child, phase, outputs_uri, error)


def end_told(message: queue_pb2.ChildEnded) -> ChildEnded:
    """What admin's message says. It may be about a child of an earlier attempt, or one that others started."""
    error = message.error if message.HasField("error") else None
    child = ExecutionId.of(message.child)
    return _ended(message.node_id, child, ExecutionPhase(message.phase), message.outputs_uri, error)


def _ended(
    node_id: str,
    child: ExecutionId,
    phase: ExecutionPhase,
    outputs_uri: str,
    error: phases_pb2.ExecutionError | None,
) -> ChildEnded:
    if phase not in EXECUTION_TERMINAL:
        raise InvariantBroken(f"the end of child execution {child} is told, in phase {phase.name}")
    if phase is ExecutionPhase.SUCCEEDED:
        return ChildEnded(node_id, child.name, phase, outputs_uri)
    failure = _failure(child, phase, error or phases_pb2.ExecutionError())
    return ChildEnded(node_id, child.name, phase, failure=failure)


def _failure(child: ExecutionId, phase: ExecutionPhase, error: phases_pb2.ExecutionError) -> Failure:
    """What a child's end does to its node. The child has spent its own retries: another attempt is not made."""
    if phase is ExecutionPhase.ABORTED:
        message = f"child execution {child} was aborted: {error.message or 'no reason was given'}"
        return Failure(CHILD_ABORTED, message, FailureKind.USER, retryable=False)
    is_system = error.kind == phases_pb2.ExecutionError.SYSTEM
    return Failure(
        error.code or CHILD_FAILED,
        f"child execution {child} failed: {error.message or 'no error was given'}",
        FailureKind.SYSTEM if is_system else FailureKind.USER,
        retryable=False,
        at_s=error.timestamp.ToNanoseconds() / 1e9 if error.HasField("timestamp") else None,
        worker=error.worker,
    )
