"""Gates that wait for a signal: asking admin for it, and what its value makes of the gate."""

from sailplane_core.failures import Failure, FailureKind
from sailplane_core.machine import NodeState, Observation, SignalTaken
from sailplane_core.types import accepts, describe
from sailplane_protos.core import literals_pb2, types_pb2

from .live import Live
from .tools import Tools, with_inputs

REJECTED = "ReceivedRejectSignal"
"""Flyte's code."""


@with_inputs
async def take_signal(tools: Tools, live: Live, node: NodeState, bound: literals_pb2.LiteralMap) -> Observation | None:
    """`AwaitSignal` and `TakeSignal`: register the signal; if it has its value, write what the gate gives.

    An approval passes on what the gate was given, a signal gives its value. Gates that share a signal share its type,
    which is that of the gate that asked first.
    """
    gate = live.definition.spec(node).gate_node
    if gate.WhichOneof("condition") == "approve":
        signal_id, declared = gate.approve.signal_id, types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
    else:
        signal_id, declared = gate.signal.signal_id, gate.signal.type
    value = await tools.ports.admin.signal(live.id, signal_id, declared)
    if value is None:
        return None
    if not accepts(declared, value):
        message = f"the value of signal {signal_id!r} is not of type {describe(declared)}, which this gate waits for"
        return SignalTaken(node.id, node.attempt, _failure("SignalTypeMismatch", message))
    if gate.WhichOneof("condition") == "signal":
        bound = literals_pb2.LiteralMap(literals={gate.signal.output_variable_name: value})
    elif not value.scalar.primitive.boolean:
        return SignalTaken(node.id, node.attempt, _failure(REJECTED, f"signal {signal_id!r} was rejected"))
    await tools.literals.write(live.definition.layout.outputs_uri(node.id, node.attempt), bound)
    return SignalTaken(node.id, node.attempt)


def _failure(code: str, message: str) -> Failure:
    return Failure(code, message, FailureKind.USER, retryable=False)
