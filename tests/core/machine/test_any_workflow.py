"""Whatever happens to whatever workflow: the invariants hold after every step, and it comes to an end.

What holds after every step is in `invariants.py` and `record.py`; here is only what holds in the end.
"""

from random import Random

from core.machine.any_workflow import Author, Fate, policies
from core.machine.run import Run, earlier_of
from hypothesis import given, note, settings
from hypothesis import strategies as st
from sailplane_core.machine import NodeState
from sailplane_core.phases import NODE_DONE, ExecutionPhase, NodePhase

STEPS = st.integers(20, 250)


def lived(author: Author, chance: Random, steps: int, name: str = "x", earlier: Run | None = None) -> Run:
    """An execution from its start to its end, which for so many steps is at the mercy of chance."""
    run = Run(author.library, "main", policies(chance), name, earlier=[] if earlier is None else [earlier_of(earlier)])
    note(str(run.policies))
    fate = Fate(run, chance)
    try:
        fate.strike(steps)
        fate.settle()
    finally:
        for seen in fate.seen:
            note(repr(seen))
    return run


def written(seed: int) -> tuple[Author, Random]:
    chance = Random(seed)
    author = Author(chance)
    author.workflow("main")
    note("\n\n".join(author.texts))
    return author, chance


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**32), STEPS)
def test_any_workflow_comes_to_an_end_whatever_happens(seed: int, steps: int) -> None:
    author, chance = written(seed)
    run = lived(author, chance, steps)
    header = run.state.header
    assert header.is_terminal
    assert not run.state.active
    assert not run.state.removing
    assert not run.state.waiting
    assert (header.failure is None) is (header.phase is ExecutionPhase.SUCCEEDED)
    if header.phase is ExecutionPhase.SUCCEEDED:
        assert all(node.phase in NODE_DONE for node in run.state.nodes.values() if not node.scope)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**32), STEPS)
def test_what_had_succeeded_is_not_run_again_when_an_execution_is_recovered(seed: int, steps: int) -> None:
    author, chance = written(seed)
    before = lived(author, chance, steps)
    after = lived(author, chance, 0, "y", before)
    assert after.state.header.phase is ExecutionPhase.SUCCEEDED
    done = {
        path for path, node in earlier_of(before).items() if node.phase in NODE_DONE and _is_taken_over(before, node)
    }
    for path, node in earlier_of(after).items():
        if path in done:
            assert node.phase is NodePhase.RECOVERED, f"{node.id} is run again"
            assert (node.id, 0) not in after.ledger.pods


def _is_taken_over(run: Run, node: NodeState) -> bool:
    """Start and end nodes are cheap and differ, and what a failure node did belongs to its own execution."""
    while True:
        if node.spec_id in ("start-node", "end-node", "f"):
            return False
        if not node.scope:
            return True
        node = run.state.nodes[node.scope]
