"""What all kinds of nodes have in common: how one ends, and how that is told."""

from dataclasses import replace

from ..failures import Failure
from ..phases import NodePhase
from . import report
from .state import NodeState
from .step import Step


def run(step: Step, node: NodeState) -> NodeState:
    """It has begun to do what it is for."""
    running = step.move(node, NodePhase.RUNNING)
    report.node(step, running, NodePhase.RUNNING)
    return running


def succeed(step: Step, node: NodeState, outputs_uri: str, *, catalog: bytes = b"") -> None:
    """It has its outputs."""
    done = step.move(replace(node, outputs_uri=outputs_uri, reason=""), NodePhase.SUCCEEDED)
    report.node(step, done, NodePhase.SUCCEEDED, catalog=catalog)


def fail(step: Step, node: NodeState, failure: Failure, phase: NodePhase = NodePhase.FAILED) -> None:
    """It ends without outputs: FAILED, ABORTED or TIMED_OUT."""
    report.node(step, step.move(replace(node, failure=failure), phase), phase)
