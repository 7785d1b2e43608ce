"""Backfills: slots of a time that has passed are run, so many at a time, and each of them once."""

import asyncio
from typing import Any

import pytest
from sailplane_core.errors import ConcurrencyLimitReached, InvalidRequest, NotFound, Refused, Unavailable
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import execution_pb2
from sailplane_protos.scheduler import backfill_pb2 as pb
from sailplane_scheduler.handlers import BackfillHandlers
from services.scheduler.conftest import FakeAdmin, World, change, cron, plan, timestamp

HOURLY = cron("0 * * * *", kickoff_time_input_arg="when")


@pytest.fixture
async def filled(world: World, admin: FakeAdmin) -> World:
    """A scheduler that knows a plan which was never active in the time to be filled."""
    await world.start()
    await world.learn(change(schedule=HOURLY))
    return world


def request(start: str = "2029-06-01 00:00", end: str = "2029-06-01 05:00", **more: Any) -> pb.CreateBackfillRequest:
    return pb.CreateBackfillRequest(
        launch_plan_id=plan(version=""), start_at=timestamp(start), end_at=timestamp(end), **more
    )


def service(world: World) -> BackfillHandlers:
    return BackfillHandlers(world.ports, asyncio.Event())


async def begin(world: World, **more: Any) -> str:
    begun = await service(world).CreateBackfill(request(**more), None)
    await world.wake()
    return begun.id


def end(admin: FakeAdmin, phase: ExecutionPhase = ExecutionPhase.SUCCEEDED) -> None:
    """End whatever runs."""
    for name in admin.executions:
        admin.ended.setdefault(name, phase)


async def states(world: World, id: str) -> str:
    """Of each slot, a letter: Waiting, Running, Succeeded, Failed, Already there."""
    answer = await service(world).ListBackfillSlots(pb.ListBackfillSlotsRequest(id=id), None)
    return "".join(pb.BackfillSlotState.Name(one.state).removeprefix("SLOT_")[0] for one in answer.slots)


async def state(world: World, id: str) -> str:
    return pb.BackfillState.Name(
        (await service(world).GetBackfill(pb.GetBackfillRequest(id=id), None)).state
    ).removeprefix("BACKFILL_")


async def test_one_after_the_other(filled: World, admin: FakeAdmin) -> None:
    id = await begin(filled)
    seen: list[str] = []
    for _ in range(5):
        seen.append(await states(filled, id))
        end(admin)
        await filled.wake()
    assert seen == ["RWWWW", "SRWWW", "SSRWW", "SSSRW", "SSSSR"]
    assert (await states(filled, id), await state(filled, id)) == ("SSSSS", "SUCCEEDED")
    assert admin.slots() == [f"2029-06-01 0{hour}:00" for hour in range(5)]
    first = next(iter(admin.executions.values()))
    assert first.spec.metadata.mode == execution_pb2.ExecutionMetadata.MANUAL
    assert first.inputs.literals["when"].scalar.primitive.datetime == timestamp("2029-06-01 00:00")
    found = await service(filled).GetBackfill(pb.GetBackfillRequest(id=id), None)
    assert (found.succeeded, found.waiting, found.running, found.launch_plan_id.version) == (5, 0, 0, "v1")


async def test_several_at_a_time_and_the_latest_first(filled: World, admin: FakeAdmin) -> None:
    id = await begin(filled, parallelism=2, newest_first=True)
    assert await states(filled, id) == "WWWRR"
    end(admin)
    await filled.wake()
    assert await states(filled, id) == "WRRSS"


async def test_slots_that_had_an_execution_are_left_alone(filled: World, admin: FakeAdmin) -> None:
    await filled.go("2030-01-01 03:30")
    assert len(admin.executions) == 3
    id = await begin(filled, start="2029-12-31 22:00", end="2030-01-01 03:00", parallelism=9)
    assert await states(filled, id) == "RRRAA"
    end(admin)
    await filled.wake()
    assert await state(filled, id) == "SUCCEEDED"
    again = await begin(filled, start="2029-12-31 22:00", end="2030-01-01 03:00")
    for _ in range(5):
        await filled.wake()
    assert (await states(filled, again), await state(filled, again)) == ("AAAAA", "SUCCEEDED")
    assert len(admin.executions) == 6


async def test_it_fails_with_an_execution_unless_it_is_to_go_on(filled: World, admin: FakeAdmin) -> None:
    strict = await begin(filled)
    end(admin, ExecutionPhase.FAILED)
    await filled.wake()
    assert (await states(filled, strict), await state(filled, strict)) == ("FWWWW", "FAILED")
    lenient = await begin(filled, start="2029-07-01 00:00", end="2029-07-01 02:00", continue_on_failure=True)
    for _ in range(3):
        end(admin, ExecutionPhase.ABORTED)
        await filled.wake()
    assert (await states(filled, lenient), await state(filled, lenient)) == ("FF", "FAILED")


async def test_what_admin_refuses_has_failed(filled: World, admin: FakeAdmin) -> None:
    admin.refuse = lambda request: InvalidRequest("no such input")
    id = await begin(filled)
    [slot, *_] = (await service(filled).ListBackfillSlots(pb.ListBackfillSlotsRequest(id=id), None)).slots
    assert (slot.state, slot.reason, slot.HasField("execution_id")) == (pb.SLOT_FAILED, "no such input", False)


@pytest.mark.parametrize("error", [Unavailable("admin"), ConcurrencyLimitReached(1, "nightly")])
async def test_what_cannot_be_started_now_is_started_later(filled: World, admin: FakeAdmin, error: Any) -> None:
    admin.refuse = lambda request: error
    id = await begin(filled)
    await filled.wake()
    assert len(admin.executions) == 0
    [slot, *_] = (await service(filled).ListBackfillSlots(pb.ListBackfillSlotsRequest(id=id), None)).slots
    assert str(error) in slot.reason
    admin.refuse = lambda request: None
    await filled.wake()
    assert admin.slots() == ["2029-06-01 00:00"]


async def test_pause_resume_and_cancel(filled: World, admin: FakeAdmin) -> None:
    id = await begin(filled)
    assert (await service(filled).PauseBackfill(pb.PauseBackfillRequest(id=id), None)).state == pb.BACKFILL_PAUSED
    end(admin)
    await filled.wake()
    assert (await states(filled, id), await state(filled, id)) == ("SWWWW", "PAUSED")
    await service(filled).ResumeBackfill(pb.ResumeBackfillRequest(id=id), None)
    await filled.wake()
    assert await states(filled, id) == "SRWWW"
    await service(filled).CancelBackfill(pb.CancelBackfillRequest(id=id, terminate_running=True), None)
    await filled.wake()
    assert (await states(filled, id), await state(filled, id)) == ("SFWWW", "CANCELLED")
    await service(filled).CancelBackfill(pb.CancelBackfillRequest(id=id), None)
    with pytest.raises(Refused, match="has ended: CANCELLED"):
        await service(filled).ResumeBackfill(pb.ResumeBackfillRequest(id=id), None)


async def test_a_crash_anywhere_starts_nothing_twice_and_loses_nothing(filled: World, admin: FakeAdmin) -> None:
    id = await begin(filled, parallelism=2)
    await filled.kill()
    end(admin)
    await filled.start()
    for _ in range(6):
        await filled.wake()
        await filled.kill()
        end(admin)
        await filled.start()
    assert (await states(filled, id), await state(filled, id)) == ("SSSSS", "SUCCEEDED")
    assert len(admin.asked) == len(admin.executions) == 5


async def test_what_was_decided_and_not_asked_for_is_asked_for_later(filled: World, admin: FakeAdmin) -> None:
    id = await begin(filled)
    admin.executions.clear()  # as if the process had died between writing it down and asking
    await filled.wake()
    assert await states(filled, id) == "RWWWW"
    assert admin.slots() == ["2029-06-01 00:00"]


async def test_the_same_request_again_begins_nothing(filled: World) -> None:
    first = await service(filled).CreateBackfill(request(request_id="june"), None)
    again = await service(filled).CreateBackfill(request(request_id="june"), None)
    other = await service(filled).CreateBackfill(request(), None)
    assert first.id == again.id != other.id
    page = await service(filled).ListBackfills(pb.ListBackfillsRequest(project="p", limit=1), None)
    rest = await service(filled).ListBackfills(pb.ListBackfillsRequest(project="p", limit=1, token=page.token), None)
    assert {page.backfills[0].id, rest.backfills[0].id} == {first.id, other.id}
    assert rest.token == ""
    assert not (await service(filled).ListBackfills(pb.ListBackfillsRequest(name="other"), None)).backfills


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (pb.CreateBackfillRequest(launch_plan_id=plan(name="")), r"missing launch_plan_id\.name"),
        (pb.CreateBackfillRequest(launch_plan_id=plan()), "missing start_at"),
        (request(end="2029-06-01 00:00"), "invalid value for end_at: must be after start_at"),
        (request(start="2029-06-01 00:01", end="2029-06-01 00:59"), "there is no slot from start_at to end_at"),
        (request(end="2031-01-01 00:00"), "there are more than 10000 slots"),
        (request(parallelism=101), "invalid value for parallelism: at most 100"),
        (request(request_id="x" * 256), "invalid value for request_id"),
    ],
)
async def test_what_cannot_be_filled(filled: World, bad: pb.CreateBackfillRequest, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        await service(filled).CreateBackfill(bad, None)
    assert not (await service(filled).ListBackfills(pb.ListBackfillsRequest(), None)).backfills


async def test_what_there_is_not(filled: World) -> None:
    with pytest.raises(NotFound):
        await service(filled).CreateBackfill(
            pb.CreateBackfillRequest(
                launch_plan_id=plan("no"), start_at=timestamp("2029-06-01 00:00"), end_at=timestamp("2029-06-02 00:00")
            ),
            None,
        )
    for call in (
        service(filled).GetBackfill(pb.GetBackfillRequest(id="b"), None),
        service(filled).PauseBackfill(pb.PauseBackfillRequest(id="b"), None),
    ):
        with pytest.raises(NotFound, match="backfill"):
            await call
    with pytest.raises(InvalidRequest, match="invalid value for token"):
        await service(filled).ListBackfills(pb.ListBackfillsRequest(token="WzFd"), None)
