"""The safety net: what nobody reports on any more is found by looking, now and then.

In the happy path nothing depends on it. It finds Pods that should be running and that the launcher does not know
(somebody removed them by hand): the attempt ended without a result. It asks admin about child executions whose end it
was not told. And it removes the Pods of executions that ended long ago, or that this propeller never heard of, and
those that run although no attempt needs them: a propeller that stood still may have started one after its time.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sailplane_core.errors import SailplaneError
from sailplane_core.ids import ExecutionId, pod_name
from sailplane_core.machine import NodeState, Observation
from sailplane_core.phases import NodePhase
from sailplane_core.ports import PodPhase, PodStatus

from . import children, records
from .live import Live
from .logs import Logs
from .pods import has_pod
from .ports import PropellerPorts
from .watch import Watcher, owner_of

log = structlog.get_logger(__name__)

EXECUTIONS_AT_ONCE = 1000
"""Of one query; SQLite takes 32,766 parameters."""

LATE_PART = 10
"""A look that comes later than this part of an interval is the first of two again."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_Pod = tuple[str, str]
"""Namespace and name."""


class Sweeper:
    """Looks every `sweep_interval_s`."""

    def __init__(
        self,
        ports: PropellerPorts,
        watcher: Watcher,
        in_service: Callable[[], Sequence[Live]],
        post: Callable[[ExecutionId, Observation], None],
    ) -> None:
        self._ports = ports
        self._post = post
        self._watcher = watcher
        self._in_service = in_service
        self._logs = Logs(ports)
        self._suspects: set[_Pod] = set()
        self._strays: set[_Pod] = set()

    async def run(self) -> None:
        """Sweep for ever."""
        clock, interval = self._ports.clock, timedelta(seconds=self._ports.settings.sweep_interval_s)
        while True:
            due = clock.now() + interval
            await clock.sleep_until(due)
            if clock.now() - due > interval / LATE_PART:
                self._suspects.clear()  # what was reported while this process stood still may not be heard yet
                self._strays.clear()
            try:
                await self.sweep()
            except SailplaneError as error:
                log.warning("sweep_skipped", reason=str(error))

    async def sweep(self) -> None:
        """One look."""
        self._report_missing()
        await self._look_at_children()
        await self._remove_old()

    async def _look_at_children(self) -> None:
        """Ask how the children stand whose end was not told, in case the message was lost."""
        for live in self._in_service():
            for node in _nodes_with_child(live):
                child = ExecutionId(live.id.project, live.id.domain, node.child_name)
                try:
                    ended = await children.look(self._ports.admin, node.id, child)
                except SailplaneError as error:  # about this child; the others may be found
                    log.warning("child_not_found_out", execution=str(child), reason=str(error))
                    continue
                if ended is not None:
                    self._post(live.id, ended)

    def _report_missing(self) -> None:
        """A Pod that is missing at two looks in a row is missing: one look may fall between launch and report."""
        missing = {
            pod for live in self._in_service() for pod in self._expected(live) if pod not in self._watcher.latest
        }
        for namespace, name in sorted(missing & self._suspects):
            self._watcher.take(PodStatus(name, namespace, PodPhase.MISSING))
        self._suspects = missing

    def _expected(self, live: Live) -> Sequence[tuple[str, str]]:
        """The Pods that must exist: launched, not ended, and no command about their node under way."""
        if live.loaded is None or live.is_parked:
            return []
        nodes = (live.loaded.state.nodes[node_id] for node_id in live.loaded.state.active)
        return [
            (live.namespace, pod_name(live.id, node.id, node.attempt))
            for node in nodes
            if has_pod(node) and node.id not in live.chains
        ]

    async def _remove_old(self) -> None:
        """Remove the Pods of what ended long ago and of what nobody knows, and what runs for no attempt under way.

        Of all others that ended, the oldest are removed if there are too many.
        """
        settings, now = self._ports.settings, self._ports.clock.now()
        owners = {pod: str(owner) for pod, status in self._watcher.latest.items() if (owner := owner_of(status))}
        ids = sorted(set(owners.values()))
        known: dict[str, datetime | None] = {}
        for start in range(0, len(ids), EXECUTIONS_AT_ONCE):
            known |= await self._ports.store.read(partial(records.ends, ids=ids[start : start + EXECUTIONS_AT_ONCE]))
        before = now - timedelta(seconds=settings.pod_retention_s)
        ended = {id for id, at in known.items() if at is not None and at < now}
        ended_long_ago = {id for id, at in known.items() if at is not None and at < before}
        await self._remove(pod for pod, id in owners.items() if id in ended_long_ago)
        await self._remove((pod for pod, id in owners.items() if id not in known), keeps_logs=False)
        left = {pod: id for pod, id in owners.items() if pod in self._watcher.latest}
        unneeded = self._unneeded(left, ended)
        strays = {pod for pod in unneeded if not self._is_over(pod)}
        await self._remove(sorted(strays & self._strays))  # at two looks in a row: its last word may be on its way
        self._strays = strays
        over = [pod for pod in unneeded if pod not in strays]
        over.sort(key=lambda pod: self._watcher.latest[pod].since or _LONG_AGO)
        await self._remove(over[: max(0, len(left) - settings.pods_kept_max)])

    def _unneeded(self, owners: Mapping[_Pod, str], ended: Collection[str]) -> Sequence[_Pod]:
        """The Pods that no attempt under way needs. Executions that are not at hand may need all of theirs."""
        settled = set(ended)
        needed: set[_Pod] = set()
        for live in self._in_service():
            if live.loaded is not None and not live.is_parked:
                settled.add(str(live.id))
                state = live.loaded.state
                nodes = (state.nodes[node_id] for node_id in (*state.active, *state.removing))
                needed |= {(live.namespace, pod_name(live.id, node.id, node.attempt)) for node in nodes}
        return [pod for pod, id in owners.items() if id in settled and pod not in needed]

    def _is_over(self, pod: _Pod) -> bool:
        return self._watcher.latest[pod].phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)

    async def clear(self, id: ExecutionId) -> None:
        """Remove the Pods of an execution that was forgotten: one that takes its name would take them for its own."""
        pods = [pod for pod, status in self._watcher.latest.items() if owner_of(status) == id]
        await self._remove(pods, keeps_logs=False)

    async def _remove(self, pods: Iterable[_Pod], *, keeps_logs: bool = True) -> None:
        """Remove Pods. Logs are not kept for what is not known any more: nobody would ever delete them."""
        for pod in pods:
            status = self._watcher.latest.get(pod)
            owner = owner_of(status) if status is not None else None
            if owner is not None and keeps_logs:
                await self._logs.keep(owner, *pod)
            await self._ports.launcher.remove(*pod)
            self._watcher.latest.pop(pod, None)


def _nodes_with_child(live: Live) -> list[NodeState]:
    """The nodes whose child was started or is being ended, with no command about them under way."""
    if live.loaded is None or live.is_parked:
        return []
    state = live.loaded.state
    nodes = [state.nodes[node_id] for node_id in sorted(state.active | state.removing)]
    awaited = [node for node in nodes if node.child_name and (node.removing or node.phase is NodePhase.RUNNING)]
    return [node for node in awaited if node.id not in live.chains]
