"""One step of one execution: decide, save, and only then let anybody act.

The order is the whole safety argument, so here it is in words. The caller must

1. show the machine what is so, and take its decision (`evaluate`, which touches nothing);
2. save the new rows, the commands and the events in one transaction that compares and sets the version;
3. after the commit, bring its own copy of the state up to date;
4. only now carry the commands out, and confirm each when it is done.

A crash before 2 has committed: nothing happened, and whoever reported the observation reports it again. A crash
after it: the commands lie in the outbox and are carried out again, which is harmless because each is idempotent by
name. Were 4 to come before 2, a Pod could run that nobody knows of.
"""

from collections.abc import Sequence
from datetime import datetime

from sailplane_core.machine import ExecutionState, Observation, Transition, evaluate
from sailplane_core.plan import Plan
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.store.port import Store

from . import records


async def advance(
    store: Store,
    plan: Plan,
    start: queue_pb2.Start,
    state: ExecutionState,
    seen: Sequence[Observation],
    now: datetime,
) -> Transition:
    """Duties 1 to 3. Returns what was decided; its commands are the caller's to hand on.

    Raises `StaleVersion` when another owner saved first (load again), `InvariantBroken` when the state cannot be.
    """
    transition = evaluate(plan, state, seen, now)
    if not transition.is_empty:
        await store.write(lambda tx: records.save(tx, start, state, transition))
        transition.apply(state)
    return transition
