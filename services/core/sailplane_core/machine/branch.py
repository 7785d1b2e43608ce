"""Branch nodes: conditions choose one case, and its outputs are the branch's. The other cases leave no trace."""

from ..failures import Failure
from ..phases import NODE_DONE, NodePhase
from . import lifecycle
from .commands import TakeBranch
from .observations import BindingFailed, BranchTaken, NodeObservation
from .state import NodeState
from .step import Step


def ready(step: Step, node: NodeState) -> None:
    """Everything that a condition or a case may need is there: evaluate the conditions."""
    step.do(TakeBranch(node.id, node.attempt))


def observe(step: Step, node: NodeState, seen: NodeObservation) -> None:
    """A case was chosen and begins, or none can be."""
    match seen:
        case BranchTaken(case_id=case_id) if node.phase is NodePhase.QUEUED:
            running = lifecycle.run(step, node)
            step.begin(running.id, case_id)
        case BindingFailed(failure=failure) if node.phase is NodePhase.QUEUED:
            lifecycle.fail(step, node, failure)
        case _:
            pass


def abort(step: Step, node: NodeState, failure: Failure, phase: NodePhase) -> None:
    """The case is ended by whoever ends the node; nothing else is left behind."""
    lifecycle.fail(step, node, failure, phase)


def outputs(step: Step, node: NodeState) -> str:
    """Those of the case that was taken."""
    cases = (step.find(step.id_in(node.id, case_id)) for case_id in step.graph(node.id).nodes)
    return next(case.outputs_uri for case in cases if case is not None)


def child_ended(step: Step, node: NodeState, child: NodeState) -> Failure | None:
    """The case ended; why the branch fails, if it does."""
    if child.phase in NODE_DONE:
        lifecycle.succeed(step, node, outputs(step, node))
        return None
    return child.failure


def fail(step: Step, node: NodeState, failure: Failure) -> None:
    """The case failed, and the branch with it."""
    lifecycle.fail(step, node, failure)
