"""RPCs about tasks."""

from typing import Any

from sailplane_core.ids import ResourceType
from sailplane_protos.admin import common_pb2, task_pb2

from .. import named_entities, tasks
from ..ports import AdminPorts


class TaskHandlers:
    """Part of AdminService."""

    ports: AdminPorts

    async def CreateTask(self, request: task_pb2.TaskCreateRequest, context: Any) -> task_pb2.TaskCreateResponse:
        """Register a version of a task."""
        await tasks.create(self.ports, request)
        return task_pb2.TaskCreateResponse()

    async def GetTask(self, request: common_pb2.ObjectGetRequest, context: Any) -> task_pb2.Task:
        """One version."""
        return await tasks.get(self.ports, request)

    async def ListTasks(self, request: common_pb2.ResourceListRequest, context: Any) -> task_pb2.TaskList:
        """A page of versions."""
        return await tasks.list_tasks(self.ports, request)

    async def ListTaskIds(
        self, request: common_pb2.NamedEntityIdentifierListRequest, context: Any
    ) -> common_pb2.NamedEntityIdentifierList:
        """A page of names."""
        return await named_entities.list_ids(self.ports, ResourceType.TASK, request)
