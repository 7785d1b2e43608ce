"""Which slots are due, and what becomes of them: each is decided once, whatever the steps in which time goes on."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sailplane_core.firing import Clockwork, Decision, FireState, Limits, Pause, Plan, decide, due_at, jitter_of
from sailplane_core.ids import slot_execution_name
from sailplane_protos.admin import schedule_pb2
from sailplane_protos.scheduler import policies_pb2

START = datetime(2030, 3, 30, 20, tzinfo=UTC)
PLAN = Plan("p", "d", "nightly", "v1")
LIMITS = Limits(timedelta(minutes=1), 7, 1000)
MINUTE = timedelta(minutes=1)


def clockwork(
    text: str = "*/10 * * * *",
    policy: "policies_pb2.CatchUpPolicy.ValueType" = policies_pb2.CATCH_UP_ALL,
    jitter_s: int = 0,
    pause: Pause | None = None,
) -> Clockwork:
    message = schedule_pb2.Schedule(
        cron_schedule=schedule_pb2.CronSchedule(schedule=text),
        time_zone="Europe/Berlin",
        catch_up=policies_pb2.CatchUp(policy=policy),
    )
    message.jitter.seconds = jitter_s
    return Clockwork.of(PLAN, message, START, START, pause)


def go(works: Clockwork, until: datetime, steps: list[int]) -> list[tuple[datetime, FireState]]:
    """Decide at moments that lie so many seconds apart, and at last until nothing is left."""
    found: list[tuple[datetime, FireState]] = []
    now = START
    for step in [*steps, None]:
        now = until if step is None else min(until, now + timedelta(seconds=step))
        while True:
            decision = decide(works, now, LIMITS)
            assert len(decision.noted) <= LIMITS.slots_max
            found += [(one.slot, one.state) for one in decision.noted]
            works = with_decided(works, decision)
            if decision.due_at is None or decision.due_at > now:
                break
    return found


def with_decided(works: Clockwork, decision: Decision) -> Clockwork:
    assert decision.decided_until >= works.decided_until
    return Clockwork(works.schedule, works.jitter, works.catch_up, decision.decided_until, works.pause)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=12), st.sampled_from([0, 45, 7000]))
def test_every_slot_is_decided_once_in_whatever_steps(steps: list[int], jitter_s: int) -> None:
    works = clockwork(jitter_s=jitter_s)
    until = START + timedelta(hours=12)
    slots = [slot for slot, _ in go(works, until, steps)]
    assert slots == [slot for slot, _ in go(works, until, [])]
    assert slots == sorted(set(slots))
    assert len(slots) >= 60
    assert all(slot + works.jitter <= until for slot in slots)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=12))
def test_of_what_was_missed_one_alone_is_made_up_for(steps: list[int]) -> None:
    """However many steps it takes to decide it, as long as nobody was there in between."""
    latest = clockwork(policy=policies_pb2.CATCH_UP_LATEST)
    until = START + timedelta(hours=12, minutes=5)
    at_once = [slot for slot, state in go(latest, until, []) if state is FireState.DUE]
    assert at_once == [until - timedelta(minutes=5)]
    nothing = clockwork(policy=policies_pb2.CATCH_UP_NONE)
    states = dict(go(nothing, until, steps))
    on_time = {slot for slot, state in states.items() if state is FireState.DUE}
    moments = [START]
    for step in steps:
        moments.append(min(until, moments[-1] + timedelta(seconds=step)))
    moments.append(until)
    seen = {slot for slot in states if any(slot <= moment <= slot + MINUTE for moment in moments)}
    assert on_time == seen


def test_what_was_due_before_a_pause_is_judged_without_it() -> None:
    works = clockwork("0 * * * *", pause=Pause(START + timedelta(minutes=90), "a reason"))
    states = [state for _, state in go(works, START + timedelta(hours=3), [])]
    assert states == [FireState.DUE, FireState.PAUSED, FireState.PAUSED]


def test_of_very_many_the_last_are_looked_at() -> None:
    limits = Limits(MINUTE, 100, 100)
    decision = decide(clockwork("* * * * *"), START + timedelta(days=365), limits)
    assert decision.forgotten is not None
    first = decision.noted[0].slot
    assert START + timedelta(days=364) < first
    assert due_at(clockwork("0 0 1 1 *"), START) == datetime(2030, 12, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize("longest_s", [0, 1, 3600])
def test_jitter_is_the_same_for_ever_and_within_its_limit(longest_s: int) -> None:
    longest = timedelta(seconds=longest_s)
    found = {jitter_of(Plan("p", "d", f"plan{index}", "v1"), longest) for index in range(200)}
    assert all(timedelta() <= one <= longest for one in found)
    assert len(found) > 150 or longest_s < 3600
    assert jitter_of(PLAN, longest) == jitter_of(Plan("p", "d", "nightly", "v2"), longest)


def test_names_of_executions_differ_by_plan_and_slot_alone() -> None:
    names = {
        slot_execution_name(project, domain, name, START + timedelta(minutes=minute))
        for project in ("p", "q")
        for domain in ("d", "e")
        for name in ("a", "b")
        for minute in range(10)
    }
    assert len(names) == 80
    assert all(name[0] == "f" and name.isalnum() and name == name.lower() and len(name) <= 20 for name in names)
