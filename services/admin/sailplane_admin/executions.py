"""Executions: start, read, list, abort, archive, and start again.

Starting one is a single transaction: the row, its tags, and the order to propeller in the outbox. What cannot be in a
transaction comes before it: the inputs go to the blob store, under a path that holds their digest, so that a second
request of the same name cannot change the inputs of the first.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sailplane_core import closures, concurrency, launch, naming, validation
from sailplane_core.attributes import Place
from sailplane_core.errors import AlreadyExists, ConcurrencyLimitReached, InvalidRequest, InvariantBroken, NotFound
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import EntityId, ExecutionId, ResourceType
from sailplane_core.layout import admin_key, raw_key
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import execution_pb2, launch_plan_pb2, matchable_resource_pb2
from sailplane_protos.core import identifier_pb2, literals_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, Table, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from . import (
    attributes,
    concurrency_limits,
    deletions,
    execution_aborts,
    execution_data,
    execution_orders,
    execution_rows,
    launch_plans,
    lineage,
    notifications,
    projects,
    quotas,
    single_tasks,
    tables,
    workflows,
)
from .execution_rows import (
    execution_key,
    execution_of,
    execution_values,
    find_execution,
    in_execution,
    lock_execution,
)
from .listing import Join, Listing, fields_of, list_page, names_field
from .paging import page_request
from .ports import AdminPorts
from .registration import is_version, version_values
from .tables.registry import NAME_CHARS_MAX

Execution = execution_pb2.Execution

NAME_TRIES_MAX = 5
"""A generated name has 94 bits of chance; that one is taken is next to impossible, twice in a row is a bug."""

_EXECUTIONS = tables.executions.c
_ROW_ID = {
    table: select(table.c.id).where(*is_version(table))
    for table in (tables.launch_plans, tables.workflows, tables.tasks)
}
_NAME_ROW_ID = select(tables.named_entities.c.id).where(
    *(tables.named_entities.c[name] == bindparam(name) for name in ("resource_type", "project", "domain", "name"))
)
_INSERT = insert(tables.executions)
_INSERT_TAG = insert(tables.execution_tags)
_TAGGED = select(_EXECUTIONS.execution_created_at_us).where(
    *(_EXECUTIONS[name] == tables.execution_tags.c[name] for name in execution_rows.EXECUTION_COLUMNS)
)
_LISTING = Listing(
    Entity.EXECUTION,
    tables.executions,
    fields={
        Entity.EXECUTION: execution_rows.EXECUTION_FIELDS,
        Entity.LAUNCH_PLAN: launch_plans.FIELDS,
        Entity.WORKFLOW: fields_of(Entity.WORKFLOW, tables.workflows),
        Entity.TASK: fields_of(Entity.TASK, tables.tasks),
        Entity.EXECUTION_TAG: fields_of(
            Entity.EXECUTION_TAG,
            tables.execution_tags,
            created_at=_TAGGED.correlate(tables.execution_tags).scalar_subquery(),
        ),
    },
    joins={
        Entity.LAUNCH_PLAN: Join(_EXECUTIONS.launch_plan_id, tables.launch_plans.c.id),
        Entity.WORKFLOW: Join(_EXECUTIONS.workflow_id, tables.workflows.c.id),
        Entity.TASK: Join(_EXECUTIONS.task_id, tables.tasks.c.id),
        Entity.EXECUTION_TAG: Join(execution_key(tables.executions), execution_key(tables.execution_tags)),
    },
    order=(_EXECUTIONS.execution_created_at_us, _EXECUTIONS.id),
    copies={
        (Entity.LAUNCH_PLAN, "name"): _EXECUTIONS.launch_plan_name,
        (Entity.WORKFLOW, "name"): _EXECUTIONS.workflow_name,
    },
)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request cannot say itself: which execution a relaunch or recovery repeats."""

    source: ExecutionId | None = None
    recovers: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is stored about the surroundings of a new execution. The references are columns of its row.

    `attributes` are the matchable ones that hold for it, the most specific first, `plan_name_id` is the row of its
    launch plan's name, None when it runs a task.
    """

    project_labels: dict[str, str]
    attributes: Sequence[matchable_resource_pb2.MatchingAttributes]
    parent: execution_pb2.ExecutionSpec | None
    references: dict[str, Any]
    plan_name_id: int | None


async def create(
    ports: AdminPorts, request: execution_pb2.ExecutionCreateRequest, origin: Origin = Origin()
) -> execution_pb2.ExecutionCreateResponse:
    """Start an execution. Raises `AlreadyExists` when the name is taken, `NotFound` without its plan or task."""
    validation.check_execution_create(request)
    if origin.source is None and (error := notifications.unknown(ports, request.spec.notifications.notifications)):
        raise error  # a repetition is not refused for a channel that is no longer there
    plan, unregistered = await _plan(ports, request.spec.launch_plan)
    around = await ports.store.read(lambda connection: _surroundings(connection, ports, request, plan, origin))
    settled = launch.resolve(
        request,
        plan,
        now=ports.clock.now(),
        namespace=ports.settings.namespace_template.format(project=request.project, domain=request.domain),
        project_labels=around.project_labels,
        defaults=matchable_resource_pb2.WorkflowExecutionConfig(max_parallelism=ports.settings.max_parallelism),
        attributes=around.attributes,
        parent=around.parent,
    )
    if unregistered is not None:  # only now that the request is known to be good
        await single_tasks.register(ports, unregistered)
        around = await ports.store.read(lambda connection: _surroundings(connection, ports, request, plan, origin))
    if request.name:
        id = ExecutionId(request.project, request.domain, request.name.lower())
        return await _start(ports, id, plan, settled, around, origin)
    for _ in range(NAME_TRIES_MAX):
        id = ExecutionId(request.project, request.domain, naming.generated_execution_name(secrets.token_bytes(32)))
        try:
            return await _start(ports, id, plan, settled, around, origin)
        except ConcurrencyLimitReached:
            raise
        except AlreadyExists:
            continue
    raise InvariantBroken("every generated execution name is taken")


async def _plan(
    ports: AdminPorts, asked: identifier_pb2.Identifier
) -> tuple[launch_plan_pb2.LaunchPlan, workflows.Prepared | None]:
    """The launch plan to run; for a task, the one made around it, and what of it is to be registered first."""
    id = EntityId.of(asked)
    if id.kind == ResourceType.TASK:
        return await single_tasks.launch_plan_of(ports, id)
    return await launch_plans.load(ports, id), None


def _surroundings(
    connection: Connection,
    ports: AdminPorts,
    request: execution_pb2.ExecutionCreateRequest,
    plan: launch_plan_pb2.LaunchPlan,
    origin: Origin,
) -> Surroundings:
    """Everything that is stored about what a new execution belongs to. None of it is ever deleted."""
    project = projects.require_active(connection, ports.settings, request.project, request.domain)
    asked = EntityId.of(request.spec.launch_plan)
    task = asked if asked.kind == ResourceType.TASK else None
    references: dict[str, Any] = {
        "launch_plan_id": _row_id(ports, connection, tables.launch_plans, EntityId.of(plan.id)),
        "launch_plan_name": plan.id.name,
        "workflow_name": plan.spec.workflow_id.name,
        "workflow_id": _row_id(ports, connection, tables.workflows, EntityId.of(plan.spec.workflow_id)),
        "task_id": None if task is None else _row_id(ports, connection, tables.tasks, task),
        "source_execution_id": None,
        "parent_execution_id": None,
        "parent_node_id": None,
    }
    if origin.source is not None:
        source = find_execution(connection, origin.source)
        references["source_execution_id"] = None if source is None else source.row_id
    parent = None
    if request.spec.metadata.HasField("parent_node_execution"):
        node = request.spec.metadata.parent_node_execution
        row = find_execution(connection, ExecutionId.of(node.execution_id))
        if row is None:
            raise NotFound("execution", str(ExecutionId.of(node.execution_id)))
        parent = execution_pb2.ExecutionSpec.FromString(row.spec)
        references |= {"parent_execution_id": row.row_id, "parent_node_id": node.node_id}
    place = Place(request.project, request.domain, plan.spec.workflow_id.name, plan.id.name)
    plan_name_id = None if task is not None else _name_id(ports, connection, EntityId.of(plan.id))
    holding = attributes.holding(connection, place)
    return Surroundings(dict(project.labels.values), holding, parent, references, plan_name_id)


def _row_id(ports: AdminPorts, connection: Connection, table: Table, id: EntityId) -> int | None:
    """The row of a registered version, which it keeps for ever."""
    known = ports.row_ids.get(id)
    if known is None:
        known = connection.execute(_ROW_ID[table], version_values(id)).scalar_one_or_none()
        if known is not None:
            ports.row_ids.put(id, known)
    return known


def _name_id(ports: AdminPorts, connection: Connection, id: EntityId) -> int | None:
    """The row of a registered version's name, which it keeps for ever too."""
    name = replace(id, version="")
    known = ports.row_ids.get(name)
    if known is None:
        values = {"resource_type": id.kind, "project": id.project, "domain": id.domain, "name": id.name}
        known = connection.execute(_NAME_ROW_ID, values).scalar_one_or_none()
        if known is not None:
            ports.row_ids.put(name, known)
    return known


async def _start(
    ports: AdminPorts,
    id: ExecutionId,
    plan: launch_plan_pb2.LaunchPlan,
    settled: launch.Launch,
    around: Surroundings,
    origin: Origin,
) -> execution_pb2.ExecutionCreateResponse:
    inputs_uri = await _put(ports, id, settled.inputs)
    user_inputs_uri = (
        inputs_uri if settled.inputs == settled.user_inputs else await _put(ports, id, settled.user_inputs)
    )
    row = _row(id, settled) | around.references | {"inputs_uri": inputs_uri, "user_inputs_uri": user_inputs_uri}
    raw_prefix = settled.config.raw_output_prefix or ports.blobs.uri(raw_key(id))
    recovered = origin.source if origin.recovers else None
    metadata = settled.spec.metadata
    order = execution_orders.start(id, plan, settled, inputs_uri, raw_prefix, recovered)
    new = concurrency_limits.Newcomer(
        id,
        plan,
        concurrency.policy_of(settled.spec, plan.spec),
        around.plan_name_id,
        around.references["parent_execution_id"],
        settled.closure,
        order.payload,
    )
    now = ports.clock.now()

    def change(transaction: Transaction) -> tuple[ExecutionId, ...]:
        connection = transaction.connection
        if metadata.HasField("parent_node_execution"):
            lineage.require_live_parent(transaction, metadata.parent_node_execution)
        if origin.source is not None and around.references["source_execution_id"] is not None:
            deletions.require_kept(transaction, origin.source, around.references["source_execution_id"])
        place = concurrency_limits.admit(transaction, new, ports.settings.waiting_executions_max, now)
        connection.execute(_INSERT, row | place.columns)
        if not metadata.HasField("parent_node_execution"):
            quotas.check_executions(ports, transaction, id)
        if settled.tags:
            tags = [execution_values(id) | {"key": key, "value": value} for key, value in settled.tags]
            connection.execute(_INSERT_TAG, tags)
        if place.starts:
            transaction.send(order)
        if place.aborted and new.plan_name_id is not None:
            concurrency_limits.start_waiting(transaction, new.plan_name_id)
        return place.aborted

    try:
        ports.changes.publish(await ports.store.write(change))
    except IntegrityError as error:
        raise AlreadyExists("execution", str(id)) from error
    return execution_pb2.ExecutionCreateResponse(id=id.to_message())


async def _put(ports: AdminPorts, id: ExecutionId, values: literals_pb2.LiteralMap) -> str:
    """Store inputs, under a name that holds their digest. None at all need no object: their URI is empty."""
    if not values.literals:
        return ""
    data = values.SerializeToString(deterministic=True)
    uri = ports.blobs.uri(f"{admin_key(id)}/inputs-{hashlib.sha256(data).hexdigest()[:16]}.pb")
    await ports.blobs.put(uri, data)
    return uri


def _row(id: ExecutionId, settled: launch.Launch) -> dict[str, Any]:
    created_at_us = tables.time_us(settled.closure.created_at)
    is_task = settled.spec.launch_plan.resource_type == ResourceType.TASK
    return {
        **execution_values(id),
        **execution_rows.course_columns(settled.closure, ExecutionPhase.UNDEFINED.name),
        "launch_entity": "TASK" if is_task else "LAUNCH_PLAN",
        "execution_created_at_us": created_at_us,
        "execution_updated_at_us": created_at_us,
        "abort_cause": None,
        "mode": settled.spec.metadata.mode,
        "state": execution_pb2.EXECUTION_ACTIVE,
        "change": 1,
        "last_change": 1,
        "cluster": settled.spec.metadata.system_metadata.execution_cluster[:NAME_CHARS_MAX],
        "user": settled.spec.metadata.principal[:NAME_CHARS_MAX],
        "spec": settled.spec.SerializeToString(),
        "closure": settled.closure.SerializeToString(),
    }


async def relaunch(
    ports: AdminPorts, request: execution_pb2.ExecutionRelaunchRequest
) -> execution_pb2.ExecutionCreateResponse:
    """Start an execution again, with the inputs its caller gave. The request says anew if the cache is overwritten."""
    validation.check_execution_id(request.id)
    original, user_inputs = await _original(ports, ExecutionId.of(request.id))
    repeated = launch.relaunch_request(original, user_inputs, request)
    return await create(ports, repeated, Origin(ExecutionId.of(request.id)))


async def recover(
    ports: AdminPorts, request: execution_pb2.ExecutionRecoverRequest
) -> execution_pb2.ExecutionCreateResponse:
    """Start an execution again, with the inputs its caller gave, without what the original has finished.

    The order names the original, out of which the engine takes each node that succeeded. As in Flyte the original may
    be in any phase: one that still runs is not stopped, and gives what it has finished by the time the new one begins.
    Whether the cache is overwritten stays as it was asked of the original.
    """
    validation.check_execution_id(request.id)
    original, user_inputs = await _original(ports, ExecutionId.of(request.id))
    repeated = launch.recover_request(original, user_inputs, request)
    return await create(ports, repeated, Origin(ExecutionId.of(request.id), recovers=True))


async def _original(ports: AdminPorts, id: ExecutionId) -> tuple[Execution, literals_pb2.LiteralMap]:
    columns = [_EXECUTIONS[name] for name in execution_rows.EXECUTION_COLUMNS]
    query = select(*columns, _EXECUTIONS.spec, _EXECUTIONS.closure, _EXECUTIONS.user_inputs_uri)
    row = await ports.store.read(
        lambda connection: connection.execute(query.where(*in_execution(tables.executions, id))).one_or_none()
    )
    if row is None:
        raise NotFound("execution", str(id))
    return execution_of(row), await execution_data.read_whole(ports, row.user_inputs_uri)


async def get(ports: AdminPorts, request: execution_pb2.WorkflowExecutionGetRequest) -> Execution:
    """One execution."""
    validation.check_execution_id(request.id)
    row = await ports.store.read(lambda connection: find_execution(connection, ExecutionId.of(request.id)))
    if row is None:
        raise NotFound("execution", str(ExecutionId.of(request.id)))
    return Execution(
        id=request.id,
        spec=execution_pb2.ExecutionSpec.FromString(row.spec),
        closure=execution_pb2.ExecutionClosure.FromString(row.closure),
    )


async def list_executions(ports: AdminPorts, request: Any) -> execution_pb2.ExecutionList:
    """Executions in a project and domain; archived ones only if a filter asks for a state."""
    validation.check_scope(request.id.project, request.id.domain)
    scope = [
        _EXECUTIONS.execution_project == request.id.project,
        _EXECUTIONS.execution_domain == request.id.domain,
    ]
    if request.id.name:
        scope.append(_EXECUTIONS.execution_name == request.id.name)
    if not names_field(request.filters, Entity.EXECUTION, "state"):
        scope.append(_EXECUTIONS.state == execution_pb2.EXECUTION_ACTIVE)
    columns = [_EXECUTIONS[name] for name in (*execution_rows.EXECUTION_COLUMNS, "spec", "closure")]
    asked = await page_request(ports, "ListExecutions", request)
    page = await ports.store.read(
        lambda connection: list_page(connection, _LISTING, columns, scope, asked, filters=request.filters)
    )
    return execution_pb2.ExecutionList(
        executions=[_listed(execution_of(row)) for row in page.rows], token=page.next_token
    )


def _listed(execution: Execution) -> Execution:
    """As lists show it: without inputs, and with the beginning of the error only."""
    execution.spec.ClearField("inputs")
    execution.closure.ClearField("computed_inputs")
    if execution.closure.WhichOneof("output_result") == "error":
        closures.shorten_error(execution.closure.error, closures.LIST_ERROR_BYTES_MAX)
    return execution


async def terminate(
    ports: AdminPorts, request: execution_pb2.ExecutionTerminateRequest
) -> execution_pb2.ExecutionTerminateResponse:
    """Ask for an execution's end: it is ABORTING at once, and ABORTED when the engine says so.

    Raises `AlreadyTerminal` when it has ended.
    """
    validation.check_execution_id(request.id)
    id = ExecutionId.of(request.id)
    now = ports.clock.now()

    def change(transaction: Transaction) -> None:
        concurrency_limits.abort(transaction, id, request.cause, now)

    await ports.store.write(change)
    ports.changes.publish([id])
    return execution_pb2.ExecutionTerminateResponse()


async def update_state(
    ports: AdminPorts, request: execution_pb2.ExecutionUpdateRequest
) -> execution_pb2.ExecutionUpdateResponse:
    """Archive an execution, or take it out of the archive. That changes what lists show, and nothing else."""
    validation.check_execution_id(request.id)
    if request.state not in execution_pb2.ExecutionState.values():
        raise InvalidRequest.invalid("state")
    id = ExecutionId.of(request.id)
    now = ports.clock.now()

    def change(transaction: Transaction) -> None:
        row = lock_execution(transaction.connection, id)
        closure = execution_pb2.ExecutionClosure.FromString(row.closure)
        closure.state_change_details.state = request.state
        closure.state_change_details.occurred_at.FromDatetime(now)
        execution_aborts.set_closure(transaction.connection, row.row_id, closure)

    await ports.store.write(change)
    ports.changes.publish([id])
    return execution_pb2.ExecutionUpdateResponse()
