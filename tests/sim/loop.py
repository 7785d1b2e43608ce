"""An event loop without time and without an outside: the same callbacks in the same order in every run.

Its time is a `ManualClock`'s, which moves when nothing else can happen. Every callback belongs to a `Process`, or to
the world. That of a process that has died never runs: no `finally`, no `except CancelledError`, as after kill -9. That
of a process that is stalled is kept until it goes on, as after SIGSTOP.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from datetime import timedelta
from enum import Enum
from typing import Any

from sailplane_runtime.clock import EPOCH_OF_TESTS, ManualClock

_CURRENT: ContextVar["Process | None"] = ContextVar("process", default=None)


class Stuck(Exception):
    """Nothing will ever happen again, or nothing but the same."""


class Condition(Enum):
    """How a process is."""

    RUNNING = "running"
    STALLED = "stalled"
    DEAD = "dead"


class Process:
    """One run of one service. `steps` counts its callbacks, by which the place of a crash is named."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.condition = Condition.RUNNING
        self.steps = 0
        self.dies_at_step = 0
        """0 is never."""
        self.context = copy_context()
        self.context.run(_CURRENT.set, self)
        self.on_death: dict[object, Callable[[], object]] = {}
        self.kept_back: deque[events.Handle] = deque()

    def __repr__(self) -> str:
        return self.name


class SimLoop(asyncio.BaseEventLoop):
    """Runs the world and its processes. What happens at one time, happens in the order in which it was asked for."""

    def __init__(self, clock: ManualClock, steps_max: int) -> None:
        super().__init__()
        self._clock = clock
        self._selector = self  # which the base class asks for events; there are none, only time
        self._clock_resolution = 2e-6
        self._now, self._now_s = EPOCH_OF_TESTS, 0.0
        self._steps_left = steps_max
        self._is_over = False
        self._created: list[asyncio.Task[Any]] = []
        self.world = copy_context()
        self.set_task_factory(self._create)
        self.killed: Callable[[Process], None] = lambda process: None
        """Told when a process has reached the step that it dies at."""

    # What the base class asks for

    def time(self) -> float:
        """Seconds since the beginning of the world."""
        now = self._clock.now()
        if now is not self._now:  # asked for far more often than it moves
            self._now, self._now_s = now, (now - EPOCH_OF_TESTS).total_seconds()
        return self._now_s

    def select(self, timeout: float | None = None) -> list[Any]:
        """Nothing is ready: let time pass until something is."""
        if self._steps_left < 0:
            raise Stuck("it goes on and on")
        if timeout is not None and timeout <= 0:
            return []
        due = self._clock.next_deadline
        if timeout is not None:
            mine = self._clock.now() + timedelta(seconds=timeout)
            due = mine if due is None else min(due, mine)
        if due is None:
            raise Stuck("everybody waits for somebody else")
        self._clock.advance_to(due)
        return []

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """There are no threads: do it now."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _create(
        self, loop: asyncio.AbstractEventLoop, coro: Any, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        # Kept, because a task that is forgotten is closed, and closing runs code that after a crash must not run.
        task = asyncio.Task(coro, loop=loop, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._created.append(task)
        return task

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> events.Handle:  # type: ignore[override]
        """As the base class does, but for its questions about threads and debugging."""
        return self._call_soon(callback, args, context)

    def _call_soon(self, callback: Any, args: Any, context: Context | None) -> events.Handle:
        handle = events.Handle(callback, args, self, context)
        if self._is_over:
            return handle
        process = _owner(handle)
        if process is not None:
            if process.condition is Condition.STALLED:
                process.kept_back.append(handle)
                return handle
            if process.condition is Condition.DEAD:
                return handle
            process.steps += 1
            if process.steps == process.dies_at_step:
                self.kill(process)
                return handle
        self._steps_left -= 1
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    # Processes

    def kill(self, process: Process) -> None:
        """Nothing of it happens any more."""
        if process.condition is Condition.DEAD:
            return
        process.condition = Condition.DEAD
        self._take_out(process)
        process.kept_back.clear()
        for tell in list(process.on_death.values()):
            tell()
        self.killed(process)

    def stall(self, process: Process) -> None:
        """Nothing of it happens until `resume`."""
        process.condition = Condition.STALLED
        process.kept_back.extend(self._take_out(process))

    def resume(self, process: Process) -> None:
        """It goes on where it stood."""
        if process.condition is Condition.STALLED:
            process.condition = Condition.RUNNING
            self._ready.extend(handle for handle in process.kept_back if not handle.cancelled())  # type: ignore[attr-defined]
            process.kept_back.clear()

    def _take_out(self, process: Process) -> list[events.Handle]:
        """Its callbacks, out of turn; timers among them go off as soon as they are back."""
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        taken = [handle for handle in (*ready, *scheduled) if _owner(handle) is process]
        for index, handle in enumerate(ready):
            if _owner(handle) is process:  # its place stays: the loop has counted how many it will run in this round
                ready[index] = events.Handle(_nothing, (), self)
        scheduled[:] = [handle for handle in scheduled if _owner(handle) is not process]
        heapq.heapify(scheduled)
        for handle in taken:
            if isinstance(handle, events.TimerHandle):
                handle._scheduled = False  # type: ignore[attr-defined]
        return taken

    def end(self) -> None:
        """Close, and let go of every task without a word from it."""
        self._is_over = True
        self.set_exception_handler(lambda loop, context: None)
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self._created.clear()
        self.close()


def _owner(handle: events.Handle) -> Process | None:
    return handle._context.get(_CURRENT)  # type: ignore[attr-defined]


def _nothing() -> None:
    """In place of what is not done."""


def drive(context: Context, work: Any) -> Any:
    """Run a coroutine that waits for nothing, in a context; what it returns."""
    try:
        context.run(work.send, None)
    except StopIteration as done:
        return done.value
    raise RuntimeError(f"{work!r} waits for something")
