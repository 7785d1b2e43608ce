"""One seed's world: the real admin and propeller on real databases and a real queue, with everything else played.

    drawn workflow ──► admin ──► queue ──► propeller ──► cluster of played Pods
         users ───────►  ▲                     │
                         └───── events ◄───────┘

Each run of a service is a `Process` that may die or stall at any step; databases, queue, blobs and Pods outlive it.
After the faults are over everything must come to rest within `REST_S_MAX`.
"""

import asyncio
import gc
import random
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from logging import CRITICAL
from typing import Any, TypeVar

import structlog
from sailplane_admin.ports import AdminPorts, AdminSettings
from sailplane_admin.service import Admin
from sailplane_core.errors import SailplaneError
from sailplane_core.phases import EXECUTION_TERMINAL
from sailplane_propeller.admin_client import AdminClient
from sailplane_propeller.ports import PropellerPorts, PropellerSettings
from sailplane_propeller.service import Propeller
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.sql import SqlStore
from sailplane_runtime.turns import Turns

from . import templates, users
from .faults import Faults
from .history import History
from .loop import Condition, Process, SimLoop, Stuck
from .oracle import SYSTEM_RETRIES
from .pods import Cluster, DictBlobs
from .ports import Door, ShiftedClock, Wire, WiredBlobs, WiredChannel, WiredLauncher, WiredQueue
from .stores import METADATA, Disk, FaultyStore, shared_engines
from .workflows import Drawing, Graph, draw

S = TypeVar("S", Admin, Propeller)

STEPS_MAX = 400_000
REST_S_MAX = 12 * 3600.0
"""Within this much simulated time everything ends: two timeouts of 45 minutes, thrice, and what the faults cost."""
LOOK_EVERY_S = 30.0
SWEEP_INTERVAL_S = 60.0
STRAYS_S_MAX = 5 * SWEEP_INTERVAL_S
"""Within this time a Pod that should not run is found."""
RESTART_S_MAX = 10.0

ADMIN = "/sailplane.service.AdminService"


@dataclass
class Outcome:
    """What a seed came to: all that the checkers look at."""

    seed: int
    drawn: Drawing
    faults: Faults
    history: History
    asked: list[users.Asked]
    broken: str = ""
    """Why the world did not come to rest; "" if it did."""
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Every change of a row of propeller's."""
    record: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Every change of a row of admin's."""
    stored: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """Tables as they are at the end."""
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    live_pods: list[str] = field(default_factory=list[str])
    at_s: float = 0.0

    def graph_of(self, name: str) -> Graph | None:
        """The workflow of an execution that a user asked for; None for one that another execution has started."""
        return next((one.graph for one in self.asked if name in (one.name, one.ran_again)), None)


class World:
    """Made for one seed, run once."""

    def __init__(self, seed: int, disk: Disk) -> None:
        self.seed = seed
        self.disk = disk
        self.clock = ManualClock()
        self.loop = SimLoop(self.clock, STEPS_MAX)
        self.chance = random.Random(seed)
        self.drawn = draw(random.Random(f"workflow/{seed}"), f"s{seed}")
        self.faults = Faults.draw(random.Random(f"faults/{seed}"))
        self.faults.is_over = True  # until the services run and the workflows are registered
        self.history = History()
        self.blobs = DictBlobs(self.clock)
        self.cluster = Cluster(
            self.loop, self.clock, self.blobs, random.Random(f"pods/{seed}"), self.drawn, self.record
        )
        self.queue = MemoryQueue(self.clock)
        self.admin = Door(self.loop)
        self.propeller = Door(self.loop)
        self._at_rest_since_s = 0.0
        self._closing: list[asyncio.Task[None]] = []
        self._stores: dict[Process, FaultyStore] = {}
        self._asked = users.plan(random.Random(f"users/{seed}"), self.drawn)
        self._runs = 0
        self._serving: dict[str, Process] = {}
        """The run of each service that is meant to be the one."""

    def record(self, kind: str, **what: Any) -> None:
        """Something happened."""
        self.history.add(self.loop.time(), self.disk.changes(), kind, **what)

    async def call(self, method: str, request: Any) -> Any:
        """A user's call to admin."""
        return await self.admin.call(f"{ADMIN}/{method}", request)

    # Services

    def start(self, service: str) -> Process:
        """Begin a run of a service."""
        self._runs += 1
        process = Process(f"{service}-{self._runs}")
        if self.faults.strikes("crash"):
            process.dies_at_step = max(2, self.chance.randint(1, 3000))  # whoever starts it must have heard of it
        self.record("started", process=process.name, dies_at_step=process.dies_at_step)
        begin = self._admin if service == "admin" else self._propeller
        starting = self.loop.create_task(begin(process), context=process.context.copy())
        starting.add_done_callback(self._started, context=self.loop.world)
        return process

    def _started(self, starting: "asyncio.Task[None]") -> None:
        if not starting.cancelled() and (error := starting.exception()) is not None:
            self.record("start failed", error=repr(error))
            raise error

    def _ports_of(self, process: Process, service: str) -> tuple[Wire, FaultyStore, ShiftedClock, WiredQueue]:
        wire = Wire(self.loop, process, self.faults)
        ahead_s = self.chance.uniform(-600.0, 600.0) if self.faults.strikes("clock") else 0.0
        clock = ShiftedClock(self.clock, timedelta(seconds=ahead_s))
        store = FaultyStore(SqlStore(self.disk.url(service), METADATA[service], readers=0), self.faults)
        self._stores[process] = store
        return wire, store, clock, WiredQueue(wire, self.queue)

    async def _admin(self, process: Process) -> None:
        wire, store, clock, queue = self._ports_of(process, "admin")
        settings = AdminSettings(default_projects=(templates.PROJECT,))
        ports = AdminPorts(store, WiredBlobs(wire, self.blobs), clock, settings, turns=Turns(1))
        admin = await _started(lambda: Admin(ports, queue), clock)
        self.admin.open(process, admin.grpc_services())

    async def _propeller(self, process: Process) -> None:
        wire, store, clock, queue = self._ports_of(process, "propeller")
        settings = PropellerSettings(sweep_interval_s=SWEEP_INTERVAL_S, system_retries=SYSTEM_RETRIES)
        client = AdminClient(WiredChannel(wire, self.admin))  # type: ignore[arg-type]
        blobs, launcher = WiredBlobs(wire, self.blobs), WiredLauncher(wire, self.cluster)
        ports = PropellerPorts(store, queue, blobs, launcher, clock, client, settings, Turns(1))
        propeller = await _started(lambda: Propeller(ports), clock)
        self.propeller.open(process, propeller.grpc_services())

    def _killed(self, process: Process) -> None:
        """It reached the step it was to die at, or was struck: some seconds later it begins again."""
        self.record("died", process=process.name, steps=process.steps)
        store = self._stores.pop(process, None)
        if store is not None:
            store.abandon()
        service = process.name.partition("-")[0]
        if process is self._serving.get(service):
            after_s = self.chance.uniform(0.0, RESTART_S_MAX)
            self.loop.call_later(after_s, self._replace, service, process, context=self.loop.world)

    def _replace(self, service: str, process: Process) -> None:
        if self._serving[service] is process:
            self._serving[service] = self.start(service)

    # The course of things

    async def _live(self) -> None:
        self._serving["admin"] = self.start("admin")
        while self.admin.process is None:
            await asyncio.sleep(0.1)
        await self._register()
        self._serving["propeller"] = self.start("propeller")
        self.faults.is_over = False
        over_at = self.loop.time() + self.faults.until_s
        asked = self._asked
        acting = [asyncio.create_task(users.act(self, one)) for one in asked]
        acting.append(asyncio.create_task(self._strike(over_at)))
        signalling = asyncio.create_task(users.signal(self))
        await _together(acting, self.faults.until_s)
        self.faults.is_over = True
        for process in self._serving.values():
            process.dies_at_step = 0
        self.record("faults over")
        ends_at = self.loop.time() + REST_S_MAX
        await _together(acting, REST_S_MAX)
        while not self._is_at_rest(asked):
            if self.loop.time() > ends_at:
                raise Stuck("it does not come to rest")
            await asyncio.sleep(LOOK_EVERY_S)
        signalling.cancel()
        self.record("at rest")

    async def _register(self) -> None:
        for request in templates.task_requests(self.drawn):
            await self.call("CreateTask", request)
        for graph in templates.registered(self.drawn):
            await self.call("CreateWorkflow", templates.workflow_request(self.drawn, graph))
            await self.call("CreateLaunchPlan", templates.launch_plan_request(graph))

    async def _strike(self, over_at: float) -> None:
        """What comes over the services from outside."""
        while self.loop.time() < over_at:
            await asyncio.sleep(self.chance.uniform(0.2, 5.0))
            if self.faults.strikes("crash"):
                self.loop.kill(self._serving[self.chance.choice(("admin", "propeller"))])
            if self.faults.strikes("restart"):
                self._restart()
            if self.faults.strikes("clock"):
                self.clock.advance(self.chance.uniform(1.0, 100.0))
                self.record("time leapt")
            if self.faults.strikes("stall"):
                await self._stall()

    def _restart(self) -> None:
        """Everything that lives in one process stops, the queue with it, and begins again."""
        self.record("restart")
        old, self.queue = self.queue, MemoryQueue(self.clock)
        for service, process in list(self._serving.items()):
            if process.condition is not Condition.DEAD:
                self.loop.kill(process)
            self._serving[service] = self.start(service)
        self._closing.append(asyncio.create_task(old.close()))

    async def _stall(self) -> None:
        """A propeller stands still, another one takes over, the first goes on beside it; then a third replaces both."""
        old = self._serving["propeller"]
        if old.condition is not Condition.RUNNING:
            return
        self.record("stalled", process=old.name)
        self.loop.stall(old)
        await asyncio.sleep(self.chance.uniform(0.0, 30.0))
        self._serving["propeller"] = self.start("propeller")
        await asyncio.sleep(self.chance.uniform(0.0, 60.0))
        self.record("goes on", process=old.name)
        self.loop.resume(old)
        await asyncio.sleep(self.chance.uniform(0.0, 10.0))
        if old.condition is Condition.RUNNING:
            self.loop.kill(old)
        self.loop.kill(self._serving["propeller"])

    def _is_at_rest(self, asked: list[users.Asked]) -> bool:
        """Everything has ended, and nobody has anything left to tell."""
        if not all(one.is_done for one in asked):
            return False
        terminal = ", ".join(f"'{phase.name}'" for phase in EXECUTION_TERMINAL)
        if self.disk.rows("admin", f"SELECT 1 FROM executions WHERE phase NOT IN ({terminal}) LIMIT 1"):
            return False
        if self.disk.rows("propeller", "SELECT 1 FROM executions WHERE NOT is_terminal AND parked_at IS NULL LIMIT 1"):
            return False
        if any(self.disk.rows(service, "SELECT 1 FROM outbox LIMIT 1") for service in METADATA):
            return False
        self._at_rest_since_s = self._at_rest_since_s or self.loop.time()
        return self.loop.time() >= self._at_rest_since_s + STRAYS_S_MAX

    def run(self) -> Outcome:
        """Live through it."""
        outcome = Outcome(self.seed, self.drawn, self.faults, self.history, self._asked)
        asyncio.set_event_loop(self.loop)
        self.loop.killed = self._killed
        self.loop.set_exception_handler(self._unhandled)
        try:
            self.loop.run_until_complete(self._live())
        except Stuck as error:
            outcome.broken = str(error)
            self.record("stuck", why=str(error))
        finally:
            outcome.at_s = self.loop.time()
            outcome.rows, outcome.record = self.disk.log("propeller"), self.disk.log("admin")
            outcome.stored = self._tables()
            outcome.objects = self.blobs.objects
            outcome.live_pods = sorted(f"{name}" for (_, name), pod in self.cluster.pods.items() if pod.is_live)
            self._close()
        return outcome

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error that nobody took."""
        self.record("unhandled", message=context.get("message"), error=repr(context.get("exception")))

    def _tables(self) -> dict[str, list[dict[str, Any]]]:
        read = self.disk.rows
        return {
            "executions": read("propeller", "SELECT * FROM executions"),
            "nodes": read("propeller", "SELECT * FROM nodes"),
            "propeller.outbox": read("propeller", "SELECT topic, id FROM outbox"),
            "admin.outbox": read("admin", "SELECT topic, id FROM outbox"),
            "record.executions": read("admin", "SELECT * FROM executions"),
            "record.nodes": read("admin", "SELECT * FROM node_executions"),
            "record.attempts": read("admin", "SELECT * FROM task_executions"),
        }

    def _close(self) -> None:
        for store in self._stores.values():
            store.abandon()
        self.loop.end()
        asyncio.set_event_loop(None)


async def _started(make: Callable[[], S], clock: ShiftedClock) -> S:
    """A service that cannot start is begun anew, by whatever runs it."""
    while True:
        service = make()
        try:
            await service.start()
        except SailplaneError:
            await service.stop()
            await clock.sleep_until(clock.now() + timedelta(seconds=1.0))
        else:
            return service


async def _together(acting: list["asyncio.Task[None]"], seconds: float) -> None:
    """Wait until all are done, so long at most. Raises what one of them raises: the world itself is broken."""
    done, _ = await asyncio.wait(acting, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for acted in done:
        acted.result()


_DISK: list[Disk] = []


def live(seed: int) -> Outcome:
    """Everything that happens in a seed's world."""
    if not _DISK:
        _DISK.append(Disk())
    disk = _DISK[0]
    disk.wipe()
    with shared_engines(), _quiet():
        return World(seed, disk).run()


@contextmanager
def _quiet() -> Generator[None]:
    """No log, no collection of garbage meanwhile, and no word from coroutines that are thrown away."""
    hook, logging = sys.unraisablehook, structlog.get_config()
    sys.unraisablehook = lambda unraisable: None
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL))
    gc.disable()
    try:
        yield
    finally:
        with warnings.catch_warnings(action="ignore"):  # of coroutines that nobody awaits any more
            gc.collect(1)
        gc.enable()
        structlog.configure(**logging)
        sys.unraisablehook = hook
