"""RPCs about executions."""

from typing import Any

from sailplane_protos.admin import common_pb2, execution_pb2

from .. import execution_data, execution_spans, executions
from ..ports import AdminPorts


class ExecutionHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def CreateExecution(
        self, request: execution_pb2.ExecutionCreateRequest, context: Any
    ) -> execution_pb2.ExecutionCreateResponse:
        """Start an execution."""
        return await executions.create(self.ports, request)

    async def RelaunchExecution(
        self, request: execution_pb2.ExecutionRelaunchRequest, context: Any
    ) -> execution_pb2.ExecutionCreateResponse:
        """Start an execution again."""
        return await executions.relaunch(self.ports, request)

    async def RecoverExecution(
        self, request: execution_pb2.ExecutionRecoverRequest, context: Any
    ) -> execution_pb2.ExecutionCreateResponse:
        """Start an execution again from where it failed."""
        return await executions.recover(self.ports, request)

    async def GetExecution(
        self, request: execution_pb2.WorkflowExecutionGetRequest, context: Any
    ) -> execution_pb2.Execution:
        """One execution."""
        return await executions.get(self.ports, request)

    async def UpdateExecution(
        self, request: execution_pb2.ExecutionUpdateRequest, context: Any
    ) -> execution_pb2.ExecutionUpdateResponse:
        """Archive, or take out of the archive."""
        return await executions.update_state(self.ports, request)

    async def GetExecutionData(
        self, request: execution_pb2.WorkflowExecutionGetDataRequest, context: Any
    ) -> execution_pb2.WorkflowExecutionGetDataResponse:
        """Inputs and outputs."""
        return await execution_data.of_execution(self.ports, request)

    async def ListExecutions(
        self, request: common_pb2.ResourceListRequest, context: Any
    ) -> execution_pb2.ExecutionList:
        """A page of executions."""
        return await executions.list_executions(self.ports, request)

    async def TerminateExecution(
        self, request: execution_pb2.ExecutionTerminateRequest, context: Any
    ) -> execution_pb2.ExecutionTerminateResponse:
        """Abort."""
        return await executions.terminate(self.ports, request)

    async def GetExecutionMetrics(
        self, request: execution_pb2.WorkflowExecutionGetMetricsRequest, context: Any
    ) -> execution_pb2.WorkflowExecutionGetMetricsResponse:
        """Where the time went."""
        return await execution_spans.get(self.ports, request)
