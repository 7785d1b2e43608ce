"""Quotas of project-domains: set by operators, counted from rows in the transaction that would use more of them.

Counting takes as long as what is counted; nobody counts where there is no quota. With several writers the quotas' row
is locked first, so that two of them cannot both take the last one.
"""

from collections.abc import Sequence

from sailplane_core import quotas as rules
from sailplane_core.errors import LimitReached
from sailplane_core.ids import ExecutionId
from sailplane_protos.admin import execution_pb2, launch_plan_pb2
from sailplane_protos.governance import quotas_pb2 as pb
from sailplane_runtime.store.port import Transaction
from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, text, update

from . import projects, schedules, tables
from .keyset import Order
from .paging import page_request, read_page
from .ports import AdminPorts

_NAMES = ("running_executions_max", "executions_per_minute_max", "active_schedules_max")
_QUOTAS, _EXECUTIONS, _PLANS = tables.quotas.c, tables.executions.c, tables.launch_plans.c
_PLACE = (_QUOTAS.project == bindparam("of_project"), _QUOTAS.domain == bindparam("of_domain"))
_GET = select(tables.quotas).where(*_PLACE)
_LOCK = _GET.with_for_update()
_UPDATE = update(tables.quotas).where(*_PLACE)
_DELETE = delete(tables.quotas).where(*_PLACE)
_INSERT = insert(tables.quotas)
_EXECUTIONS_THERE: Sequence[ColumnElement[bool]] = (
    _EXECUTIONS.execution_project == bindparam("of_project"),
    _EXECUTIONS.execution_domain == bindparam("of_domain"),
)
_RUNNING = select(func.count()).select_from(tables.executions).where(*_EXECUTIONS_THERE, text(tables.RUNS_BY_ITSELF))
_RECENT = (
    select(func.count())
    .select_from(tables.executions)
    .where(
        *_EXECUTIONS_THERE,
        _EXECUTIONS.parent_execution_id.is_(None),
        _EXECUTIONS.state.in_(execution_pb2.ExecutionState.values()),  # so that the index by age serves
        _EXECUTIONS.execution_created_at_us > bindparam("since_us"),
    )
)
_SCHEDULES = (
    select(func.count())
    .select_from(tables.launch_plans)
    .where(
        _PLANS.project == bindparam("of_project"),
        _PLANS.domain == bindparam("of_domain"),
        _PLANS.state == launch_plan_pb2.ACTIVE,
        _PLANS.schedule_type != schedules.NONE,
    )
)


# What operators ask


async def set_quotas(ports: AdminPorts, request: pb.SetQuotasRequest) -> pb.SetQuotasResponse:
    """Replace a domain's quotas; without any limit it has none."""
    given = request.quotas
    place = _place(given.project, given.domain)
    values = {name: getattr(given, name) for name in _NAMES}

    def change(transaction: Transaction) -> None:
        connection = transaction.connection
        projects.require_known(connection, ports.settings, given.project, given.domain)
        if not any(values.values()):
            connection.execute(_DELETE, place)
        elif not connection.execute(_UPDATE.values(**values), place).rowcount:
            connection.execute(_INSERT, {"project": given.project, "domain": given.domain, **values})

    await ports.store.write(change)
    return pb.SetQuotasResponse()


async def get_quotas(ports: AdminPorts, request: pb.GetQuotasRequest) -> pb.GetQuotasResponse:
    """A domain's quotas and how much of them is used."""
    since_us = _since_us(ports)

    def query(connection: Connection) -> pb.GetQuotasResponse:
        projects.require_known(connection, ports.settings, request.project, request.domain)
        place = _place(request.project, request.domain)
        row = connection.execute(_GET, place).mappings().one_or_none()
        found = pb.Quotas(project=request.project, domain=request.domain) if row is None else pb.Quotas(**row)
        usage = pb.QuotaUsage(
            running_executions=connection.execute(_RUNNING, place).scalar_one(),
            executions_per_minute=connection.execute(_RECENT, {**place, "since_us": since_us}).scalar_one(),
            active_schedules=connection.execute(_SCHEDULES, place).scalar_one(),
        )
        return pb.GetQuotasResponse(quotas=found, usage=usage)

    return await ports.store.read(query)


async def list_quotas(ports: AdminPorts, request: pb.ListQuotasRequest) -> pb.ListQuotasResponse:
    """A page of the domains that have quotas."""
    order = Order([_QUOTAS.project, _QUOTAS.domain], is_descending=False)
    asked = await page_request(ports, "ListQuotas", request, zero_is_all=True)
    query = select(tables.quotas)
    if request.project:
        query = query.where(_QUOTAS.project == request.project)
    page = await ports.store.read(lambda connection: read_page(connection, query, order, asked))
    return pb.ListQuotasResponse(quotas=[pb.Quotas(**row._mapping) for row in page.rows], token=page.next_token)


async def delete_quotas(ports: AdminPorts, request: pb.DeleteQuotasRequest) -> pb.DeleteQuotasResponse:
    """Take a domain's quotas away."""

    def change(transaction: Transaction) -> None:
        projects.require_known(transaction.connection, ports.settings, request.project, request.domain)
        transaction.connection.execute(_DELETE, _place(request.project, request.domain))

    await ports.store.write(change)
    return pb.DeleteQuotasResponse()


# What they do


def check_executions(ports: AdminPorts, transaction: Transaction, id: ExecutionId) -> None:
    """An execution that no node has started is in the rows now. Raises `LimitReached` if it is one too many."""
    connection, place = transaction.connection, _place(id.project, id.domain)
    quotas = _locked(connection, place)
    if quotas is None:
        return
    usage = pb.QuotaUsage()
    if quotas.running_executions_max:
        usage.running_executions = connection.execute(_RUNNING, place).scalar_one()
    if quotas.executions_per_minute_max:
        recent = connection.execute(_RECENT, {**place, "since_us": _since_us(ports)})
        usage.executions_per_minute = recent.scalar_one()
    if refusal := rules.execution_refusal(quotas, usage):
        raise LimitReached(refusal)


def check_schedules(transaction: Transaction, project: str, domain: str) -> None:
    """A launch plan with a schedule is active now. Raises `LimitReached` if it is one too many."""
    connection, place = transaction.connection, _place(project, domain)
    quotas = _locked(connection, place)
    if quotas is None or not quotas.active_schedules_max:
        return
    usage = pb.QuotaUsage(active_schedules=connection.execute(_SCHEDULES, place).scalar_one())
    if refusal := rules.schedule_refusal(quotas, usage):
        raise LimitReached(refusal)


def _locked(connection: Connection, place: dict[str, str]) -> pb.Quotas | None:
    row = connection.execute(_LOCK, place).mappings().one_or_none()
    return None if row is None else pb.Quotas(**row)


def _place(project: str, domain: str) -> dict[str, str]:
    return {"of_project": project, "of_domain": domain}


def _since_us(ports: AdminPorts) -> int:
    return tables.time_us(ports.clock.now() - rules.WINDOW)
