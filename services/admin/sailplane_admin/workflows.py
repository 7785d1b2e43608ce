"""Workflows: their versions, compiled when they are registered. With each goes a launch plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sailplane_core import validation
from sailplane_core.compiler import compile_workflow, required_entities
from sailplane_core.errors import NotFound
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import common_pb2, launch_plan_pb2, workflow_pb2
from sailplane_protos.core import compiler_pb2
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.threads import inline_or_thread
from sqlalchemy import Connection, insert, select

from . import launch_plans, projects, tables, tasks
from .listing import Listing, fields_of, list_page
from .paging import page_request
from .ports import AdminPorts
from .registration import (
    check_description,
    is_version,
    put_description,
    refuse,
    register_name,
    version_values,
    write_once,
)

Workflow = workflow_pb2.Workflow

_WORKFLOWS = tables.workflows.c
_GET = select(_WORKFLOWS.workflow).where(*is_version(tables.workflows))
_INSERT = insert(tables.workflows).returning(_WORKFLOWS.id)
_LISTING = Listing(
    Entity.WORKFLOW,
    tables.workflows,
    fields={Entity.WORKFLOW: fields_of(Entity.WORKFLOW, tables.workflows)},
    order=(_WORKFLOWS.created_at_us, _WORKFLOWS.id),
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a registration writes, ready before the transaction begins."""

    id: EntityId
    closure: compiler_pb2.CompiledWorkflowClosure
    row: Mapping[str, Any]
    plan: launch_plan_pb2.LaunchPlan


async def create(ports: AdminPorts, request: workflow_pb2.WorkflowCreateRequest) -> None:
    """Compile and register a version, with its implicit launch plan unless there is a plan of that id.

    Raises `CompileFailed`, and `IdenticalStructure` or `DifferentStructure` when it is registered already.
    """
    validation.check_workflow_create(request)
    check_description(request.spec.description)
    id = EntityId.of(request.id)
    now_us = tables.time_us(ports.clock.now())
    prepared = await prepare(ports, id, request.spec, now_us)

    def change(transaction: Transaction) -> bytes | None:
        connection = transaction.connection
        projects.require_active(connection, ports.settings, id.project, id.domain)
        present = _read(connection, id)
        if present is not None:
            return present
        row_id = insert_prepared(connection, prepared, now_us)
        if not launch_plans.is_registered(connection, EntityId.of(prepared.plan.id)):
            launch_plans.insert_plan(connection, prepared.plan, row_id, now_us, is_implicit=True)
        if request.spec.HasField("description"):
            put_description(connection, id, request.spec.description, now_us)
        return None

    present = await write_once(ports.store, change)
    if present is not None:
        await refuse("workflow", id, Workflow.FromString(present).closure.compiled_workflow, prepared.closure)


async def prepare(ports: AdminPorts, id: EntityId, spec: workflow_pb2.WorkflowSpec, now_us: int) -> Prepared:
    """Load what the workflow refers to, and compile it. Raises `CompileFailed`."""
    size_bytes = spec.ByteSize()
    required = await inline_or_thread(size_bytes, lambda: required_entities(spec.template, spec.sub_workflows))
    known_tasks = await tasks.load_compiled(ports, required.tasks)
    known_plans = await launch_plans.load_many(ports, required.launch_plans)

    def build() -> Prepared:
        closure = compile_workflow(
            id, spec.template, spec.sub_workflows, known_tasks, known_plans, nodes_max=ports.settings.nodes_max
        )
        return _prepared(id, spec, closure, now_us)

    return await inline_or_thread(size_bytes, build)


def _prepared(
    id: EntityId, spec: workflow_pb2.WorkflowSpec, closure: compiler_pb2.CompiledWorkflowClosure, now_us: int
) -> Prepared:
    interface = closure.primary.template.interface
    workflow = Workflow(id=id.to_message(), short_description=spec.description.short_description)
    workflow.closure.created_at.CopyFrom(tables.timestamp_of(now_us))
    listed = Workflow()
    listed.CopyFrom(workflow)
    listed.closure.compiled_workflow.primary.template.interface.CopyFrom(interface)
    workflow.closure.compiled_workflow.CopyFrom(closure)
    row = {
        **version_values(id),
        "short_description": workflow.short_description,
        "created_at_us": now_us,
        "listed": listed.SerializeToString(),
        "workflow": workflow.SerializeToString(),
    }
    return Prepared(id, closure, row, launch_plans.implicit(id, interface))


def insert_prepared(
    connection: Connection,
    prepared: Prepared,
    now_us: int,
    name_state: "common_pb2.NamedEntityState.ValueType" = common_pb2.NAMED_ENTITY_ACTIVE,
) -> int:
    """Insert the workflow, without its plan, and begin its name with `name_state`. Gives the row's number."""
    row_id = connection.execute(_INSERT, prepared.row).scalar_one()
    register_name(connection, prepared.id, now_us, name_state)
    return row_id


async def load(ports: AdminPorts, id: EntityId) -> Workflow:
    """One version, not to be changed by the caller. Raises `NotFound`."""
    known = ports.cache.get(id, Workflow)
    if known is not None:
        return known
    data = await ports.store.read(lambda connection: _read(connection, id))
    if data is None:
        raise NotFound("WORKFLOW", str(id))
    workflow = Workflow.FromString(data)
    ports.cache.put(id, workflow, len(data))
    return workflow


async def get(ports: AdminPorts, request: common_pb2.ObjectGetRequest) -> Workflow:
    """One version with everything it needs to run."""
    return await load(ports, EntityId.of(validation.id_of_kind(request.id, ResourceType.WORKFLOW)))


async def list_workflows(ports: AdminPorts, request: common_pb2.ResourceListRequest) -> workflow_pb2.WorkflowList:
    """Versions in a project and domain, of one name if it is given, each with its interface only."""
    validation.check_scope(request.id.project, request.id.domain)
    scope = [_WORKFLOWS.project == request.id.project, _WORKFLOWS.domain == request.id.domain]
    if request.id.name:
        scope.append(_WORKFLOWS.name == request.id.name)
    asked = await page_request(ports, "ListWorkflows", request)
    page = await ports.store.read(
        lambda connection: list_page(connection, _LISTING, [_WORKFLOWS.listed], scope, asked, filters=request.filters)
    )
    workflows = (Workflow.FromString(row.listed) for row in page.rows)
    return workflow_pb2.WorkflowList(workflows=workflows, token=page.next_token)


def _read(connection: Connection, id: EntityId) -> bytes | None:
    return connection.execute(_GET, version_values(id)).scalar_one_or_none()
