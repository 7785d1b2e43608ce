"""The hands: carries out what the machine decided, after it was committed.

Each command is idempotent, is looked at again right before it is done (the node may have moved on), and is confirmed
in the outbox when it is done; one that leads to an observation only after what the observation led to is committed,
or a crash in between would lose it. Commands about one node are carried out one after another, so that removing a Pod
never overtakes launching it; different nodes go on side by side.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from sailplane_core import podspec
from sailplane_core.bindings import BindingFailed as Unbound
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, Unavailable
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import ExecutionId, pod_name
from sailplane_core.layout import Layout
from sailplane_core.machine import (
    BindingFailed,
    BindInputs,
    Command,
    InputsBound,
    LaunchFailed,
    LaunchPod,
    NodeKind,
    NodeState,
    Observation,
    PodRemoved,
    RemovePod,
)
from sailplane_protos.core import literals_pb2

from . import records
from .inputs import Literals, bind
from .live import Live
from .pods import PodNames, pod_context
from .ports import PropellerPorts

log = structlog.get_logger(__name__)

TRIES_MAX = 5
"""How often an unexpected error is met with another try before the attempt is given up as a system failure."""


class Performers:
    """Carries commands out."""

    def __init__(
        self,
        ports: PropellerPorts,
        names: PodNames,
        literals: Literals,
        post: Callable[[ExecutionId, Observation, str], None],
        idle: Callable[[Live], None],
    ) -> None:
        self._ports = ports
        self._names = names
        self._post = post
        self._idle = idle
        self._literals = literals
        self._places = asyncio.Semaphore(ports.settings.performers_max)

    def hand_out(self, live: Live, commands: Sequence[Command]) -> None:
        """Begin to carry out an execution's commands."""
        for command in commands:
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
        async with self._places:
            seen = await self._until_done(live, command)
        id = records.command_id(live.id, command)
        if seen is None:
            await self._ports.store.confirm([id])
        else:
            self._post(live.id, seen, id)

    async def _until_done(self, live: Live, command: Command) -> Observation | None:
        """Carry a command out, waiting for what is unavailable; an error that stays becomes a failed attempt."""
        delay_s, tries = self._ports.settings.retry_delay_s, 0
        while True:
            try:
                await self._ports.turns.next()
                return await self._perform(live, command)
            except (Unavailable, LimitReached) as error:
                log.warning("command_waits", execution=str(live.id), command=repr(command), reason=str(error))
            except Exception as error:  # one attempt suffers, not the engine
                log.exception("command_failed", execution=str(live.id), command=repr(command))
                tries += 1
                given_up = _gave_up(command, error, tries)
                if given_up is not None:
                    return given_up
            await self._ports.clock.sleep_until(self._ports.clock.now() + timedelta(seconds=delay_s))
            delay_s = min(2 * delay_s, self._ports.settings.retry_delay_s_max)

    async def _perform(self, live: Live, command: Command) -> Observation | None:
        match command:
            case BindInputs():
                return await self._bind_inputs(live, command)
            case LaunchPod():
                return await self._launch_pod(live, command)
            case RemovePod():
                return await self._remove_pod(live, command)

    async def _bind_inputs(self, live: Live, command: BindInputs) -> Observation | None:
        node = _current(live, command)
        if node is None:
            return None
        layout = _layout(live)
        is_end = node.kind is NodeKind.END
        uri = layout.outputs_uri(node.id, node.attempt) if is_end else layout.inputs_uri(node.id)
        bound = await self._write_inputs(live, node, uri)
        if isinstance(bound, Failure):
            return BindingFailed(node.id, node.attempt, bound)
        return InputsBound(node.id, node.attempt)

    async def _launch_pod(self, live: Live, command: LaunchPod) -> Observation | None:
        node = _current(live, command)
        if node is None:
            return None
        inputs = await self._write_inputs(live, node, _layout(live).inputs_uri(node.id))
        if isinstance(inputs, Failure):
            return BindingFailed(node.id, node.attempt, inputs)
        context = pod_context(live, node, inputs, self._ports.settings.task_envs)
        pod = podspec.build(context)
        if podspec.needs_task_template(context.task):
            await self._ports.blobs.put(context.task_template_uri, context.task.SerializeToString())
        self._names.add(live, node, pod.primary_container)
        if _current(live, command) is not None:
            await self._ports.launcher.ensure(pod)
        return None

    async def _remove_pod(self, live: Live, command: RemovePod) -> Observation | None:
        namespace, name = live.namespace, pod_name(live.id, command.node_id, command.attempt)
        await self._ports.launcher.remove(namespace, name)
        self._names.discard(namespace, name)
        return PodRemoved(command.node_id, command.attempt)

    async def _write_inputs(self, live: Live, node: NodeState, uri: str) -> literals_pb2.LiteralMap | Failure:
        """Resolve and store a node's inputs; what is wrong with them, if they cannot be made."""
        try:
            inputs = await bind(self._literals, live.definition, node)
            await self._literals.write(uri, inputs)
        except Unbound as error:
            return error.failure
        except NotFound as error:
            message = f"an input of node {node.id} cannot be read: {error}"
            return Failure("BindingResolutionFailure", message, FailureKind.SYSTEM, retryable=False)
        return inputs


def _current(live: Live, command: Command) -> NodeState | None:
    """The node, if the command is still about its present attempt."""
    node = live.definition.state.nodes.get(command.node_id)
    return node if node is not None and node.attempt == command.attempt and not node.is_terminal else None


def _gave_up(command: Command, error: Exception, tries: int) -> Observation | None:
    """What a command that keeps failing comes to; None to try again. A Pod is never given up before it is gone."""
    if isinstance(error, InvalidRequest):
        failure = Failure("BadTaskFormat", str(error), FailureKind.USER, retryable=False)
    elif tries >= TRIES_MAX:
        failure = Failure("CommandFailed", "the engine failed to begin this attempt", FailureKind.SYSTEM)
    else:
        return None
    match command:
        case BindInputs():
            return BindingFailed(command.node_id, command.attempt, failure)
        case LaunchPod():
            return LaunchFailed(command.node_id, command.attempt, failure)
        case RemovePod():
            return None


def _layout(live: Live) -> Layout:
    start = live.definition.state.start
    return Layout(start.root_uri, start.raw_prefix, start.id)
