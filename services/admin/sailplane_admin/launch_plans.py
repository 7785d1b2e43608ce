"""Launch plans: their versions, and which of them is active. Every workflow has one, made with it unless registered.

That implicit plan has the workflow's own name and version. The first plan that a client registers under this id takes
its place, whatever it says; from then on the version is as immutable as any.
"""

from collections.abc import Iterable
from typing import Any

from sailplane_core import launch_plan, validation
from sailplane_core.errors import InvalidRequest, NotFound, Refused
from sailplane_core.filter_fields import Entity
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import common_pb2, launch_plan_pb2, workflow_pb2
from sailplane_protos.core import identifier_pb2, interface_pb2
from sailplane_protos.scheduler import policies_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import ColumnElement, Connection, bindparam, insert, literal, select, update

from . import notifications, projects, quotas, schedules, tables
from .listing import NO_TEXT, Join, Listing, fields_of, list_page
from .paging import page_request
from .ports import AdminPorts
from .registration import is_version, refuse, register_name, version_values, write_once

LaunchPlan = launch_plan_pb2.LaunchPlan

PAUSE_REASON_CHARS_MAX = 1000

_PLANS = tables.launch_plans.c
_GET = select(_PLANS.id, _PLANS.schedule_type, _PLANS.plan, _PLANS.is_implicit).where(*is_version(tables.launch_plans))
_ACTIVE = select(_PLANS.id, _PLANS.schedule_type, _PLANS.plan).where(
    *(_PLANS[name] == bindparam(name) for name in ("project", "domain", "name")),
    _PLANS.state == literal(launch_plan_pb2.ACTIVE, literal_execute=True),
)
_INSERT = insert(tables.launch_plans)
_UPDATE = update(tables.launch_plans).where(_PLANS.id == bindparam("row_id"))
_WORKFLOW = select(tables.workflows.c.id, tables.workflows.c.listed).where(*is_version(tables.workflows))
FIELDS = fields_of(Entity.LAUNCH_PLAN, tables.launch_plans, launch_condition_type=NO_TEXT)
_LISTING = Listing(
    Entity.LAUNCH_PLAN,
    tables.launch_plans,
    fields={
        Entity.LAUNCH_PLAN: FIELDS,
        Entity.WORKFLOW: fields_of(Entity.WORKFLOW, tables.workflows),
    },
    joins={Entity.WORKFLOW: Join(here=_PLANS.workflow_id, there=tables.workflows.c.id)},
    order=(_PLANS.created_at_us, _PLANS.id),
)


async def create(ports: AdminPorts, request: launch_plan_pb2.LaunchPlanCreateRequest) -> None:
    """Register a version, inactive. Raises `IdenticalStructure` or `DifferentStructure` when it is registered already.

    Raises `NotFound` when its workflow is not registered.
    """
    validation.check_launch_plan_create(request)
    id = EntityId.of(request.id)
    workflow_id = EntityId.of(request.spec.workflow_id)
    workflow = await ports.store.read(
        lambda connection: connection.execute(_WORKFLOW, version_values(workflow_id)).one_or_none()
    )
    if workflow is None:
        raise NotFound("WORKFLOW", str(workflow_id))
    interface = workflow_pb2.Workflow.FromString(workflow.listed).closure.compiled_workflow.primary.template.interface
    plan = launch_plan.augmented(request.id, request.spec, interface)
    unknown = notifications.unknown(ports, request.spec.entity_metadata.notifications)
    now_us = tables.time_us(ports.clock.now())

    def change(transaction: Transaction) -> bytes | None:
        connection = transaction.connection
        projects.require_active(connection, ports.settings, id.project, id.domain)
        present = connection.execute(_GET, version_values(id)).one_or_none()
        if unknown is not None and (present is None or present.is_implicit):
            raise unknown
        if present is None:
            insert_plan(connection, plan, workflow.id, now_us, is_implicit=False)
        elif present.is_implicit:
            values = _columns(plan, workflow.id, now_us, is_implicit=False)
            connection.execute(_UPDATE, {"row_id": present.id, **values})
        else:
            return present.plan
        return None

    present = await write_once(ports.store, change)
    if present is not None:
        await refuse("launch plan", id, _registered(LaunchPlan.FromString(present)), _registered(plan))


def implicit(id: EntityId, interface: interface_pb2.TypedInterface) -> LaunchPlan:
    """The plan that the workflow `id` has when nobody registers one."""
    plan_id = identifier_pb2.Identifier(
        resource_type=ResourceType.LAUNCH_PLAN, project=id.project, domain=id.domain, name=id.name, version=id.version
    )
    return launch_plan.augmented(plan_id, launch_plan.default_spec(id.to_message(), interface), interface)


def is_registered(connection: Connection, id: EntityId) -> bool:
    """Whether there is a plan of this id, an implicit one included."""
    return connection.execute(_GET, version_values(id)).one_or_none() is not None


def insert_plan(
    connection: Connection,
    plan: LaunchPlan,
    workflow_row_id: int,
    now_us: int,
    *,
    is_implicit: bool,
    name_state: "common_pb2.NamedEntityState.ValueType" = common_pb2.NAMED_ENTITY_ACTIVE,
) -> None:
    """Insert a plan as it came from `launch_plan.augmented`, and begin its name with `name_state`."""
    id = EntityId.of(plan.id)
    values = _columns(plan, workflow_row_id, now_us, is_implicit=is_implicit)
    connection.execute(_INSERT, {**version_values(id), **values})
    register_name(connection, id, now_us, name_state)


async def change(ports: AdminPorts, request: launch_plan_pb2.LaunchPlanUpdateRequest) -> None:
    """Set a version's state, or pause its schedule, or let it go on. The scheduler is told, if it has a schedule."""
    id = EntityId.of(validation.id_of_kind(request.id, ResourceType.LAUNCH_PLAN))
    if request.WhichOneof("change"):
        await _set_pause(ports, id, request)
    else:
        await _update_state(ports, id, request)


async def _set_pause(ports: AdminPorts, id: EntityId, request: launch_plan_pb2.LaunchPlanUpdateRequest) -> None:
    if len(request.pause_schedule.reason) > PAUSE_REASON_CHARS_MAX:
        raise InvalidRequest.invalid("pause_schedule.reason", f"at most {PAUSE_REASON_CHARS_MAX} characters")
    now = tables.timestamp_of(tables.time_us(ports.clock.now()))

    def change(transaction: Transaction) -> None:
        row = transaction.connection.execute(_GET, version_values(id)).one_or_none()
        if row is None:
            raise NotFound("LAUNCH_PLAN", str(id))
        plan = LaunchPlan.FromString(row.plan)
        if plan.closure.state != launch_plan_pb2.ACTIVE or row.schedule_type == schedules.NONE:
            raise Refused(f"launch plan {id} has no schedule that runs: it is not active, or has none")
        plan.closure.ClearField("schedule_pause")
        if request.HasField("pause_schedule"):
            plan.closure.schedule_pause.reason = request.pause_schedule.reason
            plan.closure.schedule_pause.paused_at.CopyFrom(now)
        transaction.connection.execute(_UPDATE, {"row_id": row.id, "plan": plan.SerializeToString()})
        transaction.send(schedules.change_of(plan, now))

    await ports.store.write(change)


async def _update_state(ports: AdminPorts, id: EntityId, request: launch_plan_pb2.LaunchPlanUpdateRequest) -> None:
    """Activate a version, which deactivates the active one of its name and takes over its pause, or deactivate it."""
    if request.state not in launch_plan_pb2.LaunchPlanState.values():
        raise InvalidRequest.invalid("state", str(request.state))

    def change(transaction: Transaction) -> None:
        connection = transaction.connection
        chosen = connection.execute(_GET, version_values(id)).one_or_none()
        if chosen is None:
            raise NotFound("LAUNCH_PLAN", str(id))
        schedules_before, pause = 0, None
        if request.state == launch_plan_pb2.ACTIVE:
            scope = {"project": id.project, "domain": id.domain, "name": id.name}
            for active in connection.execute(_ACTIVE, scope).all():
                schedules_before += active.schedule_type != schedules.NONE
                closure = LaunchPlan.FromString(active.plan).closure
                pause = closure.schedule_pause if closure.HasField("schedule_pause") else pause
                if active.id != chosen.id:
                    _set_state(transaction, active.id, active.plan, launch_plan_pb2.INACTIVE, now_us)
        _set_state(transaction, chosen.id, chosen.plan, request.state, now_us, pause)
        if request.state == launch_plan_pb2.ACTIVE and chosen.schedule_type != schedules.NONE and not schedules_before:
            quotas.check_schedules(transaction, id.project, id.domain)

    now_us = tables.time_us(ports.clock.now())
    await ports.store.write(change)


async def load(ports: AdminPorts, id: EntityId) -> LaunchPlan:
    """One version for a launch, not to be changed by the caller; its state may be an old one. Raises `NotFound`."""
    known = ports.cache.get(id, LaunchPlan)
    if known is not None:
        return known
    row = await ports.store.read(lambda connection: connection.execute(_GET, version_values(id)).one_or_none())
    if row is None:
        raise NotFound("LAUNCH_PLAN", str(id))
    return _remember(ports, id, row)


async def load_many(ports: AdminPorts, ids: Iterable[EntityId]) -> dict[EntityId, LaunchPlan]:
    """Those of the versions that are registered, as `load` gives them."""
    found: dict[EntityId, LaunchPlan] = {}
    missing: list[EntityId] = []
    for id in ids:
        known = ports.cache.get(id, LaunchPlan)
        if known is None:
            missing.append(id)
        else:
            found[id] = known
    if missing:
        rows = await ports.store.read(
            lambda connection: [connection.execute(_GET, version_values(id)).one_or_none() for id in missing]
        )
        found |= {id: _remember(ports, id, row) for id, row in zip(missing, rows, strict=True) if row is not None}
    return found


async def get(ports: AdminPorts, request: common_pb2.ObjectGetRequest) -> LaunchPlan:
    """One version, with its present state."""
    id = EntityId.of(validation.id_of_kind(request.id, ResourceType.LAUNCH_PLAN))
    row = await ports.store.read(lambda connection: connection.execute(_GET, version_values(id)).one_or_none())
    if row is None:
        raise NotFound("LAUNCH_PLAN", str(id))
    return LaunchPlan.FromString(row.plan)


async def get_active(ports: AdminPorts, request: launch_plan_pb2.ActiveLaunchPlanRequest) -> LaunchPlan:
    """The active version of a name. Raises `NotFound` when there is none."""
    validation.check_scope(request.id.project, request.id.domain)
    if not request.id.name:
        raise InvalidRequest.missing("name")
    scope = {"project": request.id.project, "domain": request.id.domain, "name": request.id.name}
    row = await ports.store.read(lambda connection: connection.execute(_ACTIVE, scope).one_or_none())
    if row is None:
        raise NotFound("ACTIVE LAUNCH_PLAN", ":".join(scope.values()))
    return LaunchPlan.FromString(row.plan)


async def list_plans(ports: AdminPorts, request: common_pb2.ResourceListRequest) -> launch_plan_pb2.LaunchPlanList:
    """Versions in a project and domain, of one name if it is given."""
    validation.check_scope(request.id.project, request.id.domain)
    scope = _scope(request.id.project, request.id.domain)
    if request.id.name:
        scope.append(_PLANS.name == request.id.name)
    return await _list(ports, "ListLaunchPlans", scope, request, request.filters)


async def list_active(
    ports: AdminPorts, request: launch_plan_pb2.ActiveLaunchPlanListRequest
) -> launch_plan_pb2.LaunchPlanList:
    """The active versions in a project and domain, at most one of each name."""
    validation.check_scope(request.project, request.domain)
    scope = [*_scope(request.project, request.domain), _PLANS.state == launch_plan_pb2.ACTIVE]
    return await _list(ports, "ListActiveLaunchPlans", scope, request, "")


async def _list(
    ports: AdminPorts,
    method: str,
    scope: list[ColumnElement[bool]],
    request: common_pb2.ResourceListRequest | launch_plan_pb2.ActiveLaunchPlanListRequest,
    filters: str,
) -> launch_plan_pb2.LaunchPlanList:
    asked = await page_request(ports, method, request)
    page = await ports.store.read(
        lambda connection: list_page(connection, _LISTING, [_PLANS.plan], scope, asked, filters=filters)
    )
    plans = (LaunchPlan.FromString(row.plan) for row in page.rows)
    return launch_plan_pb2.LaunchPlanList(launch_plans=plans, token=page.next_token)


def _scope(project: str, domain: str) -> list[ColumnElement[bool]]:
    return [_PLANS.project == project, _PLANS.domain == domain]


def _remember(ports: AdminPorts, id: EntityId, row: Any) -> LaunchPlan:
    plan = LaunchPlan.FromString(row.plan)
    if not row.is_implicit:  # that one may still be replaced
        ports.cache.put(id, plan, len(row.plan))
    return plan


def _columns(plan: LaunchPlan, workflow_row_id: int, now_us: int, *, is_implicit: bool) -> dict[str, Any]:
    """A row, but for what identifies it. Writes the times into the plan."""
    plan.closure.created_at.CopyFrom(tables.timestamp_of(now_us))
    plan.closure.updated_at.CopyFrom(tables.timestamp_of(now_us))
    return {
        "workflow_id": workflow_row_id,
        "state": plan.closure.state,
        "schedule_type": schedules.type_of(plan),
        "is_implicit": is_implicit,
        "created_at_us": now_us,
        "updated_at_us": now_us,
        "plan": plan.SerializeToString(),
    }


def _registered(plan: LaunchPlan) -> LaunchPlan:
    """What of a plan is immutable."""
    return LaunchPlan(
        id=plan.id,
        spec=plan.spec,
        closure=launch_plan_pb2.LaunchPlanClosure(
            expected_inputs=plan.closure.expected_inputs, expected_outputs=plan.closure.expected_outputs
        ),
    )


def _set_state(
    transaction: Transaction,
    row_id: int,
    data: bytes,
    state: "launch_plan_pb2.LaunchPlanState.ValueType",
    now_us: int,
    pause: policies_pb2.SchedulePause | None = None,
) -> None:
    plan = LaunchPlan.FromString(data)
    plan.closure.state = state
    plan.closure.ClearField("schedule_pause")
    if pause is not None:
        plan.closure.schedule_pause.CopyFrom(pause)
    plan.closure.updated_at.CopyFrom(tables.timestamp_of(now_us))
    transaction.connection.execute(
        _UPDATE, {"row_id": row_id, "state": state, "updated_at_us": now_us, "plan": plan.SerializeToString()}
    )
    if plan.spec.entity_metadata.HasField("schedule"):
        transaction.send(schedules.change_of(plan, plan.closure.updated_at))
