"""Which slots of a schedule are due by now, and what becomes of them. Decided once for each, and then written down.

A slot has one execution at most: its name follows from the launch plan's name and the slot alone, so whoever starts it
again, after a crash or beside another scheduler, is told that it exists.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import islice

from sailplane_protos.admin import launch_plan_pb2, schedule_pb2
from sailplane_protos.scheduler import policies_pb2, service_pb2

from .cron import Every
from .durations import timedelta_of
from .schedule import Schedule, fire_times, next_fire, schedule_of


class FireState(IntEnum):
    """How far a slot has come; the numbers are the schema's."""

    DUE = service_pb2.DUE
    FIRED = service_pb2.FIRED
    MISSED = service_pb2.MISSED
    OVERLAPPED = service_pb2.OVERLAPPED
    PAUSED = service_pb2.PAUSED
    FAILED = service_pb2.FAILED


@dataclass(frozen=True, slots=True)
class Plan:
    """The launch plan whose version is active: `project`, `domain` and `name` are what a slot belongs to."""

    project: str
    domain: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Since when a schedule is paused, and why."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Clockwork:
    """A schedule that runs. Everything up to `decided_until` is decided."""

    schedule: Schedule
    jitter: timedelta
    catch_up: policies_pb2.CatchUp
    decided_until: datetime
    pause: Pause | None = None

    @classmethod
    def of(
        cls,
        plan: Plan,
        message: schedule_pb2.Schedule,
        activated_at: datetime,
        decided_until: datetime,
        pause: Pause | None = None,
    ) -> "Clockwork":
        """From what is stored. Raises ValueError for a schedule that nothing can be made of."""
        jitter = jitter_of(plan, timedelta_of(message.jitter))
        return cls(schedule_of(message, activated_at), jitter, message.catch_up, decided_until, pause)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many slots are looked at, and from when on one was missed."""

    missed_after: timedelta
    """A slot that is decided later than so long after it was due was missed."""
    slots_max: int
    """Slots that are decided at once."""
    catch_up_slots_max: int
    """If there are many more that were missed, only the last of them are looked at, so many or up to twice as many."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A slot, and what becomes of it: DUE, MISSED or PAUSED."""

    slot: datetime
    state: FireState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be written down. `due_at` is when to decide again, None for never.

    `forgotten` is set when slots before it were so many that they are passed over without a word on each.
    """

    noted: tuple[Noted, ...]
    decided_until: datetime
    due_at: datetime | None
    forgotten: datetime | None = None


def jitter_of(plan: Plan, longest: timedelta) -> timedelta:
    """How much later than its slots a launch plan's executions start: whole milliseconds, the same for ever."""
    longest_ms = longest // timedelta(milliseconds=1)
    if longest_ms <= 0:
        return timedelta()
    name = f"{plan.project}\0{plan.domain}\0{plan.name}"
    chance = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return timedelta(milliseconds=chance % (longest_ms + 1))


def decide(clockwork: Clockwork, now: datetime, limits: Limits) -> Decision:
    """What becomes of the slots that are due at `now` and were not decided before, the oldest first."""
    until = now - clockwork.jitter
    begin = _last_slots_begin(clockwork, until, limits.catch_up_slots_max)
    found = tuple(islice(fire_times(clockwork.schedule, begin, until), limits.slots_max + 1))
    slots, rest = found[: limits.slots_max], found[limits.slots_max :]
    decided_until = slots[-1] if rest else max(until, clockwork.decided_until)
    missed_until = until - limits.missed_after
    # Whether the last one here is the last that was missed is seen from the one after it.
    missed = [slot for slot in slots if slot < missed_until]
    latest = missed[-1] if missed and not (rest and rest[0] < missed_until) else None
    return Decision(
        noted=tuple(_judge(clockwork, slot, latest, now, is_missed=slot < missed_until) for slot in slots),
        decided_until=decided_until,
        due_at=now if rest else due_at(clockwork, decided_until),
        forgotten=begin if begin > clockwork.decided_until else None,
    )


def due_at(clockwork: Clockwork, decided_until: datetime) -> datetime | None:
    """When the first slot after `decided_until` is due."""
    slot = next_fire(clockwork.schedule, decided_until)
    return None if slot is None else slot + clockwork.jitter


def concurrency_policy(overlap: "policies_pb2.OverlapPolicy.ValueType") -> launch_plan_pb2.ConcurrencyPolicy | None:
    """What admin is asked to hold an execution to; None for nothing."""
    behaviors = {
        policies_pb2.OVERLAP_SKIP: launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP,
        policies_pb2.OVERLAP_QUEUE: launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_QUEUE,
        policies_pb2.OVERLAP_CANCEL_OLDEST: launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_CANCEL_OLDEST,
    }
    behavior = behaviors.get(overlap)
    return None if behavior is None else launch_plan_pb2.ConcurrencyPolicy(max=1, behavior=behavior)


def _judge(clockwork: Clockwork, slot: datetime, latest: datetime | None, now: datetime, *, is_missed: bool) -> Noted:
    """`latest` is the last slot of all that were missed."""
    if clockwork.pause is not None and slot > clockwork.pause.since:
        return Noted(slot, FireState.PAUSED, clockwork.pause.reason)
    if is_missed and not _is_made_up_for(clockwork.catch_up, slot, latest, now):
        return Noted(slot, FireState.MISSED, "no scheduler ran when it was due, and it is not made up for")
    return Noted(slot, FireState.DUE)


def _is_made_up_for(catch_up: policies_pb2.CatchUp, slot: datetime, latest: datetime | None, now: datetime) -> bool:
    match catch_up.policy:
        case policies_pb2.CATCH_UP_NONE:
            return False
        case policies_pb2.CATCH_UP_LATEST:
            return slot == latest
        case policies_pb2.CATCH_UP_WINDOW:
            return now - slot <= timedelta_of(catch_up.window)
        case _:
            return True


def _last_slots_begin(clockwork: Clockwork, until: datetime, slots_max: int) -> datetime:
    """The moment after which there are no more than so many undecided slots, or few more than that."""
    begin = clockwork.decided_until
    rule = clockwork.schedule.rule
    shortest = rule.interval if isinstance(rule, Every) else timedelta(minutes=1)
    if until - begin <= slots_max * shortest:
        return begin
    stretch = slots_max * shortest
    while until - stretch > begin:
        found = sum(1 for _ in islice(fire_times(clockwork.schedule, until - stretch, until), slots_max))
        if found >= slots_max:
            return until - stretch
        stretch *= 2
    return begin
