"""What the scheduler needs from the outside, in one value, and its settings."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import ExecutionPhase
from sailplane_core.ports import Clock, Queue
from sailplane_protos.admin import execution_pb2, launch_plan_pb2
from sailplane_runtime.store.port import Store


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """How the scheduler behaves. Durations are in seconds."""

    deliveries_at_once: int = 128
    """Changes that are stored with one commit."""

    retry_delay_s: float = 1.0
    """Pause before changes that could not be stored are taken again."""

    look_every_s: float = 0.5
    """Between two looks for what other schedulers have stored; a change that this one stores wakes it at once."""

    missed_after_s: float = 60.0
    """A slot that is looked at so long after it was due was missed, and is made up for as its schedule says."""

    catch_up_slots_max: int = 10_000
    """Missed slots of one schedule that are looked at, the latest: a week of every minute."""

    launches_at_once: int = 16
    """Executions that are being started at one time."""

    launch_retry_s: float = 1.0
    """First pause before admin is asked again for an execution that it could not start; doubles with each."""

    launch_retry_s_max: float = 60.0
    """The longest such pause."""

    launch_give_up_s: float = 24 * 3600.0
    """How long an execution is asked for. Then the slot has failed."""

    backfill_slots_max: int = 10_000
    """Slots of one backfill; more are refused."""

    backfill_look_every_s: float = 1.0
    """Between two looks whether the executions of a backfill have ended."""

    fires_kept_s: float = 31 * 24 * 3600.0
    """How long it is known what became of a slot, and of a backfill that has ended."""

    lease_ttl_s: float = 10.0
    """How long after its last sign of life another scheduler waits before it takes over."""

    def __post_init__(self) -> None:
        """Raises `InvalidRequest` for what nothing could run with."""
        for name in (
            "look_every_s",
            "launches_at_once",
            "deliveries_at_once",
            "catch_up_slots_max",
            "lease_ttl_s",
            "backfill_look_every_s",
        ):
            if getattr(self, name) <= 0:
                raise InvalidRequest.invalid(name, "must be greater than 0")


class AdminPort(Protocol):
    """Everything the scheduler asks of admin. All methods raise `Unavailable` when it is away."""

    async def create_execution(self, request: execution_pb2.ExecutionCreateRequest) -> ExecutionId:
        """Start an execution. Raises `AlreadyExists`, `InvalidRequest`, `NotFound`, `Refused` and `LimitReached`."""
        ...

    async def phase(self, id: ExecutionId) -> ExecutionPhase | None:
        """How far an execution has come; None if there is none of this name."""
        ...

    async def terminate_execution(self, id: ExecutionId, cause: str) -> None:
        """Ask for an execution's end. Raises `NotFound`, and `Refused` if it has ended."""
        ...

    async def active_launch_plan(self, project: str, domain: str, name: str) -> launch_plan_pb2.LaunchPlan:
        """The active version. Raises `NotFound`."""
        ...

    async def update_launch_plan(self, request: launch_plan_pb2.LaunchPlanUpdateRequest) -> None:
        """Change its state, or pause its schedule. Raises `NotFound`, `InvalidRequest` and `Refused`."""
        ...

    def scheduled_launch_plans(self) -> AsyncIterator[launch_plan_pb2.LaunchPlan]:
        """The active versions that have a schedule, of all projects."""
        ...

    async def last_slot(self, project: str, domain: str, name: str) -> datetime | None:
        """The slot of the execution that its schedule started last; None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class SchedulerPorts:
    """The outside, as the scheduler sees it. `holder` names this process among the schedulers of a store."""

    store: Store
    queue: Queue
    clock: Clock
    admin: AdminPort
    holder: str
    settings: SchedulerSettings = SchedulerSettings()
