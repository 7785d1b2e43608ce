"""Who turns observations into transitions: one mailbox per execution, worked off one batch at a time.

Queue deliveries, Pod statuses and the results of commands all end in the mailbox of their execution. While a batch
is being saved, what arrives waits and is evaluated together, so a burst costs few commits. Different executions go
on side by side. A delivery is acknowledged, and a command confirmed, once what it led to is committed.

An execution that breaks an invariant is parked with its evidence, and the others go on.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, TypeVar

import structlog
from sailplane_core.errors import (
    InvalidRequest,
    InvariantBroken,
    LimitReached,
    SailplaneError,
    StaleVersion,
    Unavailable,
)
from sailplane_core.ids import EntityId, ExecutionId
from sailplane_core.machine import (
    AbortRequested,
    Command,
    ExecutionState,
    GraphBuilt,
    Header,
    NodeState,
    Observation,
    ReleaseReservation,
    RemovePod,
    SignalSet,
    Started,
    TaskProgressed,
    TerminateChild,
    end_parked,
    scopes,
)
from sailplane_core.plan import Closure, Plan
from sailplane_core.ports import Delivery
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.store.port import Transaction

from . import children, dynamic, records, recovery, retry
from .advance import advance
from .definitions import Definitions
from .live import Definition, Live, Seen
from .ports import PropellerPorts

log = structlog.get_logger(__name__)

T = TypeVar("T")

EXECUTIONS_TOPIC = "executions"
REMOVALS = (RemovePod, TerminateChild, ReleaseReservation)
"""What is still to be done for executions that have ended."""
DELIVERIES_AT_ONCE = 128


class Worker:
    """Owns the executions in service."""

    def __init__(self, ports: PropellerPorts, root_uri: str) -> None:
        self._ports = ports
        self._root_uri = root_uri
        self._definitions = Definitions(ports.admin)
        self._live: dict[ExecutionId, Live] = {}
        self._left_over: dict[ExecutionId, list[Command]] = {}
        """Commands of an earlier run, until their execution is loaded."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.hand_out: Callable[[Live, Sequence[Command]], None] = lambda live, commands: None
        """Where commands go after their commit; set by whoever wires the service."""
        self.entered: Callable[[Live], None] = lambda live: None
        """Told of every execution that was loaded, so that its Pods are recognised."""
        self.left: Callable[[Live], None] = lambda live: None
        """Told of every execution that is not held in memory any more."""
        self.clear_pods: Callable[[ExecutionId], Awaitable[None]] = _nothing_to_clear
        """Removes the Pods that are left of an execution whose rows are deleted."""
        self.ended: Callable[[Live, Sequence[str]], Collection[str]] = lambda live, node_ids: ()
        """Told of every node that has ended; gives the ids of commands that are not to be carried out any more."""
        self.recall_events: Callable[[str], Awaitable[None]] = _nothing_to_recall
        """Publishes once more what is untold of an execution that others may have moved on."""

    # In

    async def run(self) -> None:
        """Take deliveries from the queue for ever."""
        while True:
            for delivery in await self._ports.queue.receive(EXECUTIONS_TOPIC, DELIVERIES_AT_ONCE):
                await self._take(delivery)

    async def recover(self) -> None:
        """Take every execution in service up again, and carry out what was decided but not confirmed.

        Loading happens in each execution's own turn, so that one whose definition cannot be had now waits alone.
        """
        ids = set(await self._ports.store.read(records.in_service))
        for message in await self._ports.store.pending(records.COMMANDS_TOPIC):
            id = ExecutionId.parse(message.key)
            self._left_over.setdefault(id, []).append(records.read_command(message))
        for id in sorted(ids | self._left_over.keys()):
            self.post(id, Started())

    def post(self, id: ExecutionId, seen: Observation, command_id: str = "") -> None:
        """Something was observed; if it is the result of a command, of which one."""
        self._offer(id, Seen(seen, command_id=command_id))

    def live(self, id: ExecutionId) -> Live:
        """The execution in service, entered now if it was not."""
        found = self._live.get(id)
        if found is None:
            found = self._live[id] = Live(id)
        return found

    def in_service(self) -> Sequence[Live]:
        """Every execution this worker holds in memory."""
        return list(self._live.values())

    def release(self, live: Live) -> None:
        """Forget an execution that has ended, is parked or unknown, and has nothing under way."""
        if not live.is_idle:
            return
        if live.loaded is None or live.is_parked or live.loaded.state.header.is_terminal:
            self._live.pop(live.id, None)
            self.left(live)

    def drop_commands(self, command_ids: Collection[str]) -> None:
        """Confirm commands that will never be carried out, such as timers of an execution that has ended."""
        if command_ids:
            self._spawn(self.confirm(sorted(command_ids)))

    async def close(self) -> None:
        """Stop working off mailboxes. What is not saved is observed again after the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, delivery: Delivery) -> None:
        try:
            order = queue_pb2.ExecutionCommand.FromString(delivery.message.payload)
            id = ExecutionId.of(order.execution_id)
            match order.WhichOneof("command"):
                case "start":
                    self._offer(id, Seen(Started(), delivery, order.start))
                case "abort":
                    self._offer(id, Seen(AbortRequested(order.abort.cause, order.abort.principal), delivery))
                case "signal_set":
                    self._offer(id, Seen(SignalSet(order.signal_set.signal_id), delivery))
                case "child_ended":
                    self._offer(id, Seen(children.end_told(order.child_ended), delivery))
                case "forget":
                    self._offer(id, Seen(Started(), delivery, forgets=True))
                case other:
                    raise InvalidRequest(f"an order of kind {other} is not known")
        except Exception as error:  # whatever is wrong with one message must not stop the others
            log.exception("order_not_understood", message_id=delivery.message.id)
            await self._ports.queue.nack(delivery, reason=str(error))

    def _offer(self, id: ExecutionId, seen: Seen) -> None:
        live = self.live(id)
        live.inbox.append(seen)
        if live.worker is None or live.worker.done():
            live.worker = self._spawn(self._work_off(live))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("worker_broken", exc_info=error)

    # Working off

    async def _work_off(self, live: Live) -> None:
        while live.inbox:
            batch = list(live.inbox)
            live.inbox.clear()
            observed = [seen for seen in batch if not seen.forgets]
            is_found = not observed or await self._evaluate(live, observed)
            if len(observed) < len(batch):
                await self._forget(live)
            settled = batch if is_found else [seen for seen in batch if seen.forgets]
            deliveries = [seen.delivery for seen in settled if seen.delivery is not None]
            if deliveries:
                await self._ports.queue.ack(deliveries)
            if not is_found:
                await self._give_back(live, observed)
            await self.confirm([seen.command_id for seen in settled if seen.command_id])
        live.worker = None
        self.release(live)

    async def _give_back(self, live: Live, batch: Sequence[Seen]) -> None:
        """Have what was delivered delivered again, and look once more: Pods and the outbox repeat the rest."""
        for seen in batch:
            if seen.delivery is not None:
                await self._ports.queue.nack(seen.delivery, reason=f"execution {live.id} was not found")
        live.inbox.append(Seen(Started()))

    async def _forget(self, live: Live) -> None:
        """Delete an execution that has ended, then its Pods, and only then let the order be confirmed."""
        if not await self._write(live, lambda tx: records.forget(tx, live.id)):
            log.warning("execution_not_forgotten", execution=str(live.id))
            return
        live.loaded, live.is_parked, live.is_stale = None, False, True
        await retry.until_done(
            self._ports,
            lambda: self.clear_pods(live.id),
            "forgetting_waits",
            waits_for=lambda error: isinstance(error, SailplaneError),
            execution=str(live.id),
        )

    async def confirm(self, command_ids: Sequence[str]) -> None:
        """Commands are done, or need not be. If that cannot be stored, they are done again after the next start."""
        try:
            if command_ids:
                await self._ports.store.confirm(command_ids)
        except Unavailable as error:
            log.warning("commands_not_confirmed", reason=str(error))

    async def _evaluate(self, live: Live, batch: Sequence[Seen]) -> bool:
        """Evaluate a batch until it is saved or the execution is parked.

        False when the execution, of which there was a copy a moment ago, is not to be found. Whoever brought the news
        is to bring it again: if the execution is not known then either, there is nothing that it could be told.
        """
        was_at_hand = live.loaded is not None
        pauses = retry.Pauses(self._ports)
        while not live.is_parked:
            try:
                definition = await self._definition(live, batch)
                if live.is_parked:
                    break
                if definition is None and was_at_hand:
                    log.warning("execution_not_found", execution=str(live.id))
                    return False
                if definition is None:
                    await self._end_unstarted(live, batch)
                    return True
                seen = [one.observation for one in batch]
                await self._complete_plan(definition.plan, definition.state, seen)
                await self._ports.turns.next()
                transition = await advance(
                    self._ports.store,
                    definition.plan,
                    definition.start,
                    definition.state,
                    seen,
                    self._ports.clock.now(),
                )
                if transition.is_empty:
                    await self._require_current(live, definition.state, seen)
                self.hand_out(live, transition.commands)
                ended = [node.id for node in transition.nodes.values() if node.is_terminal]
                self.drop_commands(self.ended(live, ended))
                return True
            except StaleVersion:
                live.loaded, live.is_stale = None, True
            except (Unavailable, LimitReached) as error:
                log.warning("transition_waits", execution=str(live.id), reason=str(error), delay_s=pauses.delay_s)
                await pauses.wait()
            except Exception as error:  # our own bug, or data that cannot be: only this execution may suffer
                await self._park(live, batch, error)
        abort = next((one.observation for one in batch if isinstance(one.observation, AbortRequested)), None)
        if abort is not None:
            await self._end_parked(live, abort)
        return True

    async def _require_current(self, live: Live, state: ExecutionState, seen: Sequence[Observation]) -> None:
        """Raise `StaleVersion` if what seemed to change nothing was held against a state that others have moved on.

        A save compares versions; where nothing is saved, somebody else's news could be taken for none, and be lost.
        Progress is not worth the look: more of it follows.
        """
        if all(isinstance(one, TaskProgressed) for one in seen):
            return
        version = await self._ports.store.read(lambda connection: records.version(connection, live.id))
        if version != state.header.version:
            raise StaleVersion(f"execution {live.id}")

    async def _complete_plan(self, plan: Plan, state: ExecutionState, seen: Sequence[Observation]) -> None:
        """A generated graph that is news may have got lost with the copy of the state it was meant for."""
        for one in seen:
            if not isinstance(one, GraphBuilt) or one.node_id in plan.generated:
                continue
            node = state.nodes.get(one.node_id)
            if node is not None and not node.is_terminal and node.attempt == one.attempt:
                plan.generated[one.node_id] = Closure(await dynamic.load(self._ports.blobs, one.graph_uri))

    async def _write(self, live: Live, change: Callable[[Transaction], T]) -> T:
        """Write, waiting for a store that is away or full."""
        return await retry.until_done(
            self._ports, lambda: self._ports.store.write(change), "write_waits", execution=str(live.id)
        )

    async def _end_parked(self, live: Live, seen: AbortRequested) -> None:
        """A parked execution can still be aborted, or nobody could ever be rid of it."""
        stored = await self._load_what_can_be(live)
        if stored is None or stored.state.header.is_terminal:
            return
        live.namespace = stored.start.namespace
        transition = end_parked(stored.state, seen, self._ports.clock.now())
        await self._write(live, lambda tx: records.save(tx, stored.start, stored.state, transition))
        self.hand_out(live, transition.commands)

    async def _load_what_can_be(self, live: Live) -> records.Execution | None:
        """The execution; of one whose rows cannot be read the version alone.

        That one's Pods are found by the sweeper, and its children are ended by admin.
        """
        execution = str(live.id)
        try:
            return await retry.until_done(self._ports, lambda: self._load(live), "read_waits", execution=execution)
        except Exception as error:
            log.warning("execution_unreadable", execution=execution, reason=repr(error))
        state = self._fresh(live, queue_pb2.Start())
        version = await self._ports.store.read(lambda connection: records.version(connection, live.id))
        state.header = Header(version=version)
        return records.Execution(queue_pb2.Start(), state, is_parked=True)

    async def _end_unstarted(self, live: Live, batch: Sequence[Seen]) -> None:
        """An execution that is not known here can be aborted too: it has ended then, and an order to start is too late.

        Its order may have been lost with this service's tables, while admin still waits for its end.
        """
        abort = next((one.observation for one in batch if isinstance(one.observation, AbortRequested)), None)
        if abort is None or await self._load(live) is not None:
            log.warning("observation_of_unknown_execution", execution=str(live.id))
            return
        never = queue_pb2.Start()
        state = self._fresh(live, never)
        transition = end_parked(state, abort, self._ports.clock.now())
        await self._ports.store.write(lambda tx: records.save(tx, never, state, transition))

    async def _definition(self, live: Live, batch: Sequence[Seen]) -> Definition | None:
        """The execution, loaded or begun. None when it is not known, or has ended before it began."""
        if live.loaded is None and await self._reload(live):
            return None
        if live.loaded is None and not live.is_parked:
            start = next((seen.start for seen in batch if seen.start is not None), None)
            if start is None:
                return None
            await self._enter(live, start, self._fresh(live, start))
        return live.loaded

    async def _load(self, live: Live) -> records.Execution | None:
        return await self._ports.store.read(
            lambda connection: records.load(connection, live.id, self._root_uri, self._ports.settings)
        )

    def _fresh(self, live: Live, start: queue_pb2.Start) -> ExecutionState:
        return ExecutionState(records.start_info(live.id, start, self._root_uri, self._ports.settings))

    async def _reload(self, live: Live) -> bool:
        """Take it from the tables, if it is there. True when it has ended before it began."""
        stored = await self._load(live)
        if stored is None:
            return False
        if not stored.start.HasField("workflow_id"):
            if not stored.state.header.is_terminal:
                raise InvariantBroken(f"execution {live.id} has no order to start")
            return True
        live.is_parked = stored.is_parked
        if stored.is_parked and stored.state.header.is_terminal:
            live.namespace = stored.start.namespace
            self._clear_up(live)
        if not stored.is_parked:
            if live.is_stale:
                await self._recall(live)
            await self._enter(live, stored.start, stored.state)
            live.is_stale = False  # not before: if entering fails, others may have moved it on by the next try
        return False

    def _clear_up(self, live: Live) -> None:
        """Carry out what is left to do for a parked execution that was aborted: taking away, and nothing else."""
        commands = self._left_over.pop(live.id, ())
        removals = [command for command in commands if isinstance(command, REMOVALS)]
        self.hand_out(live, removals)
        self.drop_commands({records.command_id(live.id, command) for command in commands if command not in removals})

    async def _recall(self, live: Live) -> None:
        """Take up what was decided behind this copy's back: by another owner, or by a commit it never heard of.

        Its events are published before those of the next commit here, which may build upon them.
        """
        key = str(live.id)
        pending = await self._ports.store.pending(records.COMMANDS_TOPIC, key)
        self._left_over[live.id] = [records.read_command(message) for message in pending]
        await self.recall_events(key)

    async def _enter(self, live: Live, start: queue_pb2.Start, state: ExecutionState) -> None:
        plan = Plan(await self._definitions.closure(EntityId.of(start.workflow_id)))
        commands = self._left_over.get(live.id, ())
        for node in _needed(state, commands):
            if node.graph_uri:
                plan.generated[node.id] = Closure(await dynamic.load(self._ports.blobs, node.graph_uri))
        earlier: Sequence[recovery.Earlier] = ()
        if start.HasField("recover_from"):
            source = ExecutionId.of(start.recover_from)
            earlier = await self._ports.store.read(lambda connection: recovery.load(connection, source, self._root_uri))
            state.earlier = [one.nodes for one in earlier]
        live.loaded = Definition(start, state, plan, earlier)
        live.namespace = start.namespace
        self.entered(live)
        self._left_over.pop(live.id, None)
        self.hand_out(live, commands)

    async def _park(self, live: Live, batch: Sequence[Seen], error: Exception) -> None:
        log.error("execution_parked", execution=str(live.id), exc_info=error)
        live.is_parked = True
        reason = f"{type(error).__name__}: {error}"
        evidence = "\n".join([*(repr(seen.observation) for seen in batch), traceback.format_exc()])
        start = next((one.start for one in batch if one.start is not None), None)
        at = self._ports.clock.now()

        def change(transaction: Transaction) -> None:
            if start is not None:
                records.keep(transaction, start, self._fresh(live, start))
            records.park(transaction, live.id, reason, evidence, at)

        await self._write(live, change)


def _needed(state: ExecutionState, commands: Sequence[Command]) -> list[NodeState]:
    """The nodes under way, and those that something is still to be done about, with all that they lie in."""
    lookup = state.nodes.__getitem__
    ended = {command.node_id for command in commands if command.node_id in state.nodes} - state.active
    around = {outer.id for node_id in ended for outer in scopes.outwards(lookup, lookup(node_id))}
    return [lookup(node_id) for node_id in sorted(state.active | around)]


async def _nothing_to_recall(key: str) -> None:
    """For a worker whose events nobody publishes."""


async def _nothing_to_clear(id: ExecutionId) -> None:
    """For a worker without Pods."""
