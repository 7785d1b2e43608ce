"""The hands: carries out what the machine decided, after it was committed.

Each command is idempotent, is looked at again right before it is done (the node may have moved on), and is confirmed
in the outbox when it is done; one that leads to an observation only after what the observation led to is committed,
or a crash in between would lose it. Commands about one node are carried out one after another, so that removing a Pod
never overtakes launching it; different nodes go on side by side.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from sailplane_core.errors import InvalidRequest, Malfunction
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import (
    AwaitSignal,
    BindingFailed,
    BindInputs,
    BuildGraph,
    CacheLookedUp,
    CachePopulated,
    Command,
    GatherItems,
    GraphRefused,
    LaunchChild,
    LaunchFailed,
    LaunchPod,
    LookUpCache,
    Observation,
    OpenArray,
    PopulateCache,
    ReleaseReservation,
    RemovePod,
    SetTimer,
    TakeBranch,
    TakeSignal,
    TerminateChild,
)
from sailplane_protos.core import catalog_pb2

from . import cached_tasks, gate_nodes, graph_nodes, launch_plan_nodes, records, retry, task_nodes
from .live import Live
from .places import Places
from .timers import Timers
from .tools import Hand, LastHand, Tools

log = structlog.get_logger(__name__)

HANDS: Mapping[type[Command], Hand] = {
    BindInputs: graph_nodes.bind_inputs,
    TakeBranch: graph_nodes.take_branch,
    OpenArray: graph_nodes.open_array,
    GatherItems: graph_nodes.gather_items,
    BuildGraph: graph_nodes.build_graph,
    LaunchPod: task_nodes.launch,
    AwaitSignal: gate_nodes.take_signal,
    TakeSignal: gate_nodes.take_signal,
    LookUpCache: cached_tasks.look_up,
    PopulateCache: cached_tasks.populate,
    LaunchChild: launch_plan_nodes.launch,
}
LAST_HANDS: Mapping[type[Command], LastHand] = {
    RemovePod: task_nodes.remove,
    TerminateChild: launch_plan_nodes.terminate,
    ReleaseReservation: cached_tasks.release,
}
"""For commands about nodes that have ended; the others are dropped when their node has moved on."""


class Performers:
    """Carries commands out."""

    def __init__(
        self,
        tools: Tools,
        timers: Timers,
        post: Callable[[ExecutionId, Observation, str], None],
        confirm: Callable[[Sequence[str]], Awaitable[None]],
        idle: Callable[[Live], None],
    ) -> None:
        self._tools = tools
        self._ports = tools.ports
        self._timers = timers
        self._post = post
        self._confirm = confirm
        self._idle = idle
        self._places = Places(self._ports.settings.performers_max)

    def hand_out(self, live: Live, commands: Sequence[Command]) -> None:
        """Begin to carry out an execution's commands."""
        for command in commands:
            if isinstance(command, SetTimer):
                self._timers.start(live, command)
                continue
            before = live.chains.get(command.node_id)
            task = asyncio.create_task(self._in_turn(live, command, before))
            live.chains[command.node_id] = task
            task.add_done_callback(lambda done, node_id=command.node_id: self._unchain(live, node_id, done))

    async def close(self, lives: Sequence[Live]) -> None:
        """Stop. What was not confirmed is carried out again after the next start."""
        tasks = [task for live in lives for task in live.chains.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _unchain(self, live: Live, node_id: str, done: "asyncio.Task[None]") -> None:
        if live.chains.get(node_id) is done:
            del live.chains[node_id]
        self._idle(live)

    async def _in_turn(self, live: Live, command: Command, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        seen = await self._until_done(live, command)
        id = records.command_id(live.id, command)
        if seen is None:
            await self._confirm([id])
        else:
            self._post(live.id, seen, id)

    async def _until_done(self, live: Live, command: Command) -> Observation | None:
        """Carry a command out, waiting for what is unavailable; an error that stays becomes a failed attempt.

        Whoever waits gives his place to others: what they ask for may be at hand.
        """
        due_at = self._ports.clock.now() + live.queueing_budget
        about = {"execution": str(live.id), "command": repr(command)}

        async def perform() -> Observation | None:
            async with self._places.one(due_at):
                await self._ports.turns.next()
                return await self._perform(live, command)

        def give_up(error: Exception, tries: int) -> Observation | None:  # one attempt suffers, not the engine
            log.error("command_failed", exc_info=error, **about)
            return _gave_up(command, error, tries)

        return await retry.until_done(
            self._ports, perform, "command_waits", waits_for=_is_waited_for, give_up=give_up, **about
        )

    async def _perform(self, live: Live, command: Command) -> Observation | None:
        last = LAST_HANDS.get(type(command))
        if last is not None:
            return await last(self._tools, live, command)
        if not live.is_current(command.node_id, command.attempt):
            return None
        return await HANDS[type(command)](self._tools, live, live.definition.node(command.node_id))


def _is_waited_for(error: Exception) -> bool:
    """A service that fails by a fault of its own may do so for ever."""
    return retry.is_unavailable(error) and not isinstance(error, Malfunction)


def _gave_up(command: Command, error: Exception, tries: int) -> Observation | None:
    """What a command that keeps failing comes to; None to try again. What must go is never given up before it is."""
    if isinstance(error, InvalidRequest):
        failure = Failure("BadTaskFormat", str(error), FailureKind.USER, retryable=False)
    elif tries >= retry.TRIES_MAX:
        failure = Failure("CommandFailed", "the engine failed to begin this attempt", FailureKind.SYSTEM)
    else:
        return None
    node_id, attempt = command.node_id, command.attempt
    match command:
        case RemovePod() | TerminateChild() | ReleaseReservation():
            return None
        case LaunchPod():
            return LaunchFailed(node_id, attempt, failure)
        case LookUpCache():
            return CacheLookedUp(node_id, attempt, catalog_pb2.CACHE_LOOKUP_FAILURE)
        case PopulateCache():
            return CachePopulated(node_id, attempt, catalog_pb2.CACHE_PUT_FAILURE)
        case BuildGraph():
            return GraphRefused(node_id, attempt, failure)
        case _:
            return BindingFailed(node_id, attempt, failure)
