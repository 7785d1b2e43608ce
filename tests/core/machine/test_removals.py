"""An execution ends, however it ends, when the Pods and child executions that it gave up are gone."""

from core.machine.language import Library
from core.machine.run import Run
from core.machine.world import FINAL
from sailplane_core.machine import (
    AbortRequested,
    ArrayOpened,
    ChildEnded,
    ChildGone,
    ChildStarted,
    InputsBound,
    ItemsGathered,
    LaunchPod,
    PodRemoved,
    RemovePod,
    SetTimer,
    Started,
    TaskEnded,
    TerminateChild,
    Timer,
    TimerFired,
    Transition,
)
from sailplane_core.phases import ExecutionPhase


def waiting_for_a_retry() -> Run:
    """The first attempt of `a` took too long; its Pod is being removed, and the second attempt waits."""
    library = Library()
    library.define("w", "a: task retries=1 backoff=10s timeout=30s\nb: task\non failure f: task")
    run = Run(library, "w")
    late = timer(run.see(Started()), Timer.EXECUTION)
    assert RemovePod("a", 0) in run.see(run.timer(late)).commands
    return run


def timer(transition: Transition, kind: Timer) -> SetTimer:
    """The first timer of a kind that was set."""
    return next(one for one in transition.commands if isinstance(one, SetTimer) and one.timer is kind)


def test_the_pod_of_an_attempt_that_is_over_is_waited_for_by_an_abort() -> None:
    run = waiting_for_a_retry()
    run.see(AbortRequested("enough", ""))
    run.see(PodRemoved("b", 0))
    assert run.state.header.phase is ExecutionPhase.ABORTING
    run.see(PodRemoved("a", 0))
    assert run.state.header.phase is ExecutionPhase.ABORTED


def test_the_pod_of_an_attempt_that_is_over_is_waited_for_by_the_failure_node() -> None:
    run = waiting_for_a_retry()
    assert run.see(TaskEnded("b", 0, FINAL)).commands == ()
    assert run.see(PodRemoved("a", 0)).commands == (LaunchPod("f", 0),)


def test_an_attempt_that_is_launched_waits_for_its_own_pod_only() -> None:
    run = waiting_for_a_retry()
    run.see(TimerFired("a", 1, Timer.RETRY))
    run.see(AbortRequested("enough", ""))
    run.see(PodRemoved("b", 0))
    run.see(PodRemoved("a", 0))
    assert run.state.header.phase is ExecutionPhase.ABORTING
    run.see(PodRemoved("a", 1))
    assert run.state.header.phase is ExecutionPhase.ABORTED


def one_child_too_late() -> Run:
    """Of two child executions one was enough; the outputs are there, and the other child has not ended."""
    library = Library()
    library.define("w", "m: array min_successes=1 size=2\n  l: launch-plan timeout=10s")
    run = Run(library, "w")
    run.see(Started())
    late = timer(run.see(ArrayOpened("m", 0, 2)), Timer.EXECUTION)
    run.see(ChildStarted("m-0-n0", 0), ChildStarted("m-0-n1", 0))
    run.see(ChildEnded("m-0-n1", run.child_name("m-0-n1", 0), ExecutionPhase.SUCCEEDED, "file:///o.pb"))
    assert TerminateChild("m-0-n0", 0) in run.see(run.timer(late)).commands
    run.see(ItemsGathered("m", 0))
    return run


def test_success_waits_for_a_child_that_is_being_ended() -> None:
    run = one_child_too_late()
    run.see(InputsBound("end-node", 0))
    assert run.state.header.phase is ExecutionPhase.SUCCEEDING
    told = run.see(ChildGone("m-0-n0", 0)).events
    assert run.state.header.phase is ExecutionPhase.SUCCEEDED
    assert told[-1].workflow.output_uri == run.state.nodes["end-node"].outputs_uri


def test_an_execution_that_has_its_outputs_is_not_too_late() -> None:
    run = one_child_too_late()
    run.see(InputsBound("end-node", 0), TimerFired("", 0, Timer.WORKFLOW))
    run.see(ChildGone("m-0-n0", 0))
    assert run.state.header.phase is ExecutionPhase.SUCCEEDED
