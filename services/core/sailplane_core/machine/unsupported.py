"""Node kinds that this engine does not walk: they fail, saying so, and never hang."""

from dataclasses import replace

from ..failures import Failure, FailureKind
from ..phases import NodePhase
from . import report
from .observations import NodeObservation
from .state import NodeState
from .step import Step


def ready(step: Step, node: NodeState) -> None:
    """Fail at once."""
    kind = step.spec(node).WhichOneof("target")
    failure = Failure(
        "NodeKindNotSupported", f"nodes of kind {kind} are not supported", FailureKind.USER, retryable=False
    )
    report.node(step, step.move(replace(node, failure=failure), NodePhase.FAILED), NodePhase.FAILED)


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """Nothing can be seen of a node that ended where it began."""


def abort(step: Step, node: NodeState, failure: Failure) -> None:
    """It is never active, so there is nothing to end."""
