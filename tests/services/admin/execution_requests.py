"""Requests about executions, and the events that an engine reports of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sailplane_admin import events, tasks, workflows
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import SailplaneError
from sailplane_core.ids import ExecutionId
from sailplane_protos.admin import execution_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.propeller import queue_pb2

from services.admin import registry_requests as registry

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def execution_id(name: str = "x") -> identifier_pb2.WorkflowExecutionIdentifier:
    """In the default project."""
    return identifier_pb2.WorkflowExecutionIdentifier(project=registry.PROJECT, domain=registry.DOMAIN, name=name)


def node_id(node: str = "n0", name: str = "x") -> identifier_pb2.NodeExecutionIdentifier:
    """A node of an execution."""
    return identifier_pb2.NodeExecutionIdentifier(node_id=node, execution_id=execution_id(name))


def create(name: str = "x", *, a: int | None = 1, plan: str = "chain") -> execution_pb2.ExecutionCreateRequest:
    """An execution of a launch plan, with its integer input."""
    request = execution_pb2.ExecutionCreateRequest(project=registry.PROJECT, domain=registry.DOMAIN, name=name)
    request.spec.launch_plan.CopyFrom(registry.plan_id(plan))
    if a is not None:
        request.inputs.literals["a"].scalar.primitive.integer = a
    return request


async def register(ports: AdminPorts) -> None:
    """The task `double` and the workflow `chain` with its launch plan."""
    await tasks.create(ports, registry.task())
    await workflows.create(ports, registry.workflow())


def get(name: str = "x") -> execution_pb2.WorkflowExecutionGetRequest:
    """One execution."""
    return execution_pb2.WorkflowExecutionGetRequest(id=execution_id(name))


def at(second: int) -> Any:
    """The time of an event."""
    return NOON + timedelta(seconds=second)


def workflow_event(phase: int, second: int = 0, **more: Any) -> event_pb2.WorkflowExecutionEvent:
    """An event of the execution."""
    return event_pb2.WorkflowExecutionEvent(
        execution_id=execution_id(), producer_id="propeller", phase=phase, occurred_at=at(second), **more
    )


def node_event(
    phase: int, node: str = "n0", second: int = 0, parent: str = "", **more: Any
) -> event_pb2.NodeExecutionEvent:
    """An event of a node."""
    event = event_pb2.NodeExecutionEvent(
        id=node_id(node), producer_id="propeller", phase=phase, occurred_at=at(second), reported_at=at(second), **more
    )
    if parent:
        event.parent_node_metadata.node_id = parent
    return event


def task_event(
    phase: int, node: str = "n0", attempt: int = 0, second: int = 0, **more: Any
) -> event_pb2.TaskExecutionEvent:
    """An event of an attempt."""
    return event_pb2.TaskExecutionEvent(
        task_id=registry.task_id("double"),
        parent_node_execution_id=node_id(node),
        retry_attempt=attempt,
        phase=phase,
        producer_id="propeller",
        occurred_at=at(second),
        reported_at=at(second),
        **more,
    )


Reported = event_pb2.WorkflowExecutionEvent | event_pb2.NodeExecutionEvent | event_pb2.TaskExecutionEvent


def batch(*reported: Reported, name: str = "x") -> queue_pb2.EventBatch:
    """Events as the engine sends them."""
    made = queue_pb2.EventBatch(execution_id=execution_id(name))
    for event in reported:
        match event:
            case event_pb2.WorkflowExecutionEvent():
                made.events.add(workflow=event)
            case event_pb2.NodeExecutionEvent():
                made.events.add(node=event)
            case event_pb2.TaskExecutionEvent():
                made.events.add(task=event)
    return made


KEY = ExecutionId(registry.PROJECT, registry.DOMAIN, "x")


async def record(ports: AdminPorts, *reported: Reported, id: ExecutionId = KEY) -> list[SailplaneError]:
    """Record events of an execution, as the queue's consumer does; why some were not taken."""
    made, now = batch(*reported), ports.clock.now()
    folded = await ports.store.write(lambda transaction: events.fold(transaction, id, made.events, now))
    return list(folded.refused)
