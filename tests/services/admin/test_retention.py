"""Retention: what is due, what stays, and that what was begun is finished after a crash at any point."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from sailplane_admin import deletions, executions, retention, tables
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import AlreadyExists, InvalidRequest, NotFound
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_protos.admin import execution_pb2
from sailplane_protos.governance import retention_pb2 as pb
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.port import Transaction
from sqlalchemy import func, select, update

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

PROJECT, DOMAIN = registry.PROJECT, registry.DOMAIN
DAY_S = 86_400
ROWS = (
    tables.executions,
    tables.node_executions,
    tables.task_executions,
    tables.external_resources,
    tables.execution_tags,
    tables.signals,
    tables.execution_deletions,
)
_EXECUTIONS = tables.executions.c


def id_of(name: str) -> ExecutionId:
    return ExecutionId(PROJECT, DOMAIN, name)


async def keep(
    ports: AdminPorts, domain: str = "", phase: ExecutionPhase = ExecutionPhase.UNDEFINED, **most: int
) -> None:
    policy = pb.RetentionPolicy(project=PROJECT, domain=domain, phase=phase.value, **most)
    await retention.set_policy(ports, pb.SetRetentionPolicyRequest(policy=policy))


async def start(ports: AdminPorts, name: str, parent: str = "") -> None:
    request = requests.create(name)
    if parent:
        request.spec.metadata.parent_node_execution.CopyFrom(requests.node_id("n0", parent))
    await executions.create(ports, request)


async def end(ports: AdminPorts, name: str, phase: ExecutionPhase = ExecutionPhase.SUCCEEDED) -> None:
    """Its row alone: what retention goes by."""

    def change(transaction: Transaction) -> None:
        closure = execution_pb2.ExecutionClosure(phase=phase.value).SerializeToString()
        ended = update(tables.executions).where(_EXECUTIONS.execution_name == name)
        transaction.connection.execute(ended.values(phase=phase.name, closure=closure))

    await ports.store.write(change)


async def confirm(ports: AdminPorts) -> None:
    """Propeller has done everything that it was told."""
    await ports.store.confirm([message.id for message in await ports.store.pending("executions")])


async def run(ports: AdminPorts) -> pb.RunRetentionResponse:
    return await retention.run(ports, pb.RunRetentionRequest(project=PROJECT))


async def names(ports: AdminPorts) -> set[str]:
    query = select(_EXECUTIONS.execution_name)
    return set(await ports.store.read(lambda connection: connection.scalars(query).all()))


async def all_gone(ports: AdminPorts) -> set[str]:
    """Run until nothing more goes; what is left."""
    await confirm(ports)
    while (done := await run(ports)).begun or done.deleted:
        await confirm(ports)
    return await names(ports)


async def blobs(ports: AdminPorts) -> set[str]:
    root = ports.blobs.uri("")
    return {blob.uri.removeprefix(root).lstrip("/") async for blob in ports.blobs.list(root)}


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    await requests.register(ports)
    return ports


# Policies


async def test_policies_are_set_replaced_listed_and_taken_away(ports: AdminPorts) -> None:
    await keep(ports, age_s_max=1)
    await keep(ports, DOMAIN, ExecutionPhase.FAILED, age_s_max=2)
    await keep(ports, age_s_max=3, executions_max=4)
    first = await retention.list_policies(ports, pb.ListRetentionPoliciesRequest(limit=1))
    rest = await retention.list_policies(ports, pb.ListRetentionPoliciesRequest(token=first.token, limit=2))
    assert list(first.policies) == [pb.RetentionPolicy(project=PROJECT, age_s_max=3, executions_max=4)]
    assert ([one.domain for one in rest.policies], rest.token) == ([DOMAIN], "")
    key = {"project": PROJECT, "domain": DOMAIN, "phase": ExecutionPhase.FAILED.value}
    found = await retention.get_policy(ports, pb.GetRetentionPolicyRequest(**key))
    assert found.policy.age_s_max == 2
    for _ in range(2):
        await retention.delete_policy(ports, pb.DeleteRetentionPolicyRequest(**key))
    with pytest.raises(NotFound, match="flytesnacks/development/FAILED"):
        await retention.get_policy(ports, pb.GetRetentionPolicyRequest(**key))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"project": "nowhere"}, "nowhere"),
        ({"domain": "nowhere"}, "nowhere"),
        ({"phase": ExecutionPhase.RUNNING.value}, "phase"),
        ({"phase": 77}, "phase"),
        ({"age_s_max": 2**63}, "age_s_max"),
        ({"executions_max": 2**63}, "executions_max"),
    ],
)
async def test_bad_policies_are_refused(ports: AdminPorts, given: dict[str, Any], told: str) -> None:
    policy = pb.RetentionPolicy(**({"project": PROJECT} | given))
    with pytest.raises(InvalidRequest, match=told):
        await retention.set_policy(ports, pb.SetRetentionPolicyRequest(policy=policy))
    assert not (await retention.list_policies(ports, pb.ListRetentionPoliciesRequest())).policies


# What is due


async def test_by_age(admin: AdminPorts, clock: ManualClock) -> None:
    for name in ("old", "going"):
        await start(admin, name)
    await end(admin, "old")
    clock.advance(DAY_S + 1)
    await start(admin, "new")
    await end(admin, "new")
    assert await all_gone(admin) == {"old", "going", "new"}
    await keep(admin, age_s_max=DAY_S)
    assert await all_gone(admin) == {"going", "new"}


async def test_by_count_in_each_phase_apart(admin: AdminPorts, clock: ManualClock) -> None:
    for number in range(4):
        for phase in (ExecutionPhase.FAILED, ExecutionPhase.SUCCEEDED):
            clock.advance(1)
            await start(admin, f"{phase.name[0].lower()}{number}")
            await end(admin, f"{phase.name[0].lower()}{number}", phase)
    await keep(admin, executions_max=3)
    await keep(admin, "", ExecutionPhase.FAILED, executions_max=1)
    seen = await retention.preview(admin, pb.PreviewRetentionRequest(project=PROJECT))
    assert (seen.executions, {id.name for id in seen.first}) == (4, {"s0", "f0", "f1", "f2"})
    assert await all_gone(admin) == {"s1", "s2", "s3", "f3"}


async def test_what_is_said_of_the_domain_holds(admin: AdminPorts, clock: ManualClock) -> None:
    await start(admin, "x")
    await end(admin, "x")
    clock.advance(DAY_S)
    await keep(admin, age_s_max=1)
    await keep(admin, DOMAIN)
    assert await all_gone(admin) == {"x"}


async def test_what_is_relaunched_stays_as_long_as_its_relaunch(admin: AdminPorts, clock: ManualClock) -> None:
    await start(admin, "x")
    await end(admin, "x")
    clock.advance(1)
    await executions.relaunch(admin, execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id("x"), name="y"))
    clock.advance(DAY_S)
    await keep(admin, age_s_max=1)
    assert await all_gone(admin) == {"x", "y"}
    await end(admin, "y")
    assert await all_gone(admin) == set()


@pytest.mark.parametrize("seed", range(25))
async def test_running_work_is_never_touched(admin: AdminPorts, clock: ManualClock, seed: int) -> None:
    chance = random.Random(seed)
    parent: dict[str, str] = {}
    phase: dict[str, ExecutionPhase] = {}
    for number in range(12):
        name = f"x{number}"
        parent[name] = chance.choice(["", *parent]) if parent else ""
        await start(admin, name, parent[name])
        phase[name] = ExecutionPhase.RUNNING if chance.random() < 0.2 else chance.choice(sorted(EXECUTION_TERMINAL))
    for name, ended in phase.items():
        await end(admin, name, ended)

    def root(name: str) -> str:
        return root(parent[name]) if parent[name] else name

    running = {root(name) for name in phase if phase[name] is ExecutionPhase.RUNNING}
    clock.advance(DAY_S)
    await keep(admin, age_s_max=1)
    assert await all_gone(admin) == {name for name in phase if root(name) in running}


# How it goes


async def whole(ports: AdminPorts, name: str = "x", *, children: int = 2) -> None:
    """An ended execution with children, and something of everything that is stored of one."""
    ids = [name, *(f"{name}c{number}" for number in range(children))]
    for id in ids:
        await start(ports, id, "" if id == name else name)

    def change(transaction: Transaction) -> None:
        for id in ids:
            _rows_of(transaction, id)

    await ports.store.write(change)
    for id in ids:
        await end(ports, id)
        for key in (f"metadata/propeller/{id_of(id)}/n0/data/0/outputs.pb", f"data/{id_of(id)}/{id}-n0-0/file"):
            await ports.blobs.put(ports.blobs.uri(key), b"x")


def _rows_of(transaction: Transaction, name: str) -> None:
    connection = transaction.connection
    own: dict[str, Any] = {"execution_project": PROJECT, "execution_domain": DOMAIN, "execution_name": name}
    course = {"phase": "SUCCEEDED", "closure": b"", "input_uri": ""}
    times = {f"node_execution_{what}_at_us": 0 for what in ("created", "updated")}
    node = own | course | times | {"node_id": "n0", "metadata": b""}
    inserted: Any = connection.execute(tables.node_executions.insert(), node)
    outer = inserted.inserted_primary_key.id
    connection.execute(tables.node_executions.insert(), node | {"node_id": "n1", "parent_id": outer})
    times = {f"task_execution_{what}_at_us": 0 for what in ("created", "updated")}
    task = registry.task_id("double")
    names = {key: getattr(task, key) for key in ("project", "domain", "name", "version")}
    attempt = own | course | times | names | {"node_id": "n0", "retry_attempt": 0, "phase_version": 0}
    inserted = connection.execute(tables.task_executions.insert(), attempt)
    row = inserted.inserted_primary_key.id
    resource = {"task_execution_id": row, "item": 0, "retry_attempt": 0, "resource": b""}
    connection.execute(tables.external_resources.insert(), resource)
    connection.execute(tables.execution_tags.insert(), own | {"key": "k", "value": "v"})
    signal = own | {"signal_id": "s", "type": b"", "created_at_us": 0, "updated_at_us": 0}
    connection.execute(tables.signals.insert(), signal)


async def counts(ports: AdminPorts) -> dict[str, int]:
    def query(connection: Any) -> dict[str, int]:
        return {one.name: connection.scalar(select(func.count()).select_from(one)) for one in ROWS}

    return await ports.store.read(query)


async def test_nothing_is_left_of_what_goes_and_others_keep_all(admin: AdminPorts, clock: ManualClock) -> None:
    before = await blobs(admin)
    await whole(admin, "x")
    clock.advance(DAY_S)
    of_x = await blobs(admin) - before
    await whole(admin, "x1")  # a name that begins alike
    everything = await blobs(admin)
    kept = await counts(admin)
    await keep(admin, age_s_max=DAY_S // 2)
    await confirm(admin)
    assert ((await run(admin)).begun, await names(admin)) == (1, {"x", "xc0", "xc1", "x1", "x1c0", "x1c1"})
    orders = [queue_pb2.ExecutionCommand.FromString(one.payload) for one in await admin.store.pending("executions")]
    assert {(one.WhichOneof("command"), one.execution_id.name) for one in orders} == {
        ("forget", name) for name in ("x", "xc0", "xc1")
    }
    with pytest.raises(AlreadyExists):
        await start(admin, "x")
    await confirm(admin)
    assert (await run(admin)).deleted == 3
    assert await counts(admin) == {name: count // 2 for name, count in kept.items()}
    assert len(of_x) == 9
    assert await blobs(admin) == everything - of_x


async def test_a_crash_at_any_point_is_made_good(admin: AdminPorts, clock: ManualClock, monkeypatch: Any) -> None:
    await whole(admin)
    clock.advance(DAY_S)
    await keep(admin, age_s_max=1)
    await confirm(admin)
    store, done = type(admin.store), 0
    write = store.write
    for crash_after in range(40):
        done = 0

        async def some(self: Any, change: Any) -> Any:
            nonlocal done
            if done == crash_after:  # noqa: B023 - called within this round only
                raise ConnectionResetError
            done += 1
            return await write(self, change)

        monkeypatch.setattr(store, "write", some)
        try:
            await run(admin)
            done = -1
        except ConnectionResetError:
            pass
        monkeypatch.setattr(store, "write", write)
        await confirm(admin)
        if done == -1 and not await names(admin):
            break
    assert set((await counts(admin)).values()) == {0}
    assert not [name for name in await blobs(admin) if "/x" in name]


async def test_outputs_of_cached_tasks_stay(ports: AdminPorts, clock: ManualClock) -> None:
    request = registry.task()
    request.spec.template.metadata.discoverable = True
    request.spec.template.metadata.discovery_version = "1"
    await requests.tasks.create(ports, request)
    await requests.workflows.create(ports, registry.workflow())
    await whole(ports)
    clock.advance(DAY_S)
    await keep(ports, age_s_max=1)
    assert await all_gone(ports) == set()
    left = {name for name in await blobs(ports) if "/x" in name}
    assert {name.split("/")[0] for name in left} == {"metadata", "data"}
    assert all(name.startswith(("metadata/propeller/", "data/")) for name in left)


async def test_what_is_going_is_neither_relaunched_nor_recovered(admin: AdminPorts, clock: ManualClock) -> None:
    await whole(admin)
    clock.advance(DAY_S)
    await keep(admin, age_s_max=1)
    await retention.begin(admin, PROJECT)
    with pytest.raises(NotFound):
        await executions.relaunch(
            admin, execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id("xc0"), name="y")
        )
    assert "y" not in await names(admin)


async def test_projects_that_there_are_not_are_refused(ports: AdminPorts) -> None:
    with pytest.raises(InvalidRequest):
        await retention.preview(ports, pb.PreviewRetentionRequest(project="nowhere"))
    with pytest.raises(InvalidRequest):
        await run_in(ports, "nowhere")


async def run_in(ports: AdminPorts, project: str) -> None:
    await retention.run(ports, pb.RunRetentionRequest(project=project))


async def test_going_on_with_nothing_does_nothing(ports: AdminPorts) -> None:
    assert await deletions.go_on(ports) == 0


async def test_it_is_done_without_being_asked(admin: AdminPorts, clock: ManualClock) -> None:
    await whole(admin)
    begun = clock.now()
    await keep(admin, age_s_max=DAY_S)
    clock.advance(DAY_S - 60)
    running = asyncio.create_task(retention.keep(admin))
    async with asyncio.timeout(20):
        while await names(admin):
            await confirm(admin)
            clock.advance(1)
            await asyncio.sleep(0.001)
    running.cancel()
    assert clock.now() - begun > timedelta(seconds=DAY_S)
