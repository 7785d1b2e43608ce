"""RPCs about the nodes of executions and the attempts of their tasks."""

from typing import Any

from sailplane_protos.admin import node_execution_pb2, task_execution_pb2

from .. import execution_data, node_executions, task_executions
from ..ports import AdminPorts


class NodeExecutionHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def GetNodeExecution(
        self, request: node_execution_pb2.NodeExecutionGetRequest, context: Any
    ) -> node_execution_pb2.NodeExecution:
        """One node."""
        return await node_executions.get(self.ports, request)

    async def GetDynamicNodeWorkflow(
        self, request: node_execution_pb2.GetDynamicNodeWorkflowRequest, context: Any
    ) -> node_execution_pb2.DynamicNodeWorkflowResponse:
        """The workflow that a dynamic node has generated."""
        return await node_executions.get_generated(self.ports, request)

    async def ListNodeExecutions(
        self, request: node_execution_pb2.NodeExecutionListRequest, context: Any
    ) -> node_execution_pb2.NodeExecutionList:
        """A page of an execution's nodes, or of one node's children."""
        return await node_executions.list_nodes(self.ports, request)

    async def ListNodeExecutionsForTask(
        self, request: node_execution_pb2.NodeExecutionForTaskListRequest, context: Any
    ) -> node_execution_pb2.NodeExecutionList:
        """A page of the nodes that an attempt started."""
        return await node_executions.list_for_task(self.ports, request)

    async def GetNodeExecutionData(
        self, request: node_execution_pb2.NodeExecutionGetDataRequest, context: Any
    ) -> node_execution_pb2.NodeExecutionGetDataResponse:
        """Inputs and outputs."""
        return await execution_data.of_node(self.ports, request)

    async def GetTaskExecution(
        self, request: task_execution_pb2.TaskExecutionGetRequest, context: Any
    ) -> task_execution_pb2.TaskExecution:
        """One attempt."""
        return await task_executions.get(self.ports, request)

    async def ListTaskExecutions(
        self, request: task_execution_pb2.TaskExecutionListRequest, context: Any
    ) -> task_execution_pb2.TaskExecutionList:
        """A page of a node's attempts."""
        return await task_executions.list_attempts(self.ports, request)

    async def GetTaskExecutionData(
        self, request: task_execution_pb2.TaskExecutionGetDataRequest, context: Any
    ) -> task_execution_pb2.TaskExecutionGetDataResponse:
        """Inputs and outputs."""
        return await execution_data.of_task(self.ports, request)
