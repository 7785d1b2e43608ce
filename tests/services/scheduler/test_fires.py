"""Every slot is fired once: over restarts, beside other schedulers, after a time without any, as its policies say."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sailplane_core.errors import (
    ConcurrencyLimitReached,
    InvalidRequest,
    LimitReached,
    NotFound,
    SailplaneError,
    Unavailable,
)
from sailplane_protos.admin import execution_pb2, launch_plan_pb2, schedule_pb2
from sailplane_protos.scheduler import policies_pb2, service_pb2
from sailplane_scheduler.handlers import SchedulerHandlers
from sailplane_scheduler.ports import SchedulerSettings
from services.scheduler.conftest import FakeAdmin, World, at, change, cron, plan, timestamp


@pytest.fixture
def brisk(world: World) -> World:
    """Schedulers as they are by default, which look for each other often."""
    world.ports = replace(world.ports, settings=SchedulerSettings())
    return world


def handlers(world: World) -> SchedulerHandlers:
    return SchedulerHandlers(world.ports)


async def fires(world: World, name: str = "nightly") -> list[tuple[str, str]]:
    """Slot and state, the first slot first."""
    answer = await handlers(world).ListFires(service_pb2.ListFiresRequest(launch_plan_id=plan(name), limit=1000), None)
    return [
        (f"{one.slot.ToDatetime():%d %H:%M}", service_pb2.FireState.Name(one.state)) for one in reversed(answer.fires)
    ]


async def test_a_slot_gives_one_execution_of_the_active_version(world: World, admin: FakeAdmin) -> None:
    await world.start()
    await world.learn(change(schedule=cron("0 3 * * *", kickoff_time_input_arg="when")))
    await world.go("2030-01-02 04:00", step_s=1800)
    assert admin.slots() == ["2030-01-01 03:00", "2030-01-02 03:00"]
    first = next(iter(admin.executions.values()))
    assert first.spec.launch_plan == plan()
    assert first.spec.metadata.mode == execution_pb2.ExecutionMetadata.SCHEDULED
    assert first.inputs.literals["when"].scalar.primitive.datetime == timestamp("2030-01-01 03:00")
    assert await fires(world) == [("01 03:00", "FIRED"), ("02 03:00", "FIRED")]
    found = await handlers(world).GetSchedule(service_pb2.GetScheduleRequest(launch_plan_id=plan()), None)
    assert found.last_fired_at == timestamp("2030-01-02 03:00")


async def test_what_is_learned_takes_effect_at_once(world: World, admin: FakeAdmin) -> None:
    await world.start()
    await world.learn(change(schedule=cron("* * * * *")))
    await world.go("2030-01-01 00:02")
    await world.learn(change(active=False, changed_at="2030-01-01 00:02"))
    await world.go("2030-01-01 00:05")
    assert admin.slots() == ["2030-01-01 00:01", "2030-01-01 00:02"]
    await world.learn(change(schedule=cron("* * * * *"), changed_at="2030-01-01 00:05"))
    await world.go("2030-01-01 00:06")
    assert admin.slots()[2:] == ["2030-01-01 00:06"]


async def test_another_version_about_a_slot_fires_it_once(world: World, admin: FakeAdmin) -> None:
    await world.start()
    await world.learn(change(schedule=cron("* * * * *")))
    await world.go("2030-01-01 00:01")
    late = "2030-01-01 00:00:59"  # by admin's clock, which may differ
    await world.learn(
        change(active=False, changed_at=late), change(plan(version="v2"), cron("* * * * *"), changed_at=late)
    )
    await world.go("2030-01-01 00:02")
    assert admin.slots() == ["2030-01-01 00:01", "2030-01-01 00:02"]
    assert [one.spec.launch_plan.version for one in admin.executions.values()] == ["v1", "v2"]


async def test_fixed_rates_count_from_the_activation_and_fill_the_kickoff_argument(
    world: World, admin: FakeAdmin
) -> None:
    rate = schedule_pb2.Schedule(rate=schedule_pb2.FixedRate(value=45), kickoff_time_input_arg="when")
    await world.start()
    await world.learn(change(schedule=rate, activated_at="2030-01-01 00:00:20"))
    await world.go("2030-01-01 02:00", step_s=600)
    assert admin.slots() == ["2030-01-01 00:45", "2030-01-01 01:30"]
    assert all("when" in one.inputs.literals for one in admin.executions.values())


async def test_jitter_delays_the_start_and_not_the_slot(world: World, admin: FakeAdmin) -> None:
    names = [f"plan{index}" for index in range(20)]
    schedule = cron("0 3 * * *")
    schedule.jitter.seconds = 3600
    await world.start()
    await world.learn(*(change(plan(name), schedule) for name in names))
    await world.go("2030-01-01 03:00")
    assert len(admin.executions) < 3
    await world.go("2030-01-01 03:30")
    assert 4 <= len(admin.executions) <= 16
    await world.go("2030-01-01 04:01")
    assert {name: admin.slots(name) for name in names} == {name: ["2030-01-01 03:00"] for name in names}


ALL = ["01:00", "02:00", "03:00", "04:00", "05:00"]


@pytest.mark.parametrize(
    ("catch_up", "made_up_for"),
    [
        (policies_pb2.CatchUp(), ALL),
        (policies_pb2.CatchUp(policy=policies_pb2.CATCH_UP_ALL), ALL),
        (policies_pb2.CatchUp(policy=policies_pb2.CATCH_UP_NONE), []),
        (policies_pb2.CatchUp(policy=policies_pb2.CATCH_UP_LATEST), ["05:00"]),
        (policies_pb2.CatchUp(policy=policies_pb2.CATCH_UP_WINDOW, window={"seconds": 8000}), ["04:00", "05:00"]),  # type: ignore[arg-type]
    ],
)
async def test_what_was_missed_is_made_up_for_as_the_schedule_says(
    world: World, admin: FakeAdmin, catch_up: policies_pb2.CatchUp, made_up_for: list[str]
) -> None:
    await world.learn(change(schedule=cron("0 * * * *", catch_up=catch_up)))
    world.clock.advance_to(at("2030-01-01 05:30"))
    await world.start()
    assert sorted(admin.slots()) == [f"2030-01-01 {one}" for one in made_up_for]
    assert await fires(world) == [(f"01 {one}", "FIRED" if one in made_up_for else "MISSED") for one in ALL]
    await world.go("2030-01-01 06:00")
    assert admin.slots()[-1] == "2030-01-01 06:00"


async def test_no_more_than_the_last_so_many_are_made_up_for(world: World, admin: FakeAdmin) -> None:
    world.ports = replace(world.ports, settings=replace(world.ports.settings, catch_up_slots_max=250))
    await world.learn(change(schedule=cron("* * * * *")))
    world.clock.advance_to(at("2032-01-01 00:00:30"))
    await world.start()
    await world.go("2032-01-01 00:00:40", step_s=1)
    slots = sorted(admin.slots())
    assert 250 <= len(slots) <= 500
    assert slots[-1] == "2032-01-01 00:00"
    assert len(await fires(world)) == len(slots)


async def test_bounds(world: World, admin: FakeAdmin) -> None:
    bounded = cron("0 * * * *", start_at=timestamp("2030-01-01 02:00"), end_at=timestamp("2030-01-01 04:00"))
    await world.start()
    await world.learn(change(schedule=bounded))
    await world.go("2030-01-01 06:00", step_s=600)
    assert admin.slots() == ["2030-01-01 02:00", "2030-01-01 03:00"]


async def test_while_it_is_paused_slots_are_left_out_for_good(world: World, admin: FakeAdmin) -> None:
    hourly = cron("0 * * * *")
    await world.start()
    await world.learn(change(schedule=hourly))
    await world.go("2030-01-01 01:10", step_s=600)
    paused = {"schedule": hourly, "activated_at": "2030-01-01 00:00"}
    await world.learn(change(**paused, changed_at="2030-01-01 01:10", pause="they migrate"))
    await world.go("2030-01-01 03:10", step_s=600)
    found = await handlers(world).GetSchedule(service_pb2.GetScheduleRequest(launch_plan_id=plan()), None)
    assert (found.pause.reason, found.pause.paused_at) == ("they migrate", timestamp("2030-01-01 01:10"))
    await world.learn(change(**paused, changed_at="2030-01-01 03:10"))
    await world.go("2030-01-01 04:10", step_s=600)
    assert admin.slots() == ["2030-01-01 01:00", "2030-01-01 04:00"]
    assert await fires(world) == [
        ("01 01:00", "FIRED"),
        ("01 02:00", "PAUSED"),
        ("01 03:00", "PAUSED"),
        ("01 04:00", "FIRED"),
    ]


async def test_nothing_is_made_up_for_that_was_paused_while_nobody_ran(world: World, admin: FakeAdmin) -> None:
    hourly = cron("0 * * * *")
    await world.learn(change(schedule=hourly))
    await world.learn(
        change(schedule=hourly, activated_at="2030-01-01 00:00", changed_at="2030-01-01 01:30", pause="a reason")
    )
    world.clock.advance_to(at("2030-01-01 03:30"))
    await world.start()
    assert await fires(world) == [("01 01:00", "FIRED"), ("01 02:00", "PAUSED"), ("01 03:00", "PAUSED")]


@pytest.mark.parametrize(
    ("overlap", "behavior"),
    [
        (policies_pb2.OVERLAP_SKIP, launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP),
        (policies_pb2.OVERLAP_QUEUE, launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_QUEUE),
        (policies_pb2.OVERLAP_CANCEL_OLDEST, launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_CANCEL_OLDEST),
    ],
)
async def test_admin_is_told_how_executions_may_overlap(
    world: World,
    admin: FakeAdmin,
    overlap: "policies_pb2.OverlapPolicy.ValueType",
    behavior: "launch_plan_pb2.ConcurrencyLimitBehavior.ValueType",
) -> None:
    await world.start()
    await world.learn(change(schedule=cron("0 3 * * *", overlap_policy=overlap)))
    await world.go("2030-01-01 03:00")
    [request] = admin.executions.values()
    assert request.spec.concurrency_policy == launch_plan_pb2.ConcurrencyPolicy(max=1, behavior=behavior)


async def test_one_that_is_left_out_by_a_limit_is_not_tried_again(world: World, admin: FakeAdmin) -> None:
    admin.refuse = lambda request: ConcurrencyLimitReached(1, "p:development:nightly")
    await world.start()
    await world.learn(change())
    await world.go("2030-01-01 05:00", step_s=600)
    assert len(admin.asked) == 1
    assert await fires(world) == [("01 03:00", "OVERLAPPED")]


@pytest.mark.parametrize("error", [Unavailable("admin"), LimitReached("executions per minute")])
async def test_what_cannot_be_started_now_is_started_later(
    world: World, admin: FakeAdmin, error: SailplaneError
) -> None:
    admin.refuse = lambda request: error
    await world.start()
    await world.learn(change())
    await world.go("2030-01-01 03:00")
    await world.go("2030-01-01 03:05", step_s=1)
    assert 6 <= len(admin.asked) <= 12
    [fire] = (await handlers(world).ListFires(service_pb2.ListFiresRequest(launch_plan_id=plan()), None)).fires
    assert fire.state == service_pb2.DUE
    assert str(error) in fire.reason
    admin.refuse = lambda request: None
    await world.go("2030-01-01 03:08", step_s=1)
    assert admin.slots() == ["2030-01-01 03:00"]
    assert await fires(world) == [("01 03:00", "FIRED")]


async def test_what_cannot_be_started_for_a_day_has_failed(world: World, admin: FakeAdmin) -> None:
    admin.refuse = lambda request: Unavailable("admin")
    await world.start()
    await world.learn(change())
    await world.go("2030-01-01 03:00")
    await world.go("2030-01-02 02:59", step_s=300)
    assert await fires(world) == [("01 03:00", "DUE")]
    await world.go("2030-01-02 03:05", step_s=30)
    assert (await fires(world))[0] == ("01 03:00", "FAILED")


async def test_what_admin_does_not_take_has_failed(world: World, admin: FakeAdmin) -> None:
    admin.refuse = lambda request: InvalidRequest("expected_inputs x missing")
    await world.start()
    await world.learn(change())
    await world.go("2030-01-01 04:00", step_s=600)
    [fire] = (await handlers(world).ListFires(service_pb2.ListFiresRequest(launch_plan_id=plan()), None)).fires
    assert (fire.state, fire.reason, fire.tries) == (service_pb2.FAILED, "expected_inputs x missing", 1)
    assert not fire.HasField("execution_id")


async def test_an_answer_that_was_lost_does_no_harm(world: World, admin: FakeAdmin) -> None:
    admin.is_forgetful = True
    lost = iter([Unavailable("the network")])
    admin.refuse = lambda request: next(lost, None)
    await world.start()
    await world.learn(change())
    await world.go("2030-01-01 03:00")
    await world.go("2030-01-01 03:01", step_s=1)
    assert (len(admin.asked), admin.slots()) == (2, ["2030-01-01 03:00"])
    assert await fires(world) == [("01 03:00", "FIRED")]


SIX_ZONES = {
    "UTC": ["03-31 02:30", "10-27 02:30", "03-10 02:30", "11-03 02:30", "02-28 02:30"],
    "Europe/Berlin": ["03-31 01:00", "10-27 00:30", "03-10 01:30", "11-03 01:30", "02-28 01:30"],
    "America/New_York": ["03-31 06:30", "10-27 06:30", "03-10 07:00", "11-03 07:30", "02-28 07:30"],
    "Asia/Kolkata": ["03-30 21:00", "10-26 21:00", "03-09 21:00", "11-02 21:00", "02-27 21:00"],
    "Australia/Sydney": ["03-30 15:30", "10-26 15:30", "03-09 15:30", "11-02 15:30", "02-27 15:30"],
    "America/Sao_Paulo": ["03-31 05:30", "10-27 05:30", "03-10 05:30", "11-03 05:30", "02-28 05:30"],
}
"""When 2:30 is in 2030, in UTC, on the days on which clocks are set in Berlin and New York, and on 28 February."""


def set_back(world: World, minutes: int) -> None:
    """Nobody looks at the clock now: within a process it never goes back, but a machine may start with another time."""
    world.clock._now -= timedelta(minutes=minutes)


@pytest.mark.parametrize("is_killed", [False, True])
async def test_a_clock_that_was_set_back_between_two_runs_fires_nothing_twice(
    world: World, admin: FakeAdmin, is_killed: bool
) -> None:
    await world.start()
    await world.learn(change(schedule=cron("* * * * *")))
    await world.go("2030-01-01 00:15", step_s=10)
    await (world.kill() if is_killed else world.stop())
    set_back(world, minutes=10)
    await world.start()
    await world.go("2030-01-01 00:30", step_s=10)
    expected = [f"2030-01-01 00:{minute:02}" for minute in range(1, 31)]
    assert sorted(admin.slots()) == expected
    assert len(admin.asked) == len(expected)


async def test_a_year_in_six_zones_with_restarts_and_jumps_of_the_clock(world: World, admin: FakeAdmin) -> None:
    luck = random.Random(2030)
    await world.start()
    await world.learn(*(change(plan(zone), cron("30 2 * * *", time_zone=zone)) for zone in SIX_ZONES))
    while world.clock.now() < at("2031-01-01"):
        await world.go(f"{world.clock.now() + timedelta(hours=luck.randint(1, 200)):%Y-%m-%d %H:%M}")
        match luck.randrange(5):
            case 0:
                await world.stop()
                await world.start()
            case 1:  # two at once, and the first one dies
                await world.start("second")
                await world.kill("first")
                world.clock.advance(luck.randint(0, 7200))
                world.running["first"] = world.running.pop("second")
                world.ports = replace(world.ports, holder="first")
            case 2:
                world.clock.advance(600)
                await world.settle()
            case 3:
                await world.stop()
                set_back(world, minutes=10)
                await world.start()
            case _:
                pass
    for zone, days in SIX_ZONES.items():
        slots = sorted(one for one in admin.slots(zone) if one < "2031")
        assert len(slots) == len(set(slots)) == 365, zone
        assert {f"2030-{one}" for one in days} <= set(slots), zone


async def test_a_leap_day(world: World, admin: FakeAdmin) -> None:
    await world.start()
    await world.learn(change(schedule=cron("0 12 29 2 *")))
    await world.go("2037-01-01")
    assert admin.slots() == ["2032-02-29 12:00", "2036-02-29 12:00"]


async def test_of_two_schedulers_one_leads_and_the_other_takes_over(brisk: World, admin: FakeAdmin) -> None:
    await brisk.start("first")
    await brisk.start("second")
    await brisk.learn(change(schedule=cron("* * * * *")))
    await brisk.go("2030-01-01 00:03", step_s=1)
    assert len(admin.asked) == 3
    await brisk.kill("first")
    await brisk.go("2030-01-01 00:05", step_s=1)
    assert admin.slots() == [f"2030-01-01 00:0{minute}" for minute in range(1, 6)]
    await brisk.stop("second")


async def test_a_leader_that_stalled_does_no_harm(brisk: World, admin: FakeAdmin) -> None:
    """It wakes up with a slot that it was about to start, after another one has taken over."""
    go_on = asyncio.Event()
    stalled = [True]

    async def stall() -> None:
        if stalled and stalled.pop():
            await go_on.wait()

    admin.delay = stall
    first = await brisk.start("first")
    await brisk.learn(change(schedule=cron("* * * * *")))
    await brisk.go("2030-01-01 00:01")
    lease = first._lease
    assert lease is not None
    brisk.running["zombie"] = brisk.running.pop("first")
    await brisk.ports.store.write(lambda tx: tx.connection.exec_driver_sql("UPDATE leases SET expires_at_us = 0"))
    await brisk.start("second")
    await brisk.go("2030-01-01 00:02", step_s=1)
    go_on.set()
    await brisk.go("2030-01-01 00:04", step_s=1)
    assert admin.slots() == [f"2030-01-01 00:0{minute}" for minute in range(1, 5)]
    assert len(admin.executions) == 4


async def test_the_state_is_rebuilt_from_admin(world: World, admin: FakeAdmin) -> None:
    for name, pause in (("fired", ""), ("fresh", ""), ("held", "wait for it")):
        one = launch_plan_pb2.LaunchPlan(id=plan(name))
        one.spec.entity_metadata.schedule.CopyFrom(cron("0 * * * *"))
        one.closure.state = launch_plan_pb2.ACTIVE
        one.closure.updated_at.CopyFrom(timestamp("2029-06-01 00:00"))
        if pause:
            one.closure.schedule_pause.reason = pause
            one.closure.schedule_pause.paused_at.CopyFrom(timestamp("2029-07-01 00:00"))
        admin.plans.append(one)
    admin.last_slots["fired"] = at("2029-12-31 22:00")
    await world.start()
    await world.go("2030-01-01 01:00", step_s=600)
    assert sorted(admin.slots("fired")) == ["2029-12-31 23:00", "2030-01-01 00:00", "2030-01-01 01:00"]
    assert admin.slots("fresh") == ["2030-01-01 01:00"]
    assert admin.slots("held") == []
    assert await fires(world, "held") == [("01 01:00", "PAUSED")]


async def test_what_is_long_ago_is_forgotten_and_not_fired_again(world: World, admin: FakeAdmin) -> None:
    world.ports = replace(world.ports, settings=replace(world.ports.settings, fires_kept_s=3600.0))
    await world.start()
    await world.learn(change(schedule=cron("0 * * * *")))
    await world.go("2030-01-01 05:30", step_s=300)
    assert len(admin.asked) == 5
    assert 1 <= len(await fires(world)) <= 3


async def explained(world: World, time: str) -> tuple[str, str]:
    request = service_pb2.ExplainSlotRequest(launch_plan_id=plan(version=""), time=timestamp(time))
    answer = await handlers(world).ExplainSlot(request, None)
    return service_pb2.Verdict.Name(answer.verdict), answer.explanation


async def test_it_can_be_asked_why_it_did_or_did_not_fire(world: World, admin: FakeAdmin) -> None:
    hourly = cron("0 * * * *", end_at=timestamp("2030-01-01 10:00"))
    await world.start()
    await world.learn(change(schedule=hourly, changed_at="2030-01-01 00:30"))
    await world.go("2030-01-01 02:30", step_s=600)
    assert await explained(world, "2030-01-01 01:30") == ("NOT_A_SLOT", "the schedule is not due at this time")
    [name] = [
        one
        for one, asked in admin.executions.items()
        if asked.spec.metadata.scheduled_at == timestamp("2030-01-01 01:00")
    ]
    assert await explained(world, "2030-01-01 01:00") == ("WAS_DUE", f"it has the execution {name}")
    assert (await explained(world, "2030-01-01 00:00"))[0] == "WAS_INACTIVE"
    assert (await explained(world, "2030-01-01 03:00"))[0] == "WILL_BE_DUE"
    assert (await explained(world, "2030-01-01 12:00"))[0] == "OUT_OF_BOUNDS"
    paused: dict[str, Any] = {"schedule": hourly, "activated_at": "2030-01-01 00:30"}
    await world.learn(change(**paused, changed_at="2030-01-01 02:30", pause="a reason"))
    assert await explained(world, "2030-01-01 03:00") == ("WILL_NOT_FIRE", "the schedule is paused: a reason")
    await world.go("2030-01-01 03:00")
    assert await explained(world, "2030-01-01 03:00") == (
        "WAS_DUE",
        "it was left out, the schedule was paused: a reason",
    )
    request = service_pb2.ExplainSlotRequest(launch_plan_id=plan(), time=timestamp("2030-01-01 04:30"))
    assert (await handlers(world).ExplainSlot(request, None)).next_slot == timestamp("2030-01-01 05:00")


async def test_bad_questions(world: World) -> None:
    await world.learn(change())
    with pytest.raises(InvalidRequest, match="missing time"):
        await handlers(world).ExplainSlot(service_pb2.ExplainSlotRequest(launch_plan_id=plan()), None)
    request = service_pb2.ExplainSlotRequest(launch_plan_id=plan())
    request.time.seconds = 10**15
    with pytest.raises(InvalidRequest, match="invalid value for time"):
        await handlers(world).ExplainSlot(request, None)
    with pytest.raises(InvalidRequest, match="invalid value for token"):
        await handlers(world).ListFires(service_pb2.ListFiresRequest(launch_plan_id=plan(), token="WyJ4Il0="), None)
    with pytest.raises(NotFound):
        await handlers(world).ExplainSlot(
            service_pb2.ExplainSlotRequest(launch_plan_id=plan("no"), time=request.time), None
        )


async def test_one_can_be_started_by_hand_and_once(world: World, admin: FakeAdmin) -> None:
    await world.learn(change(schedule=cron("0 3 * * *", kickoff_time_input_arg="when")))
    world.clock.advance(90.5)
    request = service_pb2.TriggerScheduleRequest(launch_plan_id=plan(version=""), request_id="mine")
    answers = [await handlers(world).TriggerSchedule(request, None) for _ in range(2)]
    assert answers[0].execution_id.name == answers[1].execution_id.name
    [asked] = admin.executions.values()
    assert asked.inputs.literals["when"].scalar.primitive.datetime == timestamp("2030-01-01 00:01:30")
    another = await handlers(world).TriggerSchedule(service_pb2.TriggerScheduleRequest(launch_plan_id=plan()), None)
    assert another.execution_id.name in admin.executions
    assert len(admin.executions) == 2
    admin.refuse = lambda request: ConcurrencyLimitReached(1, "nightly")
    with pytest.raises(ConcurrencyLimitReached):
        await handlers(world).TriggerSchedule(service_pb2.TriggerScheduleRequest(launch_plan_id=plan()), None)


async def test_pausing_is_admins_to_do(world: World, admin: FakeAdmin) -> None:
    with pytest.raises(InvalidRequest, match="missing reason"):
        await handlers(world).PauseSchedule(service_pb2.PauseScheduleRequest(launch_plan_id=plan()), None)
    with pytest.raises(NotFound):
        await handlers(world).PauseSchedule(
            service_pb2.PauseScheduleRequest(launch_plan_id=plan(), reason="why not"), None
        )
    admin.plans.append(launch_plan_pb2.LaunchPlan(id=plan(version="v7")))
    await handlers(world).PauseSchedule(service_pb2.PauseScheduleRequest(launch_plan_id=plan(), reason="why not"), None)
    await handlers(world).ResumeSchedule(service_pb2.ResumeScheduleRequest(launch_plan_id=plan()), None)
    assert [(one.id.version, one.WhichOneof("change")) for one in admin.updates] == [
        ("v7", "pause_schedule"),
        ("v7", "resume_schedule"),
    ]
    assert admin.updates[0].pause_schedule.reason == "why not"
