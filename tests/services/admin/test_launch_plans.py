"""Launch plans: registered once, one of a name active, the implicit one replaced."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from sailplane_admin import launch_plans, projects, tables, tasks, workflows
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import (
    DifferentStructure,
    IdenticalStructure,
    InactiveProject,
    InvalidRequest,
    NotFound,
    Refused,
)
from sailplane_core.ids import EntityId
from sailplane_core.ports import Message
from sailplane_protos.admin import launch_plan_pb2, project_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.scheduler import queue_pb2
from sailplane_runtime.clock import ManualClock
from sqlalchemy import select

from services.admin import registry_requests as requests

ACTIVE, INACTIVE = launch_plan_pb2.ACTIVE, launch_plan_pb2.INACTIVE


@dataclass
class Scheduler:
    """What the scheduler was told: versions and whether they are active, commit by commit."""

    commits: list[list[tuple[str, bool]]] = field(default_factory=list[list[tuple[str, bool]]])
    messages: list[Message] = field(default_factory=list[Message])

    def hear(self, messages: object) -> None:
        """A commit's messages."""
        assert isinstance(messages, list)
        self.messages += messages
        changes = [queue_pb2.ScheduleChange.FromString(message.payload) for message in messages]
        self.commits.append([(change.launch_plan_id.version, change.active) for change in changes])


@pytest.fixture
async def ports(ports: AdminPorts) -> AdminPorts:
    """With a workflow, and so its implicit plan."""
    await tasks.create(ports, requests.task())
    await workflows.create(ports, requests.workflow())
    return ports


@pytest.fixture
def scheduler(ports: AdminPorts) -> Scheduler:
    """Listens from now on."""
    listening = Scheduler()
    ports.store.listen("schedules", listening.hear)
    return listening


async def get(ports: AdminPorts, name: str = "chain", version: str = "v1") -> launch_plan_pb2.LaunchPlan:
    return await launch_plans.get(ports, requests.get(requests.plan_id(name, version)))


async def set_state(
    ports: AdminPorts, id: identifier_pb2.Identifier, state: "launch_plan_pb2.LaunchPlanState.ValueType"
) -> None:
    await launch_plans.change(ports, launch_plan_pb2.LaunchPlanUpdateRequest(id=id, state=state))


async def active_version(ports: AdminPorts, name: str = "plan") -> str:
    found = await launch_plans.get_active(ports, launch_plan_pb2.ActiveLaunchPlanRequest(id=requests.name(name)))
    return found.id.version


async def test_a_plan_is_registered_inactive_with_what_it_expects(ports: AdminPorts) -> None:
    await launch_plans.create(ports, requests.plan("plan", fixed_a=7))
    plan = await get(ports, "plan")
    assert plan.closure.state == INACTIVE
    assert plan.closure.HasField("expected_inputs")
    assert not plan.closure.expected_inputs.parameters
    assert "o0" in plan.closure.expected_outputs.variables
    assert plan.closure.created_at == plan.closure.updated_at


async def test_the_same_again_is_identical_and_another_is_refused(ports: AdminPorts) -> None:
    await launch_plans.create(ports, requests.plan("plan"))
    with pytest.raises(IdenticalStructure, match="launch plan with identical structure already exists"):
        await launch_plans.create(ports, requests.plan("plan"))
    with pytest.raises(DifferentStructure) as refusal:
        await launch_plans.create(ports, requests.plan("plan", fixed_a=7))
    assert "/spec/fixed_inputs" in refusal.value.diff


async def test_activating_it_does_not_make_it_another(ports: AdminPorts, clock: ManualClock) -> None:
    await launch_plans.create(ports, requests.plan("plan"))
    clock.advance(1)
    await set_state(ports, requests.plan_id("plan"), ACTIVE)
    with pytest.raises(IdenticalStructure):
        await launch_plans.create(ports, requests.plan("plan"))


async def test_the_first_explicit_plan_replaces_the_implicit_one(ports: AdminPorts) -> None:
    id = EntityId.of(requests.plan_id("chain"))
    assert not (await launch_plans.load(ports, id)).spec.fixed_inputs.literals
    await launch_plans.create(ports, requests.plan("chain", fixed_a=7))
    assert (await get(ports)).spec.fixed_inputs.literals["a"].scalar.primitive.integer == 7
    assert (await launch_plans.load(ports, id)).spec.fixed_inputs.literals
    with pytest.raises(IdenticalStructure):
        await launch_plans.create(ports, requests.plan("chain", fixed_a=7))
    with pytest.raises(DifferentStructure):
        await launch_plans.create(ports, requests.plan("chain"))


async def test_an_explicit_plan_like_the_implicit_one_is_welcome_once(ports: AdminPorts) -> None:
    await launch_plans.create(ports, requests.plan("chain"))
    with pytest.raises(IdenticalStructure):
        await launch_plans.create(ports, requests.plan("chain"))
    page = await launch_plans.list_plans(ports, requests.versions())
    assert [plan.id.name for plan in page.launch_plans] == ["chain"]


@pytest.mark.parametrize("name", ["chain", "plan"])
async def test_of_identical_creates_at_once_one_succeeds(ports: AdminPorts, name: str) -> None:
    results = await asyncio.gather(
        *(launch_plans.create(ports, requests.plan(name)) for _ in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [IdenticalStructure] * 3


async def test_an_archived_project_takes_none(ports: AdminPorts) -> None:
    await projects.update_project(ports, project_pb2.Project(id=requests.PROJECT, state=project_pb2.Project.ARCHIVED))
    with pytest.raises(InactiveProject):
        await launch_plans.create(ports, requests.plan("plan"))
    with pytest.raises(NotFound):
        await get(ports, "plan")


async def test_its_workflow_must_be_registered(ports: AdminPorts) -> None:
    with pytest.raises(NotFound, match="missing entity of type WORKFLOW"):
        await launch_plans.create(ports, requests.plan("plan", workflow="missing"))


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("* * * *", "is not a cron expression"),
        ("0 0 * * * *", "expected exactly 5 fields"),
        ("*/5 * * * *", "unbound required input"),
    ],
)
async def test_a_schedule_must_be_able_to_fire(ports: AdminPorts, cron: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await launch_plans.create(ports, requests.plan("plan", cron=cron))
    assert said in str(refusal.value)
    with pytest.raises(NotFound):
        await get(ports, "plan")


async def test_an_input_that_the_workflow_does_not_have_is_refused(ports: AdminPorts) -> None:
    request = requests.plan("plan")
    request.spec.fixed_inputs.literals["b"].scalar.primitive.integer = 1
    with pytest.raises(InvalidRequest, match="unexpected fixed_input b"):
        await launch_plans.create(ports, request)


async def test_an_incomplete_plan_is_refused(ports: AdminPorts) -> None:
    request = launch_plan_pb2.LaunchPlanCreateRequest(id=requests.plan_id("plan"))
    with pytest.raises(InvalidRequest, match="missing spec"):
        await launch_plans.create(ports, request)
    request.spec.SetInParent()
    with pytest.raises(InvalidRequest, match=r"missing spec\.workflow_id"):
        await launch_plans.create(ports, request)


async def test_at_most_one_version_of_a_name_is_active(ports: AdminPorts, clock: ManualClock) -> None:
    for version in ("v1", "v2"):
        await launch_plans.create(ports, requests.plan("plan", version))
    clock.advance(1)
    await set_state(ports, requests.plan_id("plan", "v1"), ACTIVE)
    assert await active_version(ports) == "v1"
    await set_state(ports, requests.plan_id("plan", "v2"), ACTIVE)
    assert await active_version(ports) == "v2"
    first = await get(ports, "plan", "v1")
    assert first.closure.state == INACTIVE
    assert first.closure.updated_at.ToDatetime(tzinfo=UTC) == clock.now()
    await set_state(ports, requests.plan_id("plan", "v2"), ACTIVE)
    await set_state(ports, requests.plan_id("plan", "v2"), INACTIVE)
    with pytest.raises(NotFound):
        await active_version(ports)


async def test_parallel_activations_leave_one_active(ports: AdminPorts) -> None:
    versions = [f"v{index}" for index in range(5)]
    for version in versions:
        await launch_plans.create(ports, requests.plan("plan", version))
    await asyncio.gather(*(set_state(ports, requests.plan_id("plan", version), ACTIVE) for version in versions))
    states = tables.launch_plans.c.state
    active = await ports.store.read(
        lambda connection: connection.execute(select(states).where(states == ACTIVE)).scalars().all()
    )
    assert len(active) == 1


async def test_a_client_may_leave_out_that_it_is_a_launch_plan(ports: AdminPorts) -> None:
    id = requests.plan_id("chain")
    id.ClearField("resource_type")
    await set_state(ports, id, ACTIVE)
    assert await active_version(ports, "chain") == "v1"


@pytest.mark.parametrize(
    ("id", "state", "said"),
    [
        (identifier_pb2.Identifier(), ACTIVE, "missing id"),
        (requests.task_id("chain"), ACTIVE, "unexpected resource type task"),
        (requests.plan_id(""), ACTIVE, "missing id.name"),
        (requests.plan_id("chain"), 7, "invalid value for state"),
    ],
)
async def test_a_malformed_update_is_refused(
    ports: AdminPorts, id: identifier_pb2.Identifier, state: "launch_plan_pb2.LaunchPlanState.ValueType", said: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await set_state(ports, id, state)
    assert said in str(refusal.value)


async def test_what_is_not_registered_cannot_be_activated(ports: AdminPorts) -> None:
    with pytest.raises(NotFound):
        await set_state(ports, requests.plan_id("chain", "v2"), ACTIVE)


async def test_the_scheduler_hears_of_each_change_in_its_commit(
    ports: AdminPorts, scheduler: Scheduler, clock: ManualClock
) -> None:
    for version in ("v1", "v2"):
        await launch_plans.create(ports, requests.plan("plan", version, fixed_a=1, cron="0 9 * * *"))
    await launch_plans.create(ports, requests.plan("plan", "v3", fixed_a=1))
    for version, state in (("v1", ACTIVE), ("v2", ACTIVE), ("v3", ACTIVE), ("v3", INACTIVE), ("v2", INACTIVE)):
        clock.advance(1)
        await set_state(ports, requests.plan_id("plan", version), state)
    assert scheduler.commits == [
        [("v1", True)],
        [("v1", False), ("v2", True)],
        [("v2", False)],  # v3 has no schedule
        [("v2", False)],
    ]
    assert len({message.key for message in scheduler.messages}) == 1
    assert len({message.id for message in scheduler.messages}) == 5
    first = queue_pb2.ScheduleChange.FromString(scheduler.messages[0].payload)
    assert first.schedule.cron_schedule.schedule == "0 9 * * *"
    assert first.changed_at.ToDatetime(tzinfo=UTC) > datetime(2030, 1, 1, tzinfo=UTC)
    assert list(await ports.store.pending("schedules")) == scheduler.messages


def pause(version: str, reason: str) -> launch_plan_pb2.LaunchPlanUpdateRequest:
    request = launch_plan_pb2.LaunchPlanUpdateRequest(id=requests.plan_id("plan", version))
    request.pause_schedule.reason = reason
    return request


def resume(version: str) -> launch_plan_pb2.LaunchPlanUpdateRequest:
    request = launch_plan_pb2.LaunchPlanUpdateRequest(id=requests.plan_id("plan", version))
    request.resume_schedule.SetInParent()
    return request


async def test_a_schedule_stays_paused_until_somebody_lets_it_go_on(
    ports: AdminPorts, scheduler: Scheduler, clock: ManualClock
) -> None:
    for version in ("v1", "v2"):
        await launch_plans.create(ports, requests.plan("plan", version, fixed_a=1, cron="0 9 * * *"))
    await set_state(ports, requests.plan_id("plan", "v1"), ACTIVE)
    activated_at = clock.now()
    clock.advance(1)
    await launch_plans.change(ports, pause("v1", "they migrate"))
    paused_at = clock.now()
    clock.advance(1)
    await set_state(ports, requests.plan_id("plan", "v2"), ACTIVE)
    clock.advance(1)
    await launch_plans.change(ports, resume("v2"))
    await launch_plans.change(ports, resume("v2"))
    changes = [queue_pb2.ScheduleChange.FromString(message.payload) for message in scheduler.messages]
    told = [(one.launch_plan_id.version, one.active, one.pause.reason) for one in changes]
    assert told == [
        ("v1", True, ""),
        ("v1", True, "they migrate"),
        ("v1", False, ""),
        ("v2", True, "they migrate"),
        ("v2", True, ""),
        ("v2", True, ""),
    ]
    assert changes[1].activated_at.ToDatetime(UTC) == activated_at
    assert [one.pause.paused_at.ToDatetime(UTC) for one in (changes[1], changes[3])] == [paused_at, paused_at]
    assert changes[1].changed_at.ToDatetime(UTC) == paused_at
    assert (await get(ports, "plan", "v2")).closure.state == ACTIVE
    assert not (await get(ports, "plan", "v1")).closure.HasField("schedule_pause")


async def test_what_cannot_be_paused(ports: AdminPorts, scheduler: Scheduler) -> None:
    await launch_plans.create(ports, requests.plan("plan", "v1", fixed_a=1, cron="0 9 * * *"))
    await launch_plans.create(ports, requests.plan("plan", "v2", fixed_a=1))
    with pytest.raises(Refused, match="is not active, or has none"):
        await launch_plans.change(ports, pause("v1", "a reason"))
    await set_state(ports, requests.plan_id("plan", "v2"), ACTIVE)
    with pytest.raises(Refused, match="is not active, or has none"):
        await launch_plans.change(ports, resume("v2"))
    with pytest.raises(NotFound):
        await launch_plans.change(ports, pause("v3", "a reason"))
    with pytest.raises(InvalidRequest, match=r"invalid value for pause_schedule\.reason: at most 1000 characters"):
        await launch_plans.change(ports, pause("v2", "x" * 1001))
    assert not scheduler.messages


async def test_the_implicit_plan_tells_the_scheduler_nothing(ports: AdminPorts, scheduler: Scheduler) -> None:
    await set_state(ports, requests.plan_id("chain"), ACTIVE)
    assert not scheduler.commits


async def test_the_active_ones_are_listed(ports: AdminPorts) -> None:
    for name in ("a", "b"):
        await launch_plans.create(ports, requests.plan(name))
        await set_state(ports, requests.plan_id(name), ACTIVE)
    request = launch_plan_pb2.ActiveLaunchPlanListRequest(project=requests.PROJECT, domain=requests.DOMAIN, limit=5)
    page = await launch_plans.list_active(ports, request)
    assert [plan.id.name for plan in page.launch_plans] == ["a", "b"]
    assert page.token == ""
    request.limit = 0
    with pytest.raises(InvalidRequest, match="limit"):
        await launch_plans.list_active(ports, request)


async def test_plans_are_found_by_their_workflow_and_schedule(ports: AdminPorts) -> None:
    await workflows.create(ports, requests.workflow("other"))
    await launch_plans.create(ports, requests.plan("daily", workflow="other", fixed_a=1, cron="@daily"))
    expected = {
        "eq(workflow.name,other)": ["other", "daily"],
        "eq(workflow.name,other)+eq(schedule_type,CRON)": ["daily"],
        "eq(schedule_type,NONE)": ["chain", "other"],
        "eq(workflow.name,chain)+eq(workflow.version,v2)": [],
        "eq(state,0)+contains(name,h)": ["chain", "other"],
    }
    for filters, names in expected.items():
        page = await launch_plans.list_plans(ports, requests.versions(filters=filters))
        assert [plan.id.name for plan in page.launch_plans] == names, filters
