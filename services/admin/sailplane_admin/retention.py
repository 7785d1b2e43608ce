"""How long executions are kept: operators' policies, and the executions that are due by them.

Only executions that no node has started are looked for; `deletions` says what goes with each, and what keeps it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sailplane_core import retention as rules
from sailplane_core.errors import NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.admin import execution_pb2
from sailplane_protos.governance import retention_pb2 as pb
from sailplane_runtime.store.port import Transaction
from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, exists, insert, or_, select, update

from . import deletions, projects, tables
from .execution_rows import EXECUTION_COLUMNS
from .keyset import Order
from .paging import page_request, read_page
from .ports import AdminPorts

LOOKED_AT_MAX = 1_000
"""Executions that one preview looks at, and at most a page more, so that it ends soon."""
PAGE_MAX = 50
"""Executions that are looked at in one query: some milliseconds, in which nobody else reads."""
BEGUN_MAX = 100
"""Deletions that one run begins, and at most a page more."""
FIRST_MAX = 20
"""Names that a preview gives."""

_POLICIES, _EXECUTIONS = tables.retention_policies.c, tables.executions.c
_KEY = ("project", "domain", "phase")
_IS_IT = tuple(_POLICIES[name] == bindparam(f"of_{name}") for name in _KEY)
_GET = select(tables.retention_policies).where(*_IS_IT)
_UPDATE = update(tables.retention_policies).where(*_IS_IT)
_DELETE = delete(tables.retention_policies).where(*_IS_IT)
_INSERT = insert(tables.retention_policies)
_NEWEST_FIRST = Order([_EXECUTIONS.execution_created_at_us, _EXECUTIONS.id], is_descending=True)
"""What relaunches or recovers another one is newer, and so goes first."""


# Policies


async def set_policy(ports: AdminPorts, request: pb.SetRetentionPolicyRequest) -> pb.SetRetentionPolicyResponse:
    """Replace the policy of a project, domain and phase."""
    policy = request.policy
    rules.check_policy(policy)
    values = {"age_s_max": policy.age_s_max, "executions_max": policy.executions_max}

    def change(transaction: Transaction) -> None:
        connection = transaction.connection
        projects.require_known(connection, ports.settings, policy.project, policy.domain or None)
        if not connection.execute(_UPDATE.values(**values), _key_of(policy)).rowcount:
            key = {name: getattr(policy, name) for name in _KEY}
            connection.execute(_INSERT, key | values)

    await ports.store.write(change)
    return pb.SetRetentionPolicyResponse()


async def get_policy(ports: AdminPorts, request: pb.GetRetentionPolicyRequest) -> pb.GetRetentionPolicyResponse:
    """A policy. Raises `NotFound`."""
    await _require_known(ports, request.project)
    row = await ports.store.read(lambda connection: connection.execute(_GET, _key_of(request)).mappings().one_or_none())
    if row is None:
        phase = ExecutionPhase(request.phase).name if request.phase in set(ExecutionPhase) else str(request.phase)
        raise NotFound("retention policy", f"{request.project}/{request.domain}/{phase}")
    return pb.GetRetentionPolicyResponse(policy=pb.RetentionPolicy(**row))


async def list_policies(
    ports: AdminPorts, request: pb.ListRetentionPoliciesRequest
) -> pb.ListRetentionPoliciesResponse:
    """A page of policies."""
    order = Order([_POLICIES[name] for name in _KEY], is_descending=False)
    asked = await page_request(ports, "ListRetentionPolicies", request, zero_is_all=True)
    query = select(tables.retention_policies)
    if request.project:
        query = query.where(_POLICIES.project == request.project)
    page = await ports.store.read(lambda connection: read_page(connection, query, order, asked))
    return pb.ListRetentionPoliciesResponse(
        policies=[pb.RetentionPolicy(**row._mapping) for row in page.rows], token=page.next_token
    )


async def delete_policy(
    ports: AdminPorts, request: pb.DeleteRetentionPolicyRequest
) -> pb.DeleteRetentionPolicyResponse:
    """Take a policy away."""
    rules.check_phase(request.phase)

    def change(transaction: Transaction) -> None:
        connection = transaction.connection
        projects.require_known(connection, ports.settings, request.project, request.domain or None)
        connection.execute(_DELETE, _key_of(request))

    await ports.store.write(change)
    return pb.DeleteRetentionPolicyResponse()


def _key_of(named: Any) -> dict[str, Any]:
    return {f"of_{name}": getattr(named, name) for name in _KEY}


# What is due


async def preview(ports: AdminPorts, request: pb.PreviewRetentionRequest) -> pb.PreviewRetentionResponse:
    """What would be deleted of a project now."""
    await _require_known(ports, request.project)
    reply, looked_at = pb.PreviewRetentionResponse(), 0
    async for page in _due(ports, request.project):
        if looked_at >= LOOKED_AT_MAX:
            reply.is_more = True
            break
        looked_at += len(page)
        for due in page:
            reply.executions += due.going
            if due.going and len(reply.first) < FIRST_MAX:
                reply.first.append(due.id.to_message())
    return reply


async def run(ports: AdminPorts, request: pb.RunRetentionRequest) -> pb.RunRetentionResponse:
    """Begin to delete what is due of a project, and go on with all that was begun."""
    await _require_known(ports, request.project)
    begun, is_more = await begin(ports, request.project)
    deleted = await deletions.go_on(ports)
    return pb.RunRetentionResponse(begun=begun, deleted=deleted, is_more=is_more)


async def begin(ports: AdminPorts, project: str) -> tuple[int, bool]:
    """Begin to delete some of what is due of a project: how many were begun, and whether there may be more."""
    begun = 0
    async for page in _due(ports, project):
        if begun >= BEGUN_MAX:
            return begun, True
        for due in page:
            if due.going:
                begun += await ports.store.write(lambda tx, root_id=due.row_id: deletions.begin(tx, root_id))
    return begun, False


async def _require_known(ports: AdminPorts, project: str) -> None:
    await ports.store.read(lambda connection: projects.require_known(connection, ports.settings, project, None))


async def projects_with_policies(ports: AdminPorts) -> Sequence[str]:
    """Where something may be due."""
    query = select(_POLICIES.project).distinct().order_by(_POLICIES.project)
    return await ports.store.read(lambda connection: connection.scalars(query).all())


@dataclass(frozen=True, slots=True)
class Due:
    """An execution that its policy does not keep. `going` counts what goes with it, itself included; 0 if it may not.

    `created_at_us` and `row_id` are its place in the order in which they are looked for.
    """

    created_at_us: int
    row_id: int
    id: ExecutionId
    going: int


async def _due(ports: AdminPorts, project: str) -> AsyncIterator[list[Due]]:
    """What is due of a project and not yet being deleted, in pages."""
    query = select(tables.retention_policies).where(_POLICIES.project == project)
    rows = await ports.store.read(lambda connection: connection.execute(query).mappings().all())
    policies = [pb.RetentionPolicy(**row) for row in rows]
    for domain in ports.settings.domains:
        for phase in sorted(EXECUTION_TERMINAL):
            policy = rules.holding(policies, domain, phase)
            due = None if policy is None else await _query(ports, policy, (project, domain, phase))
            page = [] if due is None else await ports.store.read(partial(_page, due))
            while due is not None and page:
                yield page
                after = _NEWEST_FIRST.after((page[-1].created_at_us, page[-1].row_id))
                page = await ports.store.read(partial(_page, due.where(after)))


async def _query(
    ports: AdminPorts, policy: pb.RetentionPolicy, place: tuple[str, str, ExecutionPhase]
) -> "Select[int, int, str, str, str] | None":
    """Asks for a page of what is due of a domain and phase; None if nothing is."""
    project, domain, phase = place
    there = (
        _EXECUTIONS.execution_project == project,
        _EXECUTIONS.execution_domain == domain,
        _EXECUTIONS.phase == phase.name,
        _EXECUTIONS.state.in_(execution_pb2.ExecutionState.values()),  # so that the index by phase serves
        _EXECUTIONS.parent_execution_id.is_(None),
    )
    limits: list[ColumnElement[bool]] = []
    before = rules.too_old_before(policy, ports.clock.now())
    if before is not None:
        limits.append(_EXECUTIONS.execution_updated_at_us < tables.time_us(before))
    if policy.executions_max:
        newest = select(*_NEWEST_FIRST.keys).where(*there).order_by(*_NEWEST_FIRST.clauses())
        last = newest.limit(1).offset(policy.executions_max - 1)
        last_kept = await ports.store.read(lambda connection: connection.execute(last).one_or_none())
        if last_kept is not None:
            limits.append(_NEWEST_FIRST.after(tuple(last_kept)))
    if not limits:
        return None
    names = (_EXECUTIONS[name] for name in EXECUTION_COLUMNS)
    due = select(_EXECUTIONS.execution_created_at_us, _EXECUTIONS.id, *names)
    going = exists().where(tables.execution_deletions.c.execution_id == _EXECUTIONS.id)
    return due.where(*there, or_(*limits), ~going).order_by(*_NEWEST_FIRST.clauses()).limit(PAGE_MAX)


def _page(due: "Select[int, int, str, str, str]", connection: Connection) -> list[Due]:
    found: list[Due] = []
    for created_at_us, row_id, *names in connection.execute(due).all():
        going = deletions.count(connection, row_id) if deletions.may_go(connection, row_id) else 0
        found.append(Due(created_at_us, row_id, ExecutionId(*names), going))
    return found


# By itself


async def keep(ports: AdminPorts) -> None:
    """Delete what is due, for ever, beginning with what an earlier run has left."""
    while True:
        await deletions.finish(ports)
        for project in await projects_with_policies(ports):
            while (await begin(ports, project))[0]:
                await deletions.finish(ports)  # also what these relaunch may go now
        every = timedelta(seconds=ports.settings.retention_every_s)
        await ports.clock.sleep_until(ports.clock.now() + every)
