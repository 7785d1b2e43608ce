"""Admin as propeller sees it: over gRPC, for what it reads, and for the executions that its own start."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from grpc import aio
from sailplane_core.ids import EntityId, ExecutionId, ResourceType
from sailplane_protos.admin import common_pb2, execution_pb2, launch_plan_pb2, signal_pb2
from sailplane_protos.core import compiler_pb2, identifier_pb2, literals_pb2, types_pb2
from sailplane_protos.service import admin_pb2_grpc, signal_pb2_grpc
from sailplane_runtime.admin_calls import TIMEOUT_S, reply

from .catalog_client import CatalogClient

T = TypeVar("T")

MESSAGE_BYTES_MAX = 256 * 1024 * 1024
"""A workflow of tens of thousands of nodes is one message."""


class AdminClient:
    """Implements `AdminPort` with admin's own RPCs."""

    def __init__(self, channel: aio.Channel) -> None:
        self._channel = channel
        self._admin = admin_pb2_grpc.AdminServiceStub(channel)
        self.catalog = CatalogClient(channel)
        self._signals = signal_pb2_grpc.SignalServiceStub(channel)

    @classmethod
    def connect(cls, target: str) -> "AdminClient":
        """A client of the admin at `host:port`, without TLS. Connects when first used, and again whenever needed."""
        return cls(aio.insecure_channel(target, options=[("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]))

    async def close(self) -> None:
        """Let go of the connection. Calls under way fail."""
        await self._channel.close()

    async def compiled_workflow(self, id: EntityId) -> compiler_pb2.CompiledWorkflowClosure:
        """The closure as registered."""
        return (await self._get(self._admin.GetWorkflow, id)).closure.compiled_workflow

    async def get_task(self, id: EntityId) -> compiler_pb2.CompiledTask:
        """The task as registered. Raises `NotFound`, `InvalidRequest` for an id that cannot be, `Unavailable`."""
        return (await self._get(self._admin.GetTask, id)).closure.compiled_task

    async def get_launch_plan(self, id: EntityId) -> launch_plan_pb2.LaunchPlan:
        """The launch plan with what it expects and gives. Raises the same."""
        return await self._get(self._admin.GetLaunchPlan, id)

    async def create_execution(self, request: execution_pb2.ExecutionCreateRequest) -> None:
        """Start an execution."""
        id = ExecutionId(request.project, request.domain, request.name)
        await _of_execution(id, self._admin.CreateExecution(request, timeout=TIMEOUT_S))

    async def recover_execution(self, request: execution_pb2.ExecutionRecoverRequest) -> None:
        """Start an execution again without what it finished."""
        await _of_execution(ExecutionId.of(request.id), self._admin.RecoverExecution(request, timeout=TIMEOUT_S))

    async def terminate_execution(self, id: ExecutionId, cause: str) -> None:
        """Ask for an execution's end."""
        request = execution_pb2.ExecutionTerminateRequest(id=id.to_message(), cause=cause)
        await _of_execution(id, self._admin.TerminateExecution(request, timeout=TIMEOUT_S))

    async def execution(self, id: ExecutionId) -> execution_pb2.Execution:
        """One execution."""
        request = execution_pb2.WorkflowExecutionGetRequest(id=id.to_message())
        return await _of_execution(id, self._admin.GetExecution(request, timeout=TIMEOUT_S))

    async def signal(
        self, execution: ExecutionId, signal_id: str, declared: types_pb2.LiteralType
    ) -> literals_pb2.Literal | None:
        """The value of a gate's signal, None while it has none; the signal is registered if it was not."""
        id = identifier_pb2.SignalIdentifier(signal_id=signal_id, execution_id=execution.to_message())
        request = signal_pb2.SignalGetOrCreateRequest(id=id, type=declared)
        signal = await _of_execution(execution, self._signals.GetOrCreateSignal(request, timeout=TIMEOUT_S))
        return signal.value if signal.HasField("value") else None

    async def _get(self, call: Callable[..., Awaitable[T]], id: EntityId) -> T:
        request = common_pb2.ObjectGetRequest(id=id.to_message())
        return await reply(ResourceType.Name(id.kind), str(id), call(request, timeout=TIMEOUT_S))


async def _of_execution(id: ExecutionId, call: Awaitable[T]) -> T:
    return await reply("execution", str(id), call)
