"""What the hands that carry commands out have at hand."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps

from sailplane_core.failures import Failure
from sailplane_core.machine import BindingFailed, Command, NodeState, Observation
from sailplane_protos.core import literals_pb2

from . import inputs
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
BoundHand = Callable[[Tools, Live, NodeState, literals_pb2.LiteralMap], Awaitable[Observation | None]]
"""The same with the node's inputs, which are resolved and stored before."""
LastHand = Callable[[Tools, Live, Command], Awaitable[Observation | None]]
"""The same for commands about nodes that have ended."""


def with_inputs(hand: BoundHand) -> Hand:
    """A hand that begins with the node's inputs. If they cannot be had, then that is what is seen, and nothing else."""

    @wraps(hand)
    async def bind_first(tools: Tools, live: Live, node: NodeState) -> Observation | None:
        bound = await inputs.write(tools.literals, live.definition, node)
        if isinstance(bound, Failure):
            return BindingFailed(node.id, node.attempt, bound)
        return await hand(tools, live, node, bound)

    return bind_first
