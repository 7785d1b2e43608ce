"""The ports: everything the services need from the outside, as contracts.

Each port has an implementation for a cluster and one for a laptop, and one conformance suite
(`tests/conformance/`) that runs on all of them. The Store port speaks SQL, so it stands with its
implementation in `sailplane_runtime.store`.
"""

from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from .notifications import Notice


class Clock(Protocol):
    """Time enters the system here and nowhere else."""

    def now(self) -> datetime:
        """The present, timezone-aware, in UTC. Never goes backwards within one process."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return once `now() >= when`; at once if that is already so. Cancellable."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a queue.

    `key` orders: messages of one key are handled one at a time, in the order published. `id` is derived from what
    the message says, so that publishing it twice is recognised. `payload` is a serialised protobuf envelope.
    """

    topic: str
    key: str
    id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message handed to one consumer, who holds a claim on its key until `ack`, `nack` or `claim_ttl_s` passes.

    `tries` counts deliveries of this message, this one included. `receipt` fences: an ack with an old one is ignored.
    """

    message: Message
    tries: int
    receipt: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that failed `deliveries_max` times and waits for a person. `reason` is the last nack's text."""

    message: Message
    tries: int
    reason: str
    parked_at: datetime


class Queue(Protocol):
    """A doorbell, not a store: SQL holds the truth, and whoever published can publish again.

    At least once: a message comes again if its consumer dies, stalls beyond the claim, or nacks. One key at a time:
    while one message of a key is claimed, no other of that key is delivered, to anybody. Delivery limit: what failed
    `deliveries_max` times becomes a dead letter, and its key goes on. Publishing an id that is still waiting,
    claimed or parked is a no-op.
    """

    async def publish(self, messages: Sequence[Message]) -> None:
        """Append the messages, and wake waiting consumers."""
        ...

    async def receive(self, topic: str, count_max: int) -> Sequence[Delivery]:
        """Wait until at least one message is due, then claim up to `count_max`, each of another key."""
        ...

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """The effect is committed. Frees the keys and tells the publisher (`confirmed`). Stale receipts are ignored."""
        ...

    async def nack(self, delivery: Delivery, reason: str, delay_s: float = 0.0) -> None:
        """It failed; deliver it again after `delay_s`, or park it when the limit is reached."""
        ...

    async def extend(self, delivery: Delivery) -> bool:
        """Renew the claim; False if it was lost, and then the work must be dropped."""
        ...

    def confirmed(self, topic: str) -> AsyncIterator[Sequence[str]]:
        """Ids of messages of `topic` that the publisher may forget, in batches, from this call on (the relay's).

        Acked, dropped, or parked in a queue that outlives this process.
        """
        ...

    async def dead_letters(self, topic: str) -> Sequence[DeadLetter]:
        """Everything parked, oldest first."""
        ...

    async def requeue(self, topic: str, id: str) -> bool:
        """Give a dead letter a fresh set of deliveries; False if there is none with this id."""
        ...

    async def drop(self, topic: str, id: str) -> bool:
        """Forget a dead letter; False if there is none with this id."""
        ...


@dataclass(frozen=True, slots=True)
class Pod:
    """What to run: a Kubernetes core/v1 Pod as plain JSON values, built by `sailplane_core.podspec`.

    `name` is unique in `namespace` and identifies the attempt. `primary_container` decides the Pod's outcome.
    """

    name: str
    namespace: str
    primary_container: str
    manifest: Mapping[str, Any]


class PodPhase(StrEnum):
    """Kubernetes' own five, plus MISSING: it was ensured, and nobody knows it any more."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"
    MISSING = "Missing"


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """One container. `exit_code` and `signal` are None until it ended; `reason` is Kubernetes' word (`OOMKilled`)."""

    name: str
    state: str
    """`waiting`, `running` or `terminated`."""
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodStatus:
    """What is so about a Pod now. A later status of the same Pod replaces an earlier one."""

    name: str
    namespace: str
    phase: PodPhase
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    reason: str = ""
    message: str = ""
    unschedulable: bool = False
    """True while it waits for capacity; `message` says for which."""
    deleting: bool = False
    """True once its removal was asked for by somebody."""
    containers: Sequence[ContainerStatus] = ()
    node_name: str = ""
    since: datetime | None = None
    """When it entered this phase, where the launcher knows."""


class PodLauncher(Protocol):
    """Runs Pods. Idempotent by name, and either side may restart at any moment."""

    async def ensure(self, pod: Pod) -> None:
        """Make it run, once: if a Pod of this name runs or has ended, nothing happens.

        Returns when the launcher has taken it over durably, not when it runs. Raises `InvalidRequest` when the Pod
        can never run here (its message says why) and `Unavailable` when asking again may help.
        """
        ...

    async def remove(self, namespace: str, name: str) -> None:
        """Stop it with everything it started, and forget it. Unknown names are fine."""
        ...

    def observe(self) -> AsyncIterator[PodStatus]:
        """First the present status of every Pod ensured and not removed, then each change, for ever.

        One consumer. No outcome is missed: a Pod that ended while nobody watched is in the first part.
        """
        ...

    def log(self, namespace: str, name: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        """Its output so far, and with `follow` what comes until it ends. Raises `NotFound`.

        A `container` of "" is the one that decides how the Pod ends.
        """
        ...


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A stored object. `md5` is the raw 16-byte digest where the store knows it."""

    uri: str
    size_bytes: int
    modified_at: datetime
    md5: bytes | None = None


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A URL that carries its own permission. `headers` must be sent with it."""

    url: str
    expires_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class BlobStore(Protocol):
    """Objects by URI. A reader sees a whole object or none. All methods raise `Unavailable` when the store is away."""

    def uri(self, key: str) -> str:
        """The URI of a key relative to the root (`metadata/p/d/x/inputs.pb`). Raises `InvalidRequest` on `..`."""
        ...

    async def put(self, uri: str, data: bytes) -> None:
        """Store it, replacing what was there."""
        ...

    async def put_stream(self, uri: str, chunks: AsyncIterable[bytes]) -> None:
        """Store what the chunks make up together, replacing what was there; nothing, if they end in an error.

        For what is too large to be held in memory. Errors of the chunks are passed on as they are.
        """
        ...

    async def get(self, uri: str, *, start: int = 0, bytes_max: int | None = None) -> bytes:
        """The bytes from `start`, at most `bytes_max`. Raises `NotFound`, and `InvalidRequest` outside the root."""
        ...

    async def head(self, uri: str) -> BlobInfo:
        """Raises `NotFound`."""
        ...

    def list(self, prefix_uri: str) -> AsyncIterator[BlobInfo]:
        """Everything below the prefix, ordered by URI."""
        ...

    async def delete(self, uri: str) -> None:
        """Missing is fine."""
        ...

    async def sign(self, uri: str, method: str, expires_in_s: float, *, content_md5: bytes | None = None) -> SignedUrl:
        """A URL that permits `GET` or `PUT` of exactly this object until it expires."""
        ...


class Notifier(Protocol):
    """Tells people and programs of ended executions, at least once: what was taken may come again, with the same id."""

    @property
    def channels(self) -> Mapping[str, str]:
        """The kind of each channel that notifications may name."""
        ...

    @property
    def templates(self) -> Collection[str]:
        """The names of the templates that they may ask for."""
        ...

    @property
    def has_mail(self) -> bool:
        """Whether there is a mail server."""
        ...

    async def send(self, notice: Notice) -> None:
        """Return once the other side has taken the message. Raises `NotDelivered`, within a minute at the latest."""
        ...

    async def close(self) -> None:
        """Give up what is held. Nothing is sent after it."""
        ...
