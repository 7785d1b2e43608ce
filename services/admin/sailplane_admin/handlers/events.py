"""RPCs by which an engine reports. Ours reports over the queue instead."""

from typing import Any

from sailplane_protos.admin import event_pb2

from .. import events
from ..ports import AdminPorts


class EventHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def CreateWorkflowEvent(
        self, request: event_pb2.WorkflowExecutionEventRequest, context: Any
    ) -> event_pb2.WorkflowExecutionEventResponse:
        """An execution entered a phase."""
        await events.create_workflow_event(self.ports, request)
        return event_pb2.WorkflowExecutionEventResponse()

    async def CreateNodeEvent(
        self, request: event_pb2.NodeExecutionEventRequest, context: Any
    ) -> event_pb2.NodeExecutionEventResponse:
        """A node entered a phase."""
        await events.create_node_event(self.ports, request)
        return event_pb2.NodeExecutionEventResponse()

    async def CreateTaskEvent(
        self, request: event_pb2.TaskExecutionEventRequest, context: Any
    ) -> event_pb2.TaskExecutionEventResponse:
        """An attempt entered a phase."""
        await events.create_task_event(self.ports, request)
        return event_pb2.TaskExecutionEventResponse()
