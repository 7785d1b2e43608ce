"""Launch plans that limit how many of their executions run at once."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sailplane_admin import executions, launch_plans, projects, tables
from sailplane_admin.ports import AdminPorts, AdminSettings
from sailplane_core.concurrency import CANCEL_OLDEST, QUEUE, SKIP
from sailplane_core.errors import (
    AlreadyExists,
    AlreadyTerminal,
    ConcurrencyLimitReached,
    InvalidRequest,
    LimitReached,
)
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import execution_pb2, launch_plan_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.sql import SqlStore
from services.admin.concurrent_plans import Engine, create, phase_of, terminate
from sqlalchemy import Connection, text

from services.admin import concurrent_plans as plans
from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

Request = execution_pb2.ExecutionCreateRequest


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With launch plans of one execution at a time."""
    await requests.register(ports)
    await plans.register(ports, 1)
    return ports


@pytest.fixture
def engine(admin: AdminPorts) -> Engine:
    """What runs them."""
    return Engine(admin)


# One behaviour after the other


def with_policy(version: str, name: str, behavior: "launch_plan_pb2.ConcurrencyLimitBehavior.ValueType") -> Request:
    request = create(version, name)
    request.spec.concurrency_policy.max = 1
    request.spec.concurrency_policy.behavior = behavior
    return request


async def test_an_execution_may_bring_a_policy_where_its_plan_has_none(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, create("none", "a"))
    with pytest.raises(ConcurrencyLimitReached):
        await executions.create(admin, with_policy("none", "b", SKIP))
    await executions.create(admin, with_policy("none", "c", QUEUE))
    assert engine.started == ["a"]
    await engine.end("a")
    assert engine.started == ["a", "c"]
    await executions.create(admin, with_policy("none", "d", CANCEL_OLDEST))
    assert engine.leaving == {"c"}
    await engine.end("c")
    assert engine.started == ["a", "c", "d"]
    again = await executions.relaunch(
        admin, execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id("d"), name="e")
    )
    assert engine.started == ["a", "c", "d", again.id.name]


async def test_policies_that_an_execution_cannot_have(admin: AdminPorts) -> None:
    with pytest.raises(InvalidRequest, match="invalid value for concurrency_policy: the launch plan has one"):
        await executions.create(admin, with_policy("skip", "a", QUEUE))
    nothing = with_policy("none", "a", QUEUE)
    nothing.spec.concurrency_policy.max = 0
    with pytest.raises(InvalidRequest, match=r"invalid value for concurrency_policy\.max"):
        await executions.create(admin, nothing)
    task = with_policy("none", "a", QUEUE)
    task.spec.launch_plan.CopyFrom(registry.task_id("add"))
    with pytest.raises(InvalidRequest, match="a task has no launch plan to count executions of"):
        await executions.create(admin, task)


async def test_skip_refuses_one_too_many_until_the_other_has_ended(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, create("skip", "a"))
    with pytest.raises(ConcurrencyLimitReached, match=r"concurrency limit \(1\) reached"):
        await executions.create(admin, create("skip", "b"))
    with pytest.raises(ConcurrencyLimitReached):
        await executions.create(admin, create("skip", ""))
    await engine.end("a")
    await executions.create(admin, create("skip", "b"))
    assert engine.started == ["a", "b"]


async def test_queue_starts_the_oldest_when_another_has_ended(admin: AdminPorts, engine: Engine) -> None:
    for name in ("a", "b", "c"):
        await executions.create(admin, create("queue", name))
    assert engine.started == ["a"]
    assert [await phase_of(admin, name) for name in ("b", "c")] == [ExecutionPhase.QUEUED] * 2
    await engine.end("a")
    assert engine.started == ["a", "b"]
    await engine.report("b", ExecutionPhase.QUEUED)
    await engine.report("b", ExecutionPhase.RUNNING)
    assert await phase_of(admin, "b") == ExecutionPhase.RUNNING
    await engine.end("b")
    assert engine.started == ["a", "b", "c"]


async def test_what_waits_can_be_aborted_and_never_starts(admin: AdminPorts, engine: Engine) -> None:
    for name in ("a", "b", "c"):
        await executions.create(admin, create("queue", name))
    await executions.terminate(admin, terminate("b"))
    await executions.terminate(admin, terminate("b"))
    assert await phase_of(admin, "b") == ExecutionPhase.ABORTING
    await engine.end("b")
    assert await phase_of(admin, "b") == ExecutionPhase.ABORTED
    assert engine.started == ["a"]
    await engine.end("a")
    assert engine.started == ["a", "c"]
    with pytest.raises(AlreadyTerminal):
        await executions.terminate(admin, terminate("b"))


async def test_cancel_oldest_starts_the_new_one_once_the_oldest_has_gone(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, create("oldest", "a"))
    await executions.create(admin, create("oldest", "b"))
    assert (engine.started, engine.leaving) == (["a"], {"a"})
    found = await executions.get(admin, requests.get("a"))
    assert found.closure.phase == ExecutionPhase.ABORTING
    assert str(plans.key("b")) in found.closure.abort_metadata.cause
    await engine.end("a")
    assert engine.started == ["a", "b"]


async def test_cancel_oldest_takes_one_that_waits_if_that_is_the_oldest(admin: AdminPorts, engine: Engine) -> None:
    for name in ("a", "b", "c"):
        await executions.create(admin, create("oldest", name))
    assert await phase_of(admin, "b") == ExecutionPhase.ABORTING
    await engine.end("b")
    assert engine.started == ["a"]
    await engine.end("a")
    assert engine.started == ["a", "c"]


async def test_replace_starts_the_new_one_when_all_have_gone(ports: AdminPorts) -> None:
    await requests.register(ports)
    await plans.register(ports, 2)
    engine = Engine(ports)
    for name in ("a", "b", "c"):
        await executions.create(ports, create("replace", name))
    assert (engine.started, engine.leaving) == (["a", "b"], {"a", "b"})
    await engine.end("b")
    assert engine.started == ["a", "b"]
    await engine.end("a")
    assert engine.started == ["a", "b", "c"]


async def test_what_a_blocked_one_has_held_up_starts_when_that_is_aborted(ports: AdminPorts) -> None:
    await requests.register(ports)
    await plans.register(ports, 2)
    engine = Engine(ports)
    for version, name in (("queue", "a"), ("queue", "b"), ("replace", "c"), ("queue", "d")):
        await executions.create(ports, create(version, name))
    await engine.end("a")
    assert engine.started == ["a", "b"]
    await executions.terminate(ports, terminate("c"))
    assert engine.started == ["a", "b", "d"]


async def test_what_a_blocked_one_has_held_up_starts_when_that_is_taken_away(ports: AdminPorts) -> None:
    await requests.register(ports)
    await plans.register(ports, 2)
    engine = Engine(ports)
    for version, name in (("queue", "a"), ("queue", "b"), ("replace", "c")):
        await executions.create(ports, create(version, name))
    await engine.end("a")
    await executions.create(ports, create("oldest", "d"))
    assert engine.started == ["a", "b"]
    await executions.create(ports, create("oldest", "e"))
    assert engine.started == ["a", "b", "d"]
    assert await phase_of(ports, "c") == ExecutionPhase.ABORTING


@pytest.mark.parametrize("phase", [ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED])
async def test_whatever_end_makes_room(admin: AdminPorts, engine: Engine, phase: ExecutionPhase) -> None:
    await executions.create(admin, create("queue", "a"))
    await executions.create(admin, create("queue", "b"))
    await engine.report("a", ExecutionPhase.FAILING)
    assert engine.started == ["a"]
    await engine.report("a", phase)
    assert engine.started == ["a", "b"]


# Which executions count


async def test_all_versions_count_and_each_obeys_its_own_policy(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, create("none", "a"))
    await executions.create(admin, create("none", "b"))
    await executions.create(admin, create("queue", "c"))
    with pytest.raises(ConcurrencyLimitReached):
        await executions.create(admin, create("skip", "d"))
    assert engine.started == ["a", "b"]
    await engine.end("a")
    assert engine.started == ["a", "b"]
    await engine.end("b")
    assert engine.started == ["a", "b", "c"]


async def test_other_launch_plans_do_not_count(admin: AdminPorts, engine: Engine) -> None:
    await plans.register(admin, 1, "other")
    await executions.create(admin, requests.create("x"))
    await executions.create(admin, create("queue", "a"))
    await executions.create(admin, create("queue", "b", "other"))
    assert engine.started == ["x", "a", "b"]


async def test_a_launch_plan_that_starts_itself_runs_in_its_own_place(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, create("queue", "a"))
    await executions.create(admin, requests.create("between"))
    between = create("none", "between-2", "chain", parent="a")
    between.spec.launch_plan.version = "v1"
    await executions.create(admin, between)
    for version in ("skip", "queue", "oldest", "replace"):
        await executions.create(admin, create(version, f"child-{version}", parent="a"))
        await executions.create(admin, create(version, f"grandchild-{version}", parent="between-2"))
    assert len(engine.started) == 11
    assert engine.leaving == set()
    await executions.create(admin, create("queue", "b"))
    await engine.end("child-queue")
    assert "b" not in engine.started


async def test_a_child_waits_for_those_who_are_none_of_its_ancestors(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, requests.create("x"))
    await executions.create(admin, create("queue", "a"))
    await executions.create(admin, create("queue", "child", parent="x"))
    assert engine.started == ["x", "a"]
    await engine.end("a")
    assert engine.started == ["x", "a", "child"]


async def test_a_child_that_waits_ends_with_its_parent(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, requests.create("x"))
    await executions.create(admin, create("queue", "a"))
    await executions.create(admin, create("queue", "child", parent="x"))
    await engine.end("x")
    assert engine.leaving == {"child"}
    await engine.end("child")
    await engine.end("a")
    assert engine.started == ["x", "a"]
    assert await plans.unfinished(admin) == 0


async def test_a_relaunch_obeys_too(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, create("queue", "a"))
    request = execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id("a"), name="again")
    await executions.relaunch(admin, request)
    assert engine.started == ["a"]
    await engine.end("a")
    assert engine.started == ["a", "again"]


# Bad input, repeats and limits


async def test_a_repeated_request_has_no_effect(admin: AdminPorts, engine: Engine) -> None:
    await executions.create(admin, create("replace", "a"))
    for version in ("replace", "oldest", "skip", "queue"):
        with pytest.raises(AlreadyExists, match="a already exists"):
            await executions.create(admin, create(version, "a"))
    assert (engine.started, engine.leaving) == (["a"], set())


async def test_no_more_wait_than_may(admin: AdminPorts) -> None:
    few = AdminPorts(admin.store, admin.blobs, admin.clock, AdminSettings(waiting_executions_max=1))
    await executions.create(few, create("queue", "a"))
    await executions.create(few, create("queue", "b"))
    with pytest.raises(LimitReached, match="1 executions of launch plan flytesnacks:development:limited"):
        await executions.create(few, create("queue", "c"))
    await executions.create(few, create("replace", "d"))
    assert await phase_of(few, "b") == ExecutionPhase.ABORTING


@pytest.mark.parametrize(("field", "value"), [("max", 0), ("max", -1), ("behavior", 2), ("behavior", 1003)])
async def test_a_policy_that_cannot_be_is_refused(admin: AdminPorts, field: str, value: int) -> None:
    plan = registry.plan("bad")
    plan.spec.concurrency_policy.max = 1
    plan.spec.concurrency_policy.behavior = 1
    setattr(plan.spec.concurrency_policy, field, value)
    with pytest.raises(InvalidRequest, match=rf"concurrency_policy\.{field}"):
        await launch_plans.create(admin, plan)


async def test_what_runs_and_waits_is_found_by_indexes(admin: AdminPorts) -> None:
    def explain(connection: Connection) -> list[str]:
        found: list[str] = []
        for where in (tables.RUNS, tables.WAITS):
            query = f"EXPLAIN QUERY PLAN SELECT id FROM executions WHERE plan_name_id = 1 AND {where}"
            found.append(str(connection.execute(text(query)).all()))
        return found

    [runs, waits] = await admin.store.read(explain)
    assert "executions_that_run" in runs
    assert "executions_that_wait" in waits


# Whatever happens at the same time

MAX = 2
CREATE = st.tuples(st.sampled_from(["skip", "queue", "oldest", "replace"]), st.just(0))
END = st.tuples(st.sampled_from(["end", "abort", "abort"]), st.integers(0, 40))
ACT = st.tuples(st.one_of(CREATE, END), st.integers(0, 12))
"""What to do (to the execution of this number), and after how many turns of the event loop."""
BURSTS = st.lists(st.lists(ACT, min_size=1, max_size=12), min_size=1, max_size=8)


class World:
    """Admin on a file, and an engine."""

    def __init__(self, directory: str, ports: AdminPorts) -> None:
        self.directory = directory
        self.ports = ports
        self.engine = Engine(ports)
        self.created: list[str] = []

    @classmethod
    async def make(cls, directory: str) -> "World":
        made = cls(directory, await cls._open(directory))
        await projects.ensure_defaults(made.ports)
        await requests.register(made.ports)
        await plans.register(made.ports, MAX)
        return made

    @staticmethod
    async def _open(directory: str) -> AdminPorts:
        store = await SqlStore.open(f"sqlite:///{directory}/admin.db", tables.metadata)
        clock = ManualClock()
        blobs = FileBlobs(Path(directory) / "blobs", UrlSigner(b"s" * 32), clock, public_base_url="http://localhost")
        return AdminPorts(store, blobs, clock)

    async def restart(self) -> None:
        await self.close()
        self.ports = await self._open(self.directory)
        self.engine.attach(self.ports)

    async def close(self) -> None:
        store = self.ports.store
        assert isinstance(store, SqlStore)
        await store.close()

    async def act(self, name: str, what: str, number: int, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        try:
            if what == "end" and self.created:
                await self.engine.end(self.created[number % len(self.created)])
            elif what == "abort" and self.created:
                await executions.terminate(self.ports, terminate(self.created[number % len(self.created)]))
            elif what in plans.VERSIONS:
                await executions.create(self.ports, create(what, name))
                self.created.append(name)
        except (ConcurrencyLimitReached, AlreadyTerminal):
            pass


@settings(deadline=None, max_examples=25)
@given(BURSTS)
def test_never_too_many_run_and_none_is_forgotten(bursts: list[list[tuple[tuple[str, int], int]]]) -> None:
    """Whatever is asked for at the same time, in whatever order, and across restarts."""

    async def happen(directory: str) -> None:
        world = await World.make(directory)
        for number, burst in enumerate(bursts):
            acts = [
                world.act(f"x{number}-{index}", what, which, turns)
                for index, ((what, which), turns) in enumerate(burst)
            ]
            await asyncio.gather(*acts)
            assert world.engine.most_running <= MAX
            if number % 3 == 2:
                await world.restart()
        await world.engine.end_all()
        assert world.engine.most_running <= MAX
        assert await plans.unfinished(world.ports) == 0
        await world.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(happen(directory))


async def test_of_many_creates_at_once_all_run_one_after_the_other(admin: AdminPorts, engine: Engine) -> None:
    names = [f"x{number}" for number in range(60)]
    await asyncio.gather(*(executions.create(admin, create("queue", name)) for name in names))
    assert len(engine.started) == 1
    await engine.end_all()
    assert sorted(engine.started) == sorted(names)
    assert engine.most_running == 1
