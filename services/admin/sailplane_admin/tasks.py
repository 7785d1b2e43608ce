"""Tasks: their versions, as registered."""

from collections.abc import Iterable

from sailplane_core import validation
from sailplane_core.attributes import Place, check_needs, first_of, limits
from sailplane_core.compiler import compile_task
from sailplane_core.errors import NotFound
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import EntityId, ResourceType
from sailplane_core.resources import needs_of
from sailplane_protos.admin import common_pb2, task_pb2
from sailplane_protos.core import compiler_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, insert, select

from . import attributes, projects, tables
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

_TASKS = tables.tasks.c
_GET = select(_TASKS.task).where(*is_version(tables.tasks))
_INSERT = insert(tables.tasks)
_LISTING = Listing(
    Entity.TASK,
    tables.tasks,
    fields={Entity.TASK: fields_of(Entity.TASK, tables.tasks)},
    order=(_TASKS.created_at_us, _TASKS.id),
)


async def create(ports: AdminPorts, request: task_pb2.TaskCreateRequest) -> None:
    """Register a version. Raises `IdenticalStructure` or `DifferentStructure` when it is registered already."""
    validation.check_task_create(request)
    check_description(request.spec.description)
    id = EntityId.of(request.id)
    compiled = compile_task(id, request.spec.template)
    needs = needs_of(request.spec.template.container.resources)
    now_us = tables.time_us(ports.clock.now())
    task = task_pb2.Task(id=request.id, short_description=request.spec.description.short_description)
    task.closure.compiled_task.CopyFrom(compiled)
    task.closure.created_at.CopyFrom(tables.timestamp_of(now_us))
    row = {
        **version_values(id),
        "type": compiled.template.type,
        "short_description": task.short_description,
        "created_at_us": now_us,
        "task": task.SerializeToString(),
    }

    def change(transaction: Transaction) -> bytes | None:
        connection = transaction.connection
        projects.require_active(connection, ports.settings, id.project, id.domain)
        present = _read(connection, id)
        if present is not None:
            return present
        held = first_of(attributes.holding(connection, Place(id.project, id.domain)), "task_resource_attributes")
        check_needs(needs, limits(held.task_resource_attributes))
        connection.execute(_INSERT, row)
        register_name(connection, id, now_us)
        if request.spec.HasField("description"):
            put_description(connection, id, request.spec.description, now_us)
        return None

    present = await write_once(ports.store, change)
    if present is not None:
        await refuse("task", id, task_pb2.Task.FromString(present).closure.compiled_task, compiled)
    ports.cache.put(id, task, len(row["task"]))  # a workflow that runs it will follow


async def load(ports: AdminPorts, id: EntityId) -> task_pb2.Task:
    """One version, not to be changed by the caller. Raises `NotFound`."""
    known = ports.cache.get(id, task_pb2.Task)
    if known is not None:
        return known
    data = await ports.store.read(lambda connection: _read(connection, id))
    if data is None:
        raise NotFound("TASK", str(id))
    return _remember(ports, id, data)


async def load_compiled(ports: AdminPorts, ids: Iterable[EntityId]) -> dict[EntityId, compiler_pb2.CompiledTask]:
    """The compiled tasks among `ids` that are registered, not to be changed by the caller."""
    found: dict[EntityId, compiler_pb2.CompiledTask] = {}
    missing: list[EntityId] = []
    for id in ids:
        known = ports.cache.get(id, task_pb2.Task)
        if known is None:
            missing.append(id)
        else:
            found[id] = known.closure.compiled_task
    if missing:
        rows = await ports.store.read(lambda connection: [_read(connection, id) for id in missing])
        for id, data in zip(missing, rows, strict=True):
            if data is not None:
                found[id] = _remember(ports, id, data).closure.compiled_task
    return found


async def get(ports: AdminPorts, request: common_pb2.ObjectGetRequest) -> task_pb2.Task:
    """One version with its whole template."""
    return await load(ports, EntityId.of(validation.id_of_kind(request.id, ResourceType.TASK)))


async def list_tasks(ports: AdminPorts, request: common_pb2.ResourceListRequest) -> task_pb2.TaskList:
    """Versions in a project and domain, of one name if it is given."""
    validation.check_scope(request.id.project, request.id.domain)
    scope = [_TASKS.project == request.id.project, _TASKS.domain == request.id.domain]
    if request.id.name:
        scope.append(_TASKS.name == request.id.name)
    asked = await page_request(ports, "ListTasks", request)
    page = await ports.store.read(
        lambda connection: list_page(connection, _LISTING, [_TASKS.task], scope, asked, filters=request.filters)
    )
    tasks = (task_pb2.Task.FromString(row.task) for row in page.rows)
    return task_pb2.TaskList(tasks=tasks, token=page.next_token)


def _read(connection: Connection, id: EntityId) -> bytes | None:
    return connection.execute(_GET, version_values(id)).scalar_one_or_none()


def _remember(ports: AdminPorts, id: EntityId, data: bytes) -> task_pb2.Task:
    task = task_pb2.Task.FromString(data)
    ports.cache.put(id, task, len(data))
    return task
