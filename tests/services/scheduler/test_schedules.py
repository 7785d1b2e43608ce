"""The scheduler learns what admin says of schedules, whatever the order and however often, and tells of it."""

from datetime import UTC
from typing import Any

import pytest
from sailplane_core.errors import InvalidRequest, NotFound, Unavailable
from sailplane_core.ports import Message
from sailplane_protos.scheduler import queue_pb2, service_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.revisions import schema_differences
from sailplane_scheduler import intake, schedules, tables
from sailplane_scheduler.handlers import SchedulerHandlers
from sailplane_scheduler.ports import SchedulerPorts
from sailplane_scheduler.service import Scheduler
from services.scheduler.conftest import MIGRATIONS, at, change, cron, plan


def message(change: queue_pb2.ScheduleChange, id: str) -> Message:
    return Message(intake.TOPIC, change.launch_plan_id.name, id, change.SerializeToString())


async def known(ports: SchedulerPorts, **request: Any) -> list[str]:
    answer = await schedules.list_page(ports, service_pb2.ListSchedulesRequest(**request))
    return [f"{one.launch_plan_id.name}:{one.launch_plan_id.version}" for one in answer.schedules]


async def receive_and_take(ports: SchedulerPorts) -> None:
    await intake.take(ports, await ports.queue.receive(intake.TOPIC, 100))


async def test_a_schedule_is_told_as_it_was_learned(ports: SchedulerPorts) -> None:
    await schedules.learn(ports, [change(plan())])
    handlers = SchedulerHandlers(ports)
    found = await handlers.GetSchedule(service_pb2.GetScheduleRequest(launch_plan_id=plan()), None)
    assert found.launch_plan_id == plan()
    assert found.schedule.cron_schedule.schedule == "0 3 * * *"
    assert found.active
    assert found.updated_at.ToDatetime(tzinfo=UTC) == at("2030-01-01")
    assert not found.HasField("last_fired_at")
    listed = await handlers.ListSchedules(service_pb2.ListSchedulesRequest(), None)
    [alone] = listed.schedules
    assert [one.ToDatetime(UTC) for one in found.next_fires] == [at(f"2030-01-0{day} 03:00") for day in range(1, 6)]
    assert list(alone.next_fires) == found.next_fires[:1]


async def test_an_older_change_that_comes_late_changes_nothing(ports: SchedulerPorts) -> None:
    await schedules.learn(
        ports, [change(active=False, changed_at="2030-01-01 10:00"), change(changed_at="2030-01-01 05:00")]
    )
    found = await schedules.get(ports, service_pb2.GetScheduleRequest(launch_plan_id=plan()))
    assert not found.active


async def test_lists_by_project_domain_and_activity(ports: SchedulerPorts) -> None:
    await schedules.learn(
        ports, [change(plan("a")), change(plan("b"), active=False), change(plan("c", project="other"))]
    )
    assert await known(ports) == ["c:v1", "a:v1", "b:v1"]
    assert await known(ports, project="p") == ["a:v1", "b:v1"]
    assert await known(ports, project="p", active_only=True) == ["a:v1"]
    assert await known(ports, domain="staging") == []


async def test_pages_give_every_schedule_once(ports: SchedulerPorts) -> None:
    await schedules.learn(ports, [change(plan(f"n{index}", version)) for index in range(4) for version in ("1", "2")])
    seen: list[str] = []
    token = ""
    while True:
        request = service_pb2.ListSchedulesRequest(limit=3, token=token)
        answer = await schedules.list_page(ports, request)
        seen += [f"{one.launch_plan_id.name}:{one.launch_plan_id.version}" for one in answer.schedules]
        token = answer.token
        if not token:
            break
    assert seen == sorted(set(seen))
    assert len(seen) == 8


@pytest.mark.parametrize("token", ["x", "bm8=", "WzFd", "WyJhIiwiYiIsImMiXQ=="])
async def test_a_token_that_is_not_ours_is_refused(ports: SchedulerPorts, token: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid value for token"):
        await known(ports, token=token)


async def test_unknown_and_incomplete_ids(ports: SchedulerPorts) -> None:
    with pytest.raises(NotFound, match="p:development:nightly:v1"):
        await schedules.get(ports, service_pb2.GetScheduleRequest(launch_plan_id=plan()))
    with pytest.raises(InvalidRequest, match=r"missing launch_plan_id\.name"):
        await schedules.get(ports, service_pb2.GetScheduleRequest(launch_plan_id=plan(name="")))
    with pytest.raises(InvalidRequest, match="invalid value for next_fires: at most 1000"):
        await schedules.get(ports, service_pb2.GetScheduleRequest(launch_plan_id=plan(), next_fires=1001))


async def test_without_a_version_the_active_one_is_meant(ports: SchedulerPorts) -> None:
    await schedules.learn(ports, [change(plan(version="v1"), active=False, changed_at="2030-01-02 00:00")])
    await schedules.learn(ports, [change(plan(version="v2"), cron("5 5 * * *"))])
    found = await schedules.get(ports, service_pb2.GetScheduleRequest(launch_plan_id=plan(version=""), next_fires=2))
    assert found.launch_plan_id.version == "v2"
    assert [one.ToDatetime(UTC) for one in found.next_fires] == [at("2030-01-01 05:05"), at("2030-01-02 05:05")]


async def test_a_schedule_that_is_not_understood_here_is_never_due(ports: SchedulerPorts) -> None:
    await schedules.learn(ports, [change(schedule=cron("0 3 * * *", time_zone="Mars/Olympus")), change(plan("other"))])
    assert await known(ports) == ["nightly:v1", "other:v1"]
    found = await schedules.get(ports, service_pb2.GetScheduleRequest(launch_plan_id=plan()))
    assert not found.next_fires


async def test_the_service_takes_changes_from_the_queue_and_confirms_them(ports: SchedulerPorts) -> None:
    confirmed = ports.queue.confirmed(intake.TOPIC)
    service = Scheduler(ports)
    assert [name for name, _ in service.grpc_services()] == [
        "sailplane.scheduler.SchedulerService",
        "sailplane.scheduler.BackfillService",
    ]
    await service.start()
    await ports.queue.publish([message(change(plan("a")), "1"), message(change(plan("b")), "2")])
    done: set[str] = set()
    while len(done) < 2:
        done.update(await anext(confirmed))
    await service.stop()
    assert await known(ports) == ["a:v1", "b:v1"]


async def test_a_message_that_says_nothing_is_parked_alone(ports: SchedulerPorts) -> None:
    await ports.queue.publish([Message(intake.TOPIC, "k", "bad", b"\xff\xff"), message(change(plan("a")), "good")])
    for _ in range(3):
        await receive_and_take(ports)
    assert await known(ports) == ["a:v1"]
    (letter,) = await ports.queue.dead_letters(intake.TOPIC)
    assert letter.message.id == "bad"
    assert "ScheduleChange" in letter.reason


async def test_what_cannot_be_stored_comes_again(ports: SchedulerPorts, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> None:
        raise Unavailable("the store")

    await ports.queue.publish([message(change(plan("a")), "1")])
    with monkeypatch.context() as broken:
        broken.setattr(schedules, "learn", away)
        await receive_and_take(ports)
    assert await known(ports) == []
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(ports.settings.retry_delay_s)
    await receive_and_take(ports)
    assert await known(ports) == ["a:v1"]


def test_the_revisions_give_the_tables() -> None:
    assert schema_differences(MIGRATIONS, tables.metadata) == []
