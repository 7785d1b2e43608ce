"""What the scheduler needs from the outside, in one value, and its settings."""

from dataclasses import dataclass

from sailplane_core.ports import Clock, Queue
from sailplane_runtime.store.port import Store


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """How the scheduler behaves. Durations are in seconds."""

    deliveries_at_once: int = 128
    """Changes that are stored with one commit."""

    retry_delay_s: float = 1.0
    """Pause before changes that could not be stored are taken again."""


@dataclass(frozen=True, slots=True)
class SchedulerPorts:
    """The outside, as the scheduler sees it."""

    store: Store
    queue: Queue
    clock: Clock
    settings: SchedulerSettings = SchedulerSettings()
