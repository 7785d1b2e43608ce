"""Gate nodes: they wait for a while, for somebody's approval, or for a value that somebody gives."""

from ..durations import timedelta_of
from ..failures import Failure
from ..phases import NodePhase
from . import lifecycle
from .commands import AwaitSignal, SetTimer, TakeSignal, Timer
from .observations import BindingFailed, NodeObservation, SignalTaken, TimerFired
from .state import NodeState
from .step import Step


def ready(step: Step, node: NodeState) -> None:
    """Everything upstream is there: begin to wait."""
    running = lifecycle.run(step, node)
    gate = step.spec(running).gate_node
    if gate.WhichOneof("condition") == "sleep":
        wakes_at = step.now + timedelta_of(gate.sleep.duration)
        step.do(SetTimer(running.id, running.attempt, Timer.SLEEP, wakes_at))
    else:
        step.do(AwaitSignal(running.id, running.attempt))


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """What it waited for is there."""
    match seen:
        case TimerFired(timer=Timer.SLEEP):
            lifecycle.succeed(step, node, "")
        case SignalTaken(failure=None):
            lifecycle.succeed(step, node, outputs(step, node))
        case SignalTaken(failure=failure) if failure is not None:
            lifecycle.fail(step, node, failure)
        case BindingFailed(failure=failure):
            lifecycle.fail(step, node, failure)
        case _:
            pass


def abort(step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
    """Waiting leaves nothing behind."""
    lifecycle.fail(step, node, failure, phase)


def outputs(step: Step, node: NodeState) -> str:
    """The value given, or what was approved; a pause has none."""
    return step.layout.outputs_uri(node.id, node.attempt)


def signal_set(step: Step, node: NodeState, signal_id: str) -> None:
    """A signal of the execution has a value: take it if it is this gate's."""
    gate = step.spec(node).gate_node
    if signal_id in (gate.approve.signal_id, gate.signal.signal_id):
        step.do(TakeSignal(node.id, node.attempt))
