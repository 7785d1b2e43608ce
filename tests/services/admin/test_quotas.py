"""Quotas: what they refuse, what they leave alone, and that nobody slips by."""

import asyncio

import pytest
from sailplane_admin import executions, launch_plans, quotas, tables
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyExists, InvalidRequest, LimitReached
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.governance import quotas_pb2 as pb
from sailplane_runtime.clock import ManualClock
from sqlalchemy import func, select, text, update

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

PROJECT, DOMAIN = registry.PROJECT, registry.DOMAIN


async def allow(ports: AdminPorts, domain: str = DOMAIN, **most: int) -> None:
    given = pb.Quotas(project=PROJECT, domain=domain, **most)
    await quotas.set_quotas(ports, pb.SetQuotasRequest(quotas=given))


async def found(ports: AdminPorts) -> pb.GetQuotasResponse:
    return await quotas.get_quotas(ports, pb.GetQuotasRequest(project=PROJECT, domain=DOMAIN))


async def end(ports: AdminPorts, name: str) -> None:
    ended = update(tables.executions).where(tables.executions.c.execution_name == name)
    phase = ExecutionPhase.SUCCEEDED.name
    await ports.store.write(lambda tx: tx.connection.execute(ended.values(phase=phase)))


async def test_what_is_set_is_found_and_replaced_and_taken_away(ports: AdminPorts) -> None:
    assert (await found(ports)).quotas == pb.Quotas(project=PROJECT, domain=DOMAIN)
    await allow(ports, running_executions_max=3, active_schedules_max=2)
    await allow(ports, running_executions_max=4)
    assert (await found(ports)).quotas == pb.Quotas(project=PROJECT, domain=DOMAIN, running_executions_max=4)
    for _ in range(2):
        await quotas.delete_quotas(ports, pb.DeleteQuotasRequest(project=PROJECT, domain=DOMAIN))
    assert (await found(ports)).quotas == pb.Quotas(project=PROJECT, domain=DOMAIN)


async def test_all_are_listed_page_by_page(ports: AdminPorts) -> None:
    for domain in ("staging", "development", "production"):
        await allow(ports, domain, running_executions_max=1)
    first = await quotas.list_quotas(ports, pb.ListQuotasRequest(limit=2))
    assert [one.domain for one in first.quotas] == ["development", "production"]
    rest = await quotas.list_quotas(ports, pb.ListQuotasRequest(limit=2, token=first.token))
    assert ([one.domain for one in rest.quotas], rest.token) == (["staging"], "")
    nobodys = pb.ListQuotasRequest(project="other")
    assert not (await quotas.list_quotas(ports, nobodys)).quotas
    with pytest.raises(InvalidRequest):
        await quotas.list_quotas(ports, pb.ListQuotasRequest(limit=2, token=first.token[:-2]))


@pytest.mark.parametrize(("project", "domain"), [("nowhere", DOMAIN), (PROJECT, "nowhere"), ("", "")])
async def test_places_that_there_are_not_have_none(ports: AdminPorts, project: str, domain: str) -> None:
    with pytest.raises(InvalidRequest):
        await quotas.set_quotas(ports, pb.SetQuotasRequest(quotas=pb.Quotas(project=project, domain=domain)))
    with pytest.raises(InvalidRequest):
        await quotas.get_quotas(ports, pb.GetQuotasRequest(project=project, domain=domain))
    with pytest.raises(InvalidRequest):
        await quotas.delete_quotas(ports, pb.DeleteQuotasRequest(project=project, domain=domain))


async def test_one_execution_too_many_is_refused_by_the_quotas_name(ports: AdminPorts) -> None:
    await requests.register(ports)
    await allow(ports, running_executions_max=2)
    for name in ("x0", "x1"):
        await executions.create(ports, requests.create(name))
    with pytest.raises(LimitReached, match="running_executions_max of flytesnacks-development, 2"):
        await executions.create(ports, requests.create("x2"))
    with pytest.raises(AlreadyExists):
        await executions.create(ports, requests.create("x1"))
    assert (await found(ports)).usage.running_executions == 2
    await end(ports, "x0")
    await executions.create(ports, requests.create("x2"))
    assert [one.id for one in await ports.store.pending("executions")] == [
        f"start:{PROJECT}/{DOMAIN}/{name}" for name in ("x0", "x1", "x2")
    ]


async def test_executions_that_nodes_start_are_neither_counted_nor_refused(ports: AdminPorts) -> None:
    await requests.register(ports)
    await allow(ports, running_executions_max=1, executions_per_minute_max=1)
    await executions.create(ports, requests.create("parent"))
    for name in ("child0", "child1"):
        request = requests.create(name)
        request.spec.metadata.parent_node_execution.CopyFrom(requests.node_id("n0", "parent"))
        await executions.create(ports, request)
    usage = (await found(ports)).usage
    assert (usage.running_executions, usage.executions_per_minute) == (1, 1)


async def test_so_many_a_minute(ports: AdminPorts, clock: ManualClock) -> None:
    await requests.register(ports)
    await allow(ports, executions_per_minute_max=2)
    for name in ("x0", "x1"):
        await executions.create(ports, requests.create(name))
        await end(ports, name)
        clock.advance(20)
    with pytest.raises(LimitReached, match="executions_per_minute_max of flytesnacks-development, 2"):
        await executions.create(ports, requests.create("x2"))
    clock.advance(20)
    await executions.create(ports, requests.create("x2"))


async def test_of_many_at_once_only_as_many_as_may_are_created(ports: AdminPorts) -> None:
    await requests.register(ports)
    await allow(ports, running_executions_max=5)
    asked = [executions.create(ports, requests.create(f"x{number}")) for number in range(30)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(not isinstance(one, LimitReached) for one in outcomes) == 5
    rows = select(func.count()).select_from(tables.executions)
    assert await ports.store.read(lambda connection: connection.execute(rows).scalar_one()) == 5


async def activate(ports: AdminPorts, name: str, version: str = "v1") -> None:
    id = registry.plan_id(name, version)
    await launch_plans.change(ports, launch_plan_pb2.LaunchPlanUpdateRequest(id=id, state=launch_plan_pb2.ACTIVE))


async def scheduled(ports: AdminPorts, name: str, version: str = "v1", *, schedule: bool = True) -> None:
    request = launch_plan_pb2.LaunchPlanCreateRequest(id=registry.plan_id(name, version))
    request.spec.workflow_id.CopyFrom(registry.workflow_id("chain"))
    request.spec.default_inputs.parameters["a"].var.type.simple = 1
    request.spec.default_inputs.parameters["a"].default.scalar.primitive.integer = 1
    if schedule:
        request.spec.entity_metadata.schedule.cron_schedule.schedule = "0 0 * * *"
    await launch_plans.create(ports, request)


async def test_one_schedule_too_many_is_not_activated(ports: AdminPorts) -> None:
    await requests.register(ports)
    for name in ("daily", "nightly"):
        await scheduled(ports, name)
    await scheduled(ports, "daily", "v2")
    await scheduled(ports, "plain", schedule=False)
    await allow(ports, active_schedules_max=1)
    await activate(ports, "daily")
    with pytest.raises(LimitReached, match="active_schedules_max of flytesnacks-development, 1"):
        await activate(ports, "nightly")
    await activate(ports, "plain")
    await activate(ports, "daily", "v2")
    assert (await found(ports)).usage.active_schedules == 1


async def test_running_executions_are_counted_by_an_index_of_them(ports: AdminPorts) -> None:
    count = f"""EXPLAIN QUERY PLAN SELECT count(*) FROM executions WHERE execution_project = 'p'
        AND execution_domain = 'd' AND {tables.RUNS_BY_ITSELF}"""
    plan = await ports.store.read(lambda connection: connection.execute(text(count)).all())
    assert "executions_running" in str(plan), plan
