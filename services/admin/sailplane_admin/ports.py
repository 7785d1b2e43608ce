"""What admin needs from the outside, in one value, and its settings."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from sailplane_core.errors import InvalidRequest
from sailplane_core.ports import BlobStore, Clock, Notifier
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.notifiers.router import Notifiers
from sailplane_runtime.notifiers.settings import NotificationSettings
from sailplane_runtime.store.port import Store
from sailplane_runtime.turns import Turns

from .cache import EntityCache, KeyCache, RowIdCache
from .changes import Changes

MIB = 1024 * 1024
SIGNED_URL_S_MAX = 3600
"""Who finds one in a log should not be able to use it the next day."""


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """How this installation behaves. Durations are in seconds, sizes in bytes."""

    domains: tuple[str, ...] = ("development", "staging", "production")
    """Every project has all of them; their ids are their names."""

    default_projects: tuple[str, ...] = ("flytesnacks",)
    """Registered at the first start. The one that Flyte's examples and clients assume."""

    nodes_max: int = 50_000
    """Nodes of one workflow, sub-workflows included. Flyte stops at 100 because it keeps a run in one object."""

    inline_data_bytes_max: int = 2 * MIB
    """Inputs and outputs up to this size are sent within a reply; larger ones by URL. Flyte's limit."""

    literals_bytes_max: int = 16 * MIB
    """What GetData reads at most. flytekit takes replies of up to 20 MiB."""

    external_resources_max: int = 10_000
    """External resources that a reply shows, such as the elements of a map: the first of an attempt, by index."""

    external_resources_bytes_max: int = 3 * MIB
    """What they may take in a reply. gRPC's clients refuse replies of more than 4 MiB, unless they say otherwise."""

    max_parallelism: int = 25
    """Nodes of an execution that run at one time, when neither request nor launch plan says. Flyte's default."""

    waiting_executions_max: int = 1_000
    """Executions of one launch plan that wait for others to end (`ConcurrencyPolicy`). One more is refused."""

    watchers_max: int = 1_000
    """Calls of WatchExecution at one time. Each may hold two messages in memory, more are refused."""

    watch_rows_max: int = 200
    """Nodes and attempts in one message to a watcher: so many are read in about a millisecond."""

    watch_bytes_max: int = 1 * MIB
    """What they may take before the message is closed. Far below the 4 MiB that gRPC's clients take."""

    watch_resources_max: int = 100
    """External resources in one message to a watcher, shared by its attempts. A map's progress is told often."""

    watch_look_every_s: float = 1.0
    """Between two looks for changes that another admin has recorded, for each execution that is watched."""

    watch_heartbeat_s: float = 30.0
    """A watcher that is told nothing gets an empty message so often. Proxies cut what is silent for longer."""

    log_readers_max: int = 200
    """Calls of TailLogs at one time. Each may hold a chunk of a log in memory, more are refused."""

    namespace_template: str = "{project}-{domain}"
    """The Kubernetes namespace of a project and domain."""

    upload_expires_in_s: float = 3600.0
    """The longest life of a signed upload URL; also what a request gets that asks for none."""

    download_expires_in_s: float = 3600.0
    """The same for downloads."""

    audit_rows_max: int = 1_000_000
    """Calls in the record of who has done what; the oldest are deleted."""

    retention_every_s: float = 3600.0
    """Between two looks for executions that are to be deleted. What is begun is gone on with at once."""

    notifications_at_once: int = 32
    """Messages of ended executions that are being sent at one time."""

    notifications_of_route_at_once: int = 4
    """Of them by mail, and through each channel: a dead one holds up no other. Mail servers count connections."""

    notification_retry_s: float = 5.0
    """Before a message that was not taken is sent again; doubled with each further time."""

    notification_retry_s_max: float = 300.0
    """The longest such pause."""

    notification_give_up_s: float = 86_400.0
    """A message that nobody has taken for so long is given up. A day, for an outage over night."""

    notification_rows_max: int = 1_000_000
    """Messages that are remembered; the oldest are deleted, unless they are still to be sent."""

    version: str = "0.1.0"
    """Of this program, as GetVersion tells it."""

    def __post_init__(self) -> None:
        """Raises `InvalidRequest` for what may not be."""
        for name in ("upload_expires_in_s", "download_expires_in_s"):
            if getattr(self, name) > SIGNED_URL_S_MAX:
                raise InvalidRequest.invalid(name, f"a signed URL is good for {SIGNED_URL_S_MAX} s at most")

    build: str = ""
    """The revision it was built from; "" when nobody says."""

    build_time: str = ""
    """When it was built, RFC 3339; "" when nobody says."""


class LogSource(Protocol):
    """Whoever runs Pods, asked for what they write."""

    def log(self, namespace: str, pod: str, offset: int, *, follow: bool) -> AsyncGenerator[bytes]:
        """A Pod's output after the first `offset` bytes, and with `follow` what comes until it ends.

        Raises `NotFound` when there is no such Pod, and `Unavailable`.
        """
        ...


@dataclass(frozen=True, slots=True)
class AdminPorts:
    """The outside, as admin sees it, and what it remembers of it."""

    store: Store
    blobs: BlobStore
    clock: Clock
    settings: AdminSettings = AdminSettings()
    cache: EntityCache = field(default_factory=EntityCache)
    row_ids: RowIdCache = field(default_factory=RowIdCache)
    page_key: KeyCache = field(default_factory=KeyCache)
    turns: Turns = field(default_factory=Turns)
    changes: Changes = field(default_factory=Changes)
    deleting: asyncio.Lock = field(default_factory=asyncio.Lock)
    notifier: Notifier = field(default_factory=partial(Notifiers, NotificationSettings(), SystemClock()))
    """Without settings, one that has neither a mail server nor channels."""
    deliveries_owed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be a message to send."""
    logs: LogSource | None = None
    """None where nobody can be asked: then only logs that were kept can be read."""
