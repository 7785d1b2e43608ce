"""How late a scheduler fires with many active schedules, and what it costs to have them.

    python bench/schedules.py [--schedules 10000] [--seconds 60]

One scheduler on SQLite, with the machine's clock and an admin that takes every execution at once:

    fires   every schedule is due each minute, with a jitter of a minute, so that the fires are spread evenly; lateness
            is from the moment at which one is due to the call of CreateExecution
    idle    every schedule is due tomorrow
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sailplane_scheduler
from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_core.firing import Plan, jitter_of
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import execution_pb2, launch_plan_pb2, schedule_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_protos.scheduler import queue_pb2
from sailplane_runtime import telemetry
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.settings import LogSettings
from sailplane_runtime.store.sql import SqlStore
from sailplane_scheduler import schedules, tables
from sailplane_scheduler.ports import SchedulerPorts
from sailplane_scheduler.service import Scheduler

MIGRATIONS = Path(str(sailplane_scheduler.__file__)).parent / "migrations"
JITTER = timedelta(minutes=1)
SETTLE_S = 65.0
LEARNED_AT_ONCE = 500


class Admin:
    """Takes every execution at once, and notes how late each is."""

    def __init__(self) -> None:
        self.late_s: list[float] = []

    async def create_execution(self, request: execution_pb2.ExecutionCreateRequest) -> ExecutionId:
        """Note it."""
        plan = request.spec.launch_plan
        due = request.spec.metadata.scheduled_at.ToDatetime(UTC)
        due += jitter_of(Plan(plan.project, plan.domain, plan.name, plan.version), JITTER)
        self.late_s.append((datetime.now(UTC) - due).total_seconds())
        return ExecutionId(request.project, request.domain, request.name)

    async def phase(self, id: ExecutionId) -> ExecutionPhase | None:
        """Nobody asks."""
        return None

    async def scheduled_launch_plans(self) -> AsyncIterator[launch_plan_pb2.LaunchPlan]:
        """There is nothing to learn again."""
        for nothing in ():
            yield nothing


def changes(count: int, schedule: schedule_pb2.Schedule) -> list[queue_pb2.ScheduleChange]:
    """What admin says of so many launch plans."""
    now = Timestamp()
    now.GetCurrentTime()
    return [
        queue_pb2.ScheduleChange(
            launch_plan_id=identifier_pb2.Identifier(
                resource_type=identifier_pb2.LAUNCH_PLAN, project="p", domain="d", name=f"plan{index}", version="v1"
            ),
            schedule=schedule,
            active=True,
            changed_at=now,
            activated_at=now,
        )
        for index in range(count)
    ]


async def run(count: int, cron: str, seconds: float) -> dict[str, Any]:
    """Learn the schedules, let the scheduler settle, and watch it."""
    admin = Admin()
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        store = await SqlStore.open(f"sqlite:///{folder}/scheduler.db", tables.metadata, migrations=MIGRATIONS)
        ports: Any = SchedulerPorts(store, MemoryQueue(clock), clock, admin, "bench")  # type: ignore[arg-type]
        schedule = schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule=cron))
        schedule.jitter.FromTimedelta(JITTER)
        learned = changes(count, schedule)
        begun = time.process_time()
        for start in range(0, count, LEARNED_AT_ONCE):
            await schedules.learn(ports, learned[start : start + LEARNED_AT_ONCE])
        learn_cpu_s = time.process_time() - begun
        scheduler = Scheduler(ports)
        await scheduler.start()
        await asyncio.sleep(SETTLE_S)
        admin.late_s.clear()
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        late = sorted(admin.late_s)
        await scheduler.stop()
        await store.close()
    found: dict[str, Any] = {
        "schedules": count,
        "learn_cpu_ms_per_schedule": round(1000 * learn_cpu_s / count, 3),
        "cpu_of_a_core": round(cpu / wall, 4),
        "fires": len(late),
    }
    if late:
        found |= {f"late_s_p{p}": round(late[min(len(late) - 1, len(late) * p // 100)], 4) for p in (50, 99)}
        found |= {"late_s_max": round(late[-1], 4), "cpu_ms_per_fire": round(1000 * cpu / len(late), 3)}
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    telemetry.configure(LogSettings(level="error"))
    tomorrow = datetime.now(UTC) + timedelta(hours=12)
    print(
        json.dumps(
            {
                "fires": asyncio.run(run(options.schedules, "* * * * *", options.seconds)),
                "idle": asyncio.run(run(options.schedules, f"0 {tomorrow.hour} * * *", options.seconds)),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
