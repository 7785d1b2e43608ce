"""What propeller needs from the outside, in one value, and its settings."""

from dataclasses import dataclass, field
from typing import Protocol

from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import ExecutionId
from sailplane_core.ports import BlobStore, Clock, PodLauncher, Queue
from sailplane_protos.core import literals_pb2, types_pb2
from sailplane_runtime.store.port import Store
from sailplane_runtime.turns import Turns

from .catalog_client import CatalogPort
from .children import ExecutionSource
from .definitions import DefinitionSource
from .dynamic import Registry


@dataclass(frozen=True, slots=True)
class PropellerSettings:
    """How the engine behaves. Every duration is in seconds."""

    performers_max: int = 64
    """Commands carried out at one time; of the rest that one comes first whose queueing budget runs out first."""

    retry_delay_s: float = 0.5
    """First pause before something unavailable is tried again; doubles up to `retry_delay_s_max`."""

    retry_delay_s_max: float = 10.0
    """The longest such pause."""

    sweep_interval_s: float = 30.0
    """Between two looks for Pods that nobody reports on any more and for Pods whose execution is long over."""

    pod_retention_s: float = 24 * 3600.0
    """How long an ended execution's Pods, and with them their logs, are kept."""

    pods_kept_max: int = 10_000
    """How many Pods there may be before those that ended first are removed, even of executions that go on."""

    output_bytes_max: int = 64 * 1024 * 1024
    """A larger `outputs.pb` fails its node. Flyte stops at 2 MiB; large values belong into files."""

    system_retries: int = 3
    """Attempts that failures of the system may cost a node beyond its first one. Flyte's default."""

    retry_backoff_s: float = 0.25
    """Pause before a task is tried again, where it names none itself; doubles with each failure."""

    retry_backoff_max_s: float = 60.0
    """The longest such pause."""

    execution_max_s: float = 0.0
    """How long one attempt of a node without a timeout may take; 0 is for ever."""

    queued_max_s: float = 0.0
    """How long an attempt may wait before it runs, where its node does not say; 0 is for ever."""

    workflow_max_s: float = 0.0
    """How long an execution may take whose workflow does not say; 0 is for ever."""

    array_items_at_once_max: int = 1000
    """Items of an array under way at one time, where the array names no concurrency."""

    array_items_max: int = 100_000
    """Items of one array; more are refused."""

    cache_poll_s: float = 1.0
    """Between two looks whether somebody else has computed what a node waits for; after long waits up to 32 times."""

    graph_bytes_max: int = 64 * 1024 * 1024
    """The largest graph that a dynamic task may generate. 50,000 nodes of one task take some 10 MiB."""

    offload_min_mib: int = 10
    """Outputs of at least this size are stored apart by flytekit, beside `outputs.pb`; 0: none is. Flyte's default."""

    offload_max_mib: int = 1000
    """An output of at least this size fails its task, where outputs are stored apart. Flyte's default."""

    log_bytes_max: int = 64 * 1024 * 1024
    """What is kept of an attempt's log when it has ended: the first bytes. As much as a local process may write."""

    log_keep_timeout_s: float = 30.0
    """How long keeping a log may take. Then it is given up, so that the Pod can go."""

    log_links: dict[str, str] = field(default_factory=dict[str, str])
    """Links to an attempt's logs, by name: templates as in `sailplane_core.log_links`."""

    task_envs: dict[str, str] = field(default_factory=dict[str, str])
    """Put into every task's environment, such as the address of the control plane."""

    def __post_init__(self) -> None:
        """Raises `InvalidRequest` for what nothing could run with."""
        for name in ("performers_max", "array_items_at_once_max", "retry_delay_s"):
            if getattr(self, name) <= 0:
                raise InvalidRequest.invalid(name, "must be greater than 0")


class AdminPort(DefinitionSource, Registry, ExecutionSource, Protocol):
    """Everything the engine asks of admin."""

    @property
    def catalog(self) -> CatalogPort:
        """The cache of outputs."""
        ...

    async def signal(
        self, execution: ExecutionId, signal_id: str, declared: types_pb2.LiteralType
    ) -> literals_pb2.Literal | None:
        """The value of a gate's signal, None while it has none; the signal is registered if it was not.

        Raises `Unavailable`.
        """
        ...


@dataclass(frozen=True, slots=True)
class PropellerPorts:
    """The outside, as the engine sees it."""

    store: Store
    queue: Queue
    blobs: BlobStore
    launcher: PodLauncher
    clock: Clock
    admin: AdminPort
    settings: PropellerSettings = PropellerSettings()
    turns: Turns = field(default_factory=Turns)
