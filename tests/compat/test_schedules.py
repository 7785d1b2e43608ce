"""Launch plans that run by themselves: registered and activated by stock clients, and then left alone."""

import time
from datetime import UTC, datetime

import grpc
from compat import raw
from compat.plane import Plane
from compat.raw import DOMAIN, PROJECT, admin, identifier
from compat.runs import VERSION, Runs, phase, result
from flyteidl.admin import common_pb2, launch_plan_pb2
from flyteidl.core import identifier_pb2
from flytekit.remote.executions import FlyteWorkflowExecution
from sailplane_protos.scheduler import backfill_pb2, backfill_pb2_grpc

TWO_MINUTES_S = 130.0


def started(runs: Runs, plan: str) -> FlyteWorkflowExecution:
    """The first execution that a schedule starts."""
    deadline = time.monotonic() + TWO_MINUTES_S
    while not (names := execution_names(runs.plane, plan)):
        assert time.monotonic() < deadline, runs.plane.tail()
        time.sleep(0.2)
    return runs.end(runs.remote.fetch_execution(name=names[0]))


def execution_names(plane: Plane, plan: str) -> list[str]:
    """Those of a launch plan, the first one first."""
    request = common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN),
        filters=f"eq(launch_plan.name,{plan})+eq(mode,1)",
        sort_by=common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING),
        limit=100,
    )
    return [one.id.name for one in admin(plane).ListExecutions(request).executions]


def test_crons_and_fixed_rates_of_flytekit(runs: Runs) -> None:
    plans = [
        runs.remote.fetch_launch_plan(name=f"schedules.{name}", version=VERSION)
        for name in ("every_minute", "at_a_rate")
    ]
    activated_at = datetime.now(UTC)
    for plan in plans:
        runs.remote.activate_launchplan(plan.id)
    by_cron, at_a_rate = (started(runs, plan.id.name) for plan in plans)
    for plan in plans:
        update_state(runs.plane, plan.id.name, VERSION, launch_plan_pb2.INACTIVE)
    assert (phase(by_cron), phase(at_a_rate)) == ("SUCCEEDED", "SUCCEEDED")
    assert result(at_a_rate) == 42
    slot = datetime.fromisoformat(str(result(by_cron)))
    assert (slot.second, slot.microsecond) == (0, 0)
    assert 0 < (slot - activated_at).total_seconds() <= 60
    wire = raw.get(runs.plane, by_cron.id.name)
    assert wire.spec.metadata.scheduled_at.ToDatetime(UTC) == slot
    assert abs((wire.closure.created_at.ToDatetime(UTC) - slot).total_seconds()) < 2
    rate = raw.get(runs.plane, at_a_rate.id.name).spec.metadata.scheduled_at.ToDatetime(UTC)
    assert 58 <= (rate - activated_at).total_seconds() <= 62


def test_backfills_of_pyflyte(runs: Runs) -> None:
    place = ("-p", PROJECT, "-d", DOMAIN, "-v", VERSION)
    span = ("--from-date", "2024-02-28", "--to-date", "2024-03-02")
    runs.plane.run("pyflyte", "backfill", *place, *span, "--execution-name", "filled", "schedules.daily")
    done = runs.end(runs.remote.fetch_execution(name="filled"))
    assert phase(done) == "SUCCEEDED"
    nodes = [node for node in done.node_executions.values() if node.workflow_executions]
    slots = sorted(str(node.workflow_executions[0].inputs["when"])[:16] for node in nodes)
    assert slots == ["2024-02-28 03:00", "2024-02-29 03:00", "2024-03-01 03:00"]


def test_backfills_of_our_own(runs: Runs) -> None:
    id = identifier_pb2.Identifier(project=PROJECT, domain=DOMAIN, name="schedules.daily")
    runs.remote.activate_launchplan(runs.remote.fetch_launch_plan(name=id.name, version=VERSION).id)
    with grpc.insecure_channel(runs.plane.grpc) as channel:
        service = backfill_pb2_grpc.BackfillServiceStub(channel)
        request = backfill_pb2.CreateBackfillRequest(parallelism=2)
        request.launch_plan_id.MergeFromString(id.SerializeToString())
        request.start_at.FromJsonString("2024-02-28T00:00:00Z")
        request.end_at.FromJsonString("2024-03-02T00:00:00Z")
        deadline = time.monotonic() + 30
        while True:
            try:
                backfill = service.CreateBackfill(request, timeout=10)
                break
            except grpc.RpcError:  # the scheduler has not heard of the schedule yet
                assert time.monotonic() < deadline
                time.sleep(0.1)
        while backfill.state == backfill_pb2.BACKFILL_RUNNING:
            assert time.monotonic() < deadline, backfill
            time.sleep(0.2)
            backfill = service.GetBackfill(backfill_pb2.GetBackfillRequest(id=backfill.id), timeout=10)
        slots = service.ListBackfillSlots(backfill_pb2.ListBackfillSlotsRequest(id=backfill.id), timeout=10).slots
    update_state(runs.plane, id.name, VERSION, launch_plan_pb2.INACTIVE)
    assert (backfill.state, backfill.succeeded) == (backfill_pb2.BACKFILL_SUCCEEDED, 3)
    told = [result(runs.end(runs.remote.fetch_execution(name=one.execution_id.name))) for one in slots]
    assert told == [f"2024-0{day}T03:00:00+00:00" for day in ("2-28", "2-29", "3-01")]


def update_state(plane: Plane, name: str, version: str, state: "launch_plan_pb2.LaunchPlanState.ValueType") -> None:
    """As flytectl does it, which leaves the resource type unset."""
    id = identifier(identifier_pb2.UNSPECIFIED if state else identifier_pb2.LAUNCH_PLAN, name, version)
    admin(plane).UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=id, state=state))


def test_a_schedule_runs_while_its_version_is_active_over_restarts_too(own_plane, tmp_path) -> None:  # type: ignore[no-untyped-def]
    plane: Plane = own_plane()
    raw.register(plane, "ticking", "v1", ["true"], [[]])
    for version in ("v1", "v2"):
        plan = launch_plan_pb2.LaunchPlanCreateRequest(id=identifier(identifier_pb2.LAUNCH_PLAN, "tick", version))
        plan.spec.workflow_id.CopyFrom(identifier(identifier_pb2.WORKFLOW, "ticking", "v1"))
        plan.spec.entity_metadata.schedule.cron_schedule.schedule = "@every 1s"
        admin(plane).CreateLaunchPlan(plan)
    update_state(plane, "tick", "v1", launch_plan_pb2.ACTIVE)
    until_more(plane, 2)
    update_state(plane, "tick", "v2", launch_plan_pb2.ACTIVE)
    until_more(plane, 2)
    plane.kill()
    time.sleep(3)
    plane.start()
    until_more(plane, 4)
    update_state(plane, "tick", "v2", launch_plan_pb2.INACTIVE)
    time.sleep(1)
    names = execution_names(plane, "tick")
    time.sleep(3)
    assert execution_names(plane, "tick") == names
    executions = [raw.get(plane, name) for name in names]
    slots = [one.spec.metadata.scheduled_at.ToSeconds() for one in executions]
    assert len(set(slots)) == len(slots)
    by_second = [slot for one, slot in zip(executions, slots, strict=True) if one.spec.launch_plan.version == "v2"]
    assert sorted(by_second) == list(range(min(by_second), max(by_second) + 1))  # the missed ones, too


def until_more(plane: Plane, executions: int) -> None:
    """Wait until the schedule has started so many more."""
    before, deadline = len(execution_names(plane, "tick")), time.monotonic() + 30
    while len(execution_names(plane, "tick")) < before + executions:
        assert time.monotonic() < deadline, plane.tail()
        time.sleep(0.1)
