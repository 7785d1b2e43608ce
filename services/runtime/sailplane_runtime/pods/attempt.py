"""One attempt in the launcher's memory, and its status as Kubernetes would show it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sailplane_core.ports import ContainerStatus, PodPhase, PodStatus

from .attempt_files import AttemptFiles, Exit, ProcessId
from .command import Command
from .supervisors import SupervisorProcess

LOG_TAIL_BYTES_MAX = 2048
"""How much of a failed container's log its status carries, as on Kubernetes."""

LOST_MESSAGE = "its process is gone, and nobody wrote down how it ended"


class Stage(StrEnum):
    """How far it is. WAITING: for capacity. STARTING: a supervisor was asked. LOST: it ended, and nobody knows how."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"


@dataclass(slots=True, eq=False)
class Attempt:
    """What the launcher knows about one Pod. `command` is kept only until it has ended."""

    namespace: str
    name: str
    container: str
    labels: Mapping[str, str]
    files: AttemptFiles
    ensured_at: datetime
    command: Command | None = None
    stage: Stage = Stage.WAITING
    note: str = ""
    """What people should know about its waiting or running."""
    process: ProcessId | None = None
    host: SupervisorProcess | None = None
    """The supervisor that was asked to start it; None once it's watched without one."""
    started_at: datetime | None = None
    exit: Exit | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])
    removal: "asyncio.Task[None] | None" = None

    @property
    def id(self) -> str:
        """What supervisors call it."""
        return f"{self.namespace}/{self.name}"

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or will run."""
        return self.stage in (Stage.ENDED, Stage.LOST)

    def status(self, node_name: str) -> PodStatus:
        """Its present status."""
        match self.stage:
            case Stage.WAITING:
                phase, containers = PodPhase.PENDING, ()
            case Stage.STARTING:
                phase, containers = PodPhase.PENDING, (ContainerStatus(self.container, "waiting", "ContainerCreating"),)
            case Stage.RUNNING:
                phase = PodPhase.RUNNING
                containers = (ContainerStatus(self.container, "running", started_at=self.started_at),)
            case Stage.ENDED:
                container = self._terminated()
                phase = PodPhase.SUCCEEDED if container.exit_code == 0 else PodPhase.FAILED
                containers = (container,)
            case Stage.LOST:
                phase, containers = PodPhase.MISSING, ()
        return PodStatus(
            name=self.name,
            namespace=self.namespace,
            phase=phase,
            labels=self.labels,
            message=LOST_MESSAGE if self.stage is Stage.LOST else self.note,
            unschedulable=self.stage is Stage.WAITING,
            deleting=self.removal is not None,
            containers=containers,
            node_name=node_name,
            since=self._since(),
        )

    def _terminated(self) -> ContainerStatus:
        end = self.exit or Exit(0)
        failed = end.code != 0
        return ContainerStatus(
            name=self.container,
            state="terminated",
            reason=end.reason or ("Error" if failed else "Completed"),
            message=end.message or (self.files.log_tail(LOG_TAIL_BYTES_MAX) if failed else ""),
            exit_code=end.code,
            signal=end.signal or None,
            started_at=end.started_at,
            finished_at=end.finished_at,
        )

    def _since(self) -> datetime | None:
        if self.exit is not None:
            return self.exit.finished_at
        return self.started_at or self.ensured_at
