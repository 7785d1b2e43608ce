"""Events become records: what the engine reports, judged, folded into closures, and written.

The queue's consumer and the three Create*Event RPCs both come through `record`. Many executions share one
transaction; within it every row touched is read once and written once, however many events it had. An event that is
late or repeated changes nothing: from the queue it is dropped, to an RPC the refusal is raised.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

import structlog
from google.protobuf.message import DecodeError
from sailplane_core import admission, closures, validation
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, SailplaneError, Unavailable
from sailplane_core.ids import EntityId, ExecutionId
from sailplane_core.phases import EXECUTION_TERMINAL, NODE_TERMINAL, TASK_TERMINAL, ExecutionPhase
from sailplane_core.ports import Delivery, Queue
from sailplane_protos.admin import event_pb2 as requests_pb2
from sailplane_protos.admin import execution_pb2, node_execution_pb2
from sailplane_protos.event import event_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection

from . import concurrency_limits, event_data, event_rows, execution_rows, external_resources, lineage, notifications
from .event_rows import ChangeNumbers, NodeRecord, TaskKey, TaskRecord
from .ports import AdminPorts

TOPIC = "events"
DELIVERIES_AT_ONCE = 4
"""Executions of one transaction: more would spare commits, and keep requests waiting."""
STORE_RETRY_S = 1.0
"""Between tries while the store is away or full."""
NACK_DELAY_S = 1.0
"""Before a batch that could not be recorded comes again."""

_ENDED_BADLY = (ExecutionPhase.FAILED, ExecutionPhase.ABORTED, ExecutionPhase.TIMED_OUT)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Folding:
    """One execution's records while its events are folded in."""

    id: ExecutionId
    row_id: int
    cluster: str
    closure: execution_pb2.ExecutionClosure
    nodes: dict[str, NodeRecord]
    tasks: dict[TaskKey, TaskRecord]
    is_changed: bool = False
    refused: list[SailplaneError] = field(default_factory=list[SailplaneError])


@dataclass(frozen=True, slots=True)
class Folded:
    """What recording some events came to: why some were not taken, in order, and whether messages are to be sent."""

    refused: Sequence[SailplaneError]
    owes_messages: bool = False


def fold(transaction: Transaction, id: ExecutionId, events: Sequence[queue_pb2.Event], now: datetime) -> Folded:
    """Record an execution's events in an open transaction.

    One that has ended is told to its parent (`lineage`), in the same transaction, which also starts what has waited for
    it (`concurrency_limits`), and writes down who else is to be told (`notifications`).

    Raises `NotFound` when there is no such execution, or an event is about a node or parent that was never reported.
    """
    connection = transaction.connection
    stored = execution_rows.lock_execution(connection, id)
    closure = execution_pb2.ExecutionClosure.FromString(stored.closure)
    node_ids, attempts = _touched(events)
    nodes = event_rows.load_nodes(connection, id, node_ids)
    tasks = event_rows.load_tasks(connection, id, attempts)
    _load_resources(connection, tasks, events)
    folding = Folding(id, stored.row_id, stored.cluster, closure, nodes, tasks)
    for event in events:
        match event.WhichOneof("event"):
            case "workflow":
                _fold_workflow(folding, event.workflow)
            case "node":
                _fold_node(folding, event.node)
            case "task":
                _fold_task(folding, event.task)
            case _:
                folding.refused.append(InvalidRequest.missing("event"))
    if folding.is_changed and folding.closure.phase in _ENDED_BADLY:
        _end_what_is_left(connection, folding)
    numbers = ChangeNumbers(stored.last_change)
    owes_messages = False
    event_rows.save_nodes(connection, id, folding.nodes, numbers)
    event_rows.save_tasks(connection, id, folding.tasks, numbers)
    if folding.is_changed:  # last, so that watchers hear of the end when they have heard all that led to it
        event_rows.save_execution(connection, folding.row_id, folding.closure, numbers)
        if folding.closure.phase in EXECUTION_TERMINAL:
            lineage.tell_of_end(transaction, id, stored, folding.closure)
            concurrency_limits.leave(transaction, stored)
            owes_messages = notifications.owe(transaction, id, stored, folding.closure, now)
    elif numbers.last != stored.last_change:
        event_rows.save_last_change(connection, folding.row_id, numbers)
    return Folded(folding.refused, owes_messages)


def _touched(events: Iterable[queue_pb2.Event]) -> tuple[set[str], set[str]]:
    """The nodes that the events are about or name as parents, and the nodes whose attempts they are about."""
    nodes: set[str] = set()
    attempts: set[str] = set()
    for event in events:
        match event.WhichOneof("event"):
            case "node":
                nodes.add(event.node.id.node_id)
                nodes.add(event.node.parent_node_metadata.node_id)
            case "task":
                nodes.add(event.task.parent_node_execution_id.node_id)
                attempts.add(event.task.parent_node_execution_id.node_id)
            case _:
                pass
    return nodes - {""}, attempts


def _load_resources(
    connection: Connection, tasks: Mapping[TaskKey, TaskRecord], events: Iterable[queue_pb2.Event]
) -> None:
    """Those external resources of recorded attempts that the events tell of."""
    wanted: dict[TaskKey, set[external_resources.Key]] = {}
    for event in events:
        if event.WhichOneof("event") == "task" and event.task.metadata.external_resources:
            keys = map(closures.resource_key, event.task.metadata.external_resources)
            wanted.setdefault(_key_of(event.task), set()).update(keys)
    for key, resources in wanted.items():
        record = tasks.get(key)
        if record is not None and record.row_id is not None:
            record.resources.recorded = external_resources.load(connection, record.row_id, resources)


def _key_of(event: event_pb2.TaskExecutionEvent) -> TaskKey:
    return TaskKey(event.parent_node_execution_id.node_id, event.retry_attempt, EntityId.of(event.task_id))


def _fold_workflow(folding: Folding, event: event_pb2.WorkflowExecutionEvent) -> None:
    verdict = admission.judge_workflow(folding.closure.phase, event, folding.cluster)
    if verdict.error is not None:
        folding.refused.append(verdict.error)
        return
    folding.closure = closures.apply_workflow_event(folding.closure, event)
    folding.is_changed = True


def _fold_node(folding: Folding, event: event_pb2.NodeExecutionEvent) -> None:
    record = folding.nodes.get(event.id.node_id)
    updated_at = None if record is None else record.updated_at
    verdict = admission.judge_node(None if record is None else record.closure.phase, event, updated_at)
    if verdict.error is not None:
        folding.refused.append(verdict.error)
        return
    if record is None:
        record = folding.nodes[event.id.node_id] = _first_of_node(folding, event)
    record.closure = closures.apply_node_event(record.closure, event)
    record.metadata = closures.apply_node_metadata(record.metadata, event)
    record.input_uri = record.input_uri or event.input_uri
    told = event.task_node_metadata.dynamic_workflow
    if told.HasField("compiled_workflow"):
        record.generated = node_execution_pb2.DynamicWorkflowNodeMetadata(
            id=told.id, compiled_workflow=told.compiled_workflow, dynamic_job_spec_uri=told.dynamic_job_spec_uri
        )
    record.is_changed = True


def _first_of_node(folding: Folding, event: event_pb2.NodeExecutionEvent) -> NodeRecord:
    parent_id = event.parent_node_metadata.node_id
    if parent_id and parent_id not in folding.nodes:
        raise NotFound("node execution", f"{folding.id}/{parent_id}")
    return NodeRecord(parent_node_id=parent_id)


def _fold_task(folding: Folding, event: event_pb2.TaskExecutionEvent) -> None:
    node_id = event.parent_node_execution_id.node_id
    if node_id not in folding.nodes:
        raise NotFound("node execution", f"{folding.id}/{node_id}")
    key = _key_of(event)
    record = folding.tasks.get(key)
    if record is None:
        verdict = admission.judge_task(None, 0, event)
    else:
        verdict = admission.judge_task(record.closure.phase, record.phase_version, event, record.updated_at)
    if verdict.error is not None:
        folding.refused.append(verdict.error)
        return
    if record is None:
        record = folding.tasks[key] = TaskRecord()
    record.closure = closures.apply_task_event(record.closure, event)
    record.resources.tell(event)
    record.phase_version = event.phase_version
    record.input_uri = record.input_uri or event.input_uri
    record.is_changed = True


def _end_what_is_left(connection: Connection, folding: Folding) -> None:
    """End what is open of an execution that has failed or was aborted.

    Its engine has told of everything before, unless its own record makes no sense any more, which is why an execution
    is parked, and ended by an operator.
    """
    node_ids, of_attempts = event_rows.left_open(connection, folding.id)
    wanted = node_ids | of_attempts
    folding.nodes = event_rows.load_nodes(connection, folding.id, wanted - folding.nodes.keys()) | folding.nodes
    folding.tasks = event_rows.load_tasks(connection, folding.id, wanted) | folding.tasks
    for key, task in folding.tasks.items():
        if key.node_id in of_attempts and task.closure.phase not in TASK_TERMINAL:
            task.closure = closures.end_task(task.closure, folding.closure)
            task.is_changed = True
            if task.row_id is not None:
                external_resources.end_open(connection, task.row_id)
    for node_id in node_ids:
        node = folding.nodes[node_id]
        if node.closure.phase not in NODE_TERMINAL:
            node.closure = closures.end_node(node.closure, folding.closure)
            node.is_changed = True


# From the queue


class Consumer:
    """Takes the engine's reports off the queue."""

    def __init__(self, ports: AdminPorts, queue: Queue) -> None:
        self._ports = ports
        self._queue = queue

    async def run(self) -> None:
        """Record for ever."""
        while True:
            deliveries = await self._queue.receive(TOPIC, DELIVERIES_AT_ONCE)
            await self._ports.turns.next()
            await self.record(deliveries)

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        """Record deliveries in one transaction; if one of them cannot be, each in its own."""
        waiting = deliveries
        while waiting:
            try:
                await self._record_together(waiting)
                return
            except (Unavailable, LimitReached) as error:  # no message's fault, so none of them loses a try
                log.warning("events_wait_for_the_store", messages=len(waiting), reason=str(error))
                await self._ports.clock.sleep_until(self._ports.clock.now() + timedelta(seconds=STORE_RETRY_S))
                waiting = [delivery for delivery in waiting if await self._queue.extend(delivery)]
            except Exception as error:  # whatever one batch of events holds must not stop the others
                await self._record_apart(waiting, error)
                return

    async def _record_apart(self, deliveries: Sequence[Delivery], error: Exception) -> None:
        if len(deliveries) > 1:
            for delivery in deliveries:
                await self.record([delivery])
            return
        log.error("events_not_recorded", message_id=deliveries[0].message.id, exc_info=error)
        await self._queue.nack(deliveries[0], reason=f"{type(error).__name__}: {error}", delay_s=NACK_DELAY_S)

    async def _record_together(self, deliveries: Sequence[Delivery]) -> None:
        batches = [_parse(delivery) for delivery in deliveries]
        reported = [(ExecutionId.of(batch.execution_id), batch.events) for batch in batches]
        reported.sort(key=lambda report: str(report[0]))  # whoever locks several executions does so in one order

        now = self._ports.clock.now()

        def change(transaction: Transaction) -> list[Folded]:
            return [fold(transaction, id, events, now) for id, events in reported]

        folded = await self._ports.store.write(change)
        for error in chain.from_iterable(one.refused for one in folded):
            log.debug("event_dropped", reason=str(error))
        _tell(self._ports, [id for id, _ in reported], folded)
        await self._queue.ack(deliveries)


def _parse(delivery: Delivery) -> queue_pb2.EventBatch:
    try:
        return queue_pb2.EventBatch.FromString(delivery.message.payload)
    except DecodeError as error:
        raise InvalidRequest("the message is no EventBatch") from error


# From RPCs


async def create_workflow_event(ports: AdminPorts, request: requests_pb2.WorkflowExecutionEventRequest) -> None:
    """Record what somebody else's engine reports of an execution. Raises what the verdict says."""
    validation.check_workflow_event(request)
    id = ExecutionId.of(request.event.execution_id)
    await _store_inline(ports, id, request.event)
    await _record_one(ports, id, queue_pb2.Event(workflow=request.event))


async def create_node_event(ports: AdminPorts, request: requests_pb2.NodeExecutionEventRequest) -> None:
    """The same for a node. An execution that it says it has started must exist."""
    validation.check_node_event(request)
    id = ExecutionId.of(request.event.id.execution_id)
    if request.event.HasField("workflow_node_metadata"):
        await _require(ports, ExecutionId.of(request.event.workflow_node_metadata.execution_id))
    await _store_inline(ports, id, request.event)
    await _record_one(ports, id, queue_pb2.Event(node=request.event))


async def create_task_event(ports: AdminPorts, request: requests_pb2.TaskExecutionEventRequest) -> None:
    """The same for a task attempt."""
    validation.check_task_event(request)
    id = ExecutionId.of(request.event.parent_node_execution_id.execution_id)
    await _store_inline(ports, id, request.event)
    await _record_one(ports, id, queue_pb2.Event(task=request.event))


async def _store_inline(ports: AdminPorts, id: ExecutionId, event: event_data.Event) -> None:
    if event_data.has_inline_data(event):
        await _require(ports, id)
        await event_data.store_inline(ports, id, event)


async def _require(ports: AdminPorts, id: ExecutionId) -> None:
    if await ports.store.read(lambda connection: execution_rows.find_execution(connection, id)) is None:
        raise NotFound("execution", str(id))


async def _record_one(ports: AdminPorts, id: ExecutionId, event: queue_pb2.Event) -> None:
    now = ports.clock.now()
    folded = await ports.store.write(lambda transaction: fold(transaction, id, [event], now))
    _tell(ports, [id], [folded])
    if folded.refused:
        raise folded.refused[0]


def _tell(ports: AdminPorts, changed: Sequence[ExecutionId], folded: Iterable[Folded]) -> None:
    """What was recorded is committed: wake who waits for it."""
    ports.changes.publish(changed)
    if any(one.owes_messages for one in folded):
        ports.deliveries_owed.set()
