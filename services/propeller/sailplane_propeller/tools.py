"""What the hands that carry commands out have at hand."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sailplane_core.machine import Command, NodeState, Observation

from .inputs import Literals
from .live import Live
from .logs import Logs
from .pods import PodNames
from .ports import PropellerPorts


@dataclass(frozen=True, slots=True)
class Tools:
    """The outside, and what is remembered of it."""

    ports: PropellerPorts
    literals: Literals
    names: PodNames
    logs: Logs


Hand = Callable[[Tools, Live, NodeState], Awaitable[Observation | None]]
"""Carries out one kind of command about a node whose present attempt it is. None when nothing is to be seen of it."""
LastHand = Callable[[Tools, Live, Command], Awaitable[Observation | None]]
"""The same for commands about nodes that have ended."""
