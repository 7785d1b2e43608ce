"""A scheduler on real tables, with a clock that tests turn, and an admin that only remembers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sailplane_scheduler
from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_core.errors import AlreadyExists, NotFound, Refused, SailplaneError
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import execution_pb2, launch_plan_pb2, schedule_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.scheduler import policies_pb2, queue_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.sql import SqlStore
from sailplane_scheduler import schedules, tables
from sailplane_scheduler.ports import SchedulerPorts, SchedulerSettings
from sailplane_scheduler.service import Scheduler

WEEK_S = 7 * 24 * 3600.0
MIGRATIONS = Path(str(sailplane_scheduler.__file__)).parent / "migrations"


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def timestamp(text: str) -> Timestamp:
    """The same as a message."""
    message = Timestamp()
    message.FromDatetime(at(text))
    return message


def plan(name: str = "nightly", version: str = "v1", project: str = "p") -> identifier_pb2.Identifier:
    """The id of a launch plan."""
    return identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN, project=project, domain="development", name=name, version=version
    )


def cron(text: str, **more: Any) -> schedule_pb2.Schedule:
    """A cron schedule."""
    return schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule=text), **more)


DAILY = cron("0 3 * * *")


def change(
    id: identifier_pb2.Identifier | None = None,
    schedule: schedule_pb2.Schedule = DAILY,
    *,
    active: bool = True,
    changed_at: str = "2030-01-01 00:00",
    activated_at: str = "",
    pause: str = "",
) -> queue_pb2.ScheduleChange:
    """What admin says of a launch plan."""
    message = queue_pb2.ScheduleChange(
        launch_plan_id=id or plan(), schedule=schedule, active=active, changed_at=timestamp(changed_at)
    )
    if active:
        message.activated_at.CopyFrom(timestamp(activated_at or changed_at))
    if pause:
        message.pause.CopyFrom(policies_pb2.SchedulePause(reason=pause, paused_at=timestamp(changed_at)))
    return message


@dataclass
class FakeAdmin:
    """Remembers what it was asked to start; `refuse` says what it raises instead, or after it."""

    executions: dict[str, execution_pb2.ExecutionCreateRequest] = field(default_factory=dict[str, Any])
    asked: list[execution_pb2.ExecutionCreateRequest] = field(default_factory=list[Any])
    ended: dict[str, ExecutionPhase] = field(default_factory=dict[str, ExecutionPhase])
    updates: list[launch_plan_pb2.LaunchPlanUpdateRequest] = field(default_factory=list[Any])
    plans: list[launch_plan_pb2.LaunchPlan] = field(default_factory=list[Any])
    last_slots: dict[str, datetime] = field(default_factory=dict[str, datetime])
    refuse: Callable[[execution_pb2.ExecutionCreateRequest], SailplaneError | None] = lambda request: None
    is_forgetful: bool = False
    """The answer gets lost after the execution was started."""
    delay: Callable[[], Awaitable[None]] | None = None

    async def create_execution(self, request: execution_pb2.ExecutionCreateRequest) -> ExecutionId:
        """Remember it."""
        self.asked.append(request)
        if self.delay is not None:
            await self.delay()
        error = self.refuse(request)
        if error is not None and not self.is_forgetful:
            raise error
        if request.name in self.executions:
            raise AlreadyExists("execution", request.name)
        self.executions[request.name] = request
        if error is not None:
            raise error
        return ExecutionId(request.project, request.domain, request.name)

    async def phase(self, id: ExecutionId) -> ExecutionPhase | None:
        """Running, unless a test has ended it."""
        if id.name not in self.executions:
            return None
        return self.ended.get(id.name, ExecutionPhase.RUNNING)

    async def terminate_execution(self, id: ExecutionId, cause: str) -> None:
        """At once."""
        if id.name in self.ended:
            raise Refused("it has ended")
        self.ended[id.name] = ExecutionPhase.ABORTED

    async def active_launch_plan(self, project: str, domain: str, name: str) -> launch_plan_pb2.LaunchPlan:
        """Of those it was given."""
        for one in self.plans:
            if (one.id.project, one.id.domain, one.id.name) == (project, domain, name):
                return one
        raise NotFound("ACTIVE LAUNCH_PLAN", name)

    async def update_launch_plan(self, request: launch_plan_pb2.LaunchPlanUpdateRequest) -> None:
        """Remember it."""
        self.updates.append(request)

    async def scheduled_launch_plans(self) -> AsyncIterator[launch_plan_pb2.LaunchPlan]:
        """All that it was given."""
        for one in self.plans:
            yield one

    async def last_slot(self, project: str, domain: str, name: str) -> datetime | None:
        """As it was told."""
        return self.last_slots.get(name)

    def slots(self, name: str = "nightly") -> list[str]:
        """For which slots of a launch plan there is an execution, in the order in which they were started."""
        return [
            f"{one.spec.metadata.scheduled_at.ToDatetime():%Y-%m-%d %H:%M}"
            for one in self.executions.values()
            if one.spec.launch_plan.name == name
        ]


@pytest.fixture
def admin() -> FakeAdmin:
    """Knows nothing yet."""
    return FakeAdmin()


@pytest.fixture
def clock() -> ManualClock:
    """Stands at the beginning of 2030."""
    return ManualClock()


@pytest.fixture
async def ports(tmp_path: Path, clock: ManualClock, admin: FakeAdmin) -> AsyncIterator[SchedulerPorts]:
    """Of one scheduler."""
    store = await SqlStore.open(f"sqlite:///{tmp_path}/scheduler.db", tables.metadata, migrations=MIGRATIONS)
    queue = MemoryQueue(clock, deliveries_max=3)
    yield SchedulerPorts(store, queue, clock, admin, "first")
    await queue.close()
    await store.close()


@dataclass
class World:
    """Schedulers of one store and a clock."""

    ports: SchedulerPorts
    clock: ManualClock
    running: dict[str, Scheduler] = field(default_factory=dict[str, Scheduler])

    async def start(self, holder: str = "first") -> Scheduler:
        """Start one."""
        scheduler = Scheduler(replace(self.ports, holder=holder))
        self.running[holder] = scheduler
        await scheduler.start()
        await self.settle()
        return scheduler

    async def stop(self, holder: str = "first") -> None:
        """Stop it as a signal does."""
        await self.running.pop(holder).stop()

    async def kill(self, holder: str = "first") -> None:
        """Stop it without a chance to give up its lease."""
        scheduler = self.running.pop(holder)
        scheduler._lease = None
        await scheduler.stop()

    async def learn(self, *changes: queue_pb2.ScheduleChange) -> None:
        """Tell them."""
        await schedules.learn(self.ports, changes)
        for one in self.running.values():
            one._learned.set()
        await self.settle()

    async def wake(self) -> None:
        """Have them look after their backfills."""
        for one in self.running.values():
            one._backfills_changed.set()
        await self.settle()

    async def go(self, until: str, step_s: float = 0.0) -> None:
        """Turn the clock to a time, from one deadline to the next, or in steps, or at once if `step_s` is negative."""
        target = at(until)
        while self.clock.now() < target:
            deadline = self.clock.next_deadline or target
            if step_s < 0:
                deadline = target
            elif step_s:
                deadline = datetime.fromtimestamp(self.clock.now().timestamp() + step_s, UTC)
            self.clock.advance_to(min(target, max(deadline, self.clock.now())))
            await self.settle()

    async def settle(self) -> None:
        """Until nobody has anything to do before the clock moves on."""
        quiet = 0
        while quiet < 2:
            before = self.clock.sleepers, self.clock.next_deadline, len(self._admin.asked)
            await asyncio.sleep(0.001)
            quiet = (
                quiet + 1 if before == (self.clock.sleepers, self.clock.next_deadline, len(self._admin.asked)) else 0
            )

    @property
    def _admin(self) -> FakeAdmin:
        assert isinstance(self.ports.admin, FakeAdmin)
        return self.ports.admin


@pytest.fixture
async def world(ports: SchedulerPorts, clock: ManualClock) -> AsyncIterator[World]:
    """No scheduler runs yet. Those that will do nothing between two slots, so that a year is over soon."""
    settings = SchedulerSettings(look_every_s=WEEK_S, lease_ttl_s=3 * WEEK_S)
    made = World(replace(ports, settings=settings), clock)
    yield made
    for one in list(made.running):
        await made.stop(one)
