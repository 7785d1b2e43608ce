"""Proof of the checkers: the code under test is broken in known ways, and each is found.

Each mutant takes a rule away that the engine lives by. `found_by` names the checkers of which one must notice, within
the first `SEEDS_MAX` seeds.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sailplane_admin import events
from sailplane_core import admission
from sailplane_core.machine import evaluate, launch_plan, lifecycle, report, retries, task, walk, workflow
from sailplane_core.machine.state import NodeKind
from sailplane_core.machine.step import Step
from sailplane_core.phases import NodePhase
from sailplane_propeller import children, perform, records, worker
from sim.checkers import judge
from sim.world import live
from sqlalchemy import bindparam, update

SEEDS_MAX = 120

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """One way to break the code, and who must find it."""

    name: str
    break_it: Callable[[Patch], None]
    found_by: frozenset[str]
    first: int = 0
    """Where to begin to look, as only few seeds meet with some."""


def act_before_save(patch: Patch) -> None:
    """What was decided is carried out while it is still being saved."""

    async def advance(store: Any, plan: Any, start: Any, state: Any, seen: Any, now: Any) -> Any:
        transition = evaluate(plan, state, seen, now)
        if not transition.is_empty:
            before = replace(state)

            async def save() -> None:
                for _ in range(100):
                    await asyncio.sleep(0)
                await store.write(lambda tx: records.save(tx, start, before, transition))

            task_ = asyncio.create_task(save())
            transition.apply(state)
            _KEPT.append(task_)
        return transition

    patch.setattr(worker, "advance", advance)


_KEPT: list[Any] = []


def drop_version_fence(patch: Patch) -> None:
    """Whoever saves, saves over what another owner saved."""
    table, changed = records.executions, records._HEADER_COLUMNS
    values = {column.name: bindparam(column.name) for column in table.c if column.name in changed}
    patch.setattr(records, "_UPDATE_HEADER", update(table).where(table.c.id == bindparam("row_id")).values(values))


def ignore_attempt_fence(patch: Patch) -> None:
    """What is seen of an earlier attempt is taken for news of the present one."""
    observe = workflow._observe_node

    def unfenced(step: Step, node: Any, seen: Any) -> None:
        observe(step, node, replace(seen, attempt=node.attempt))

    patch.setattr(workflow, "_observe_node", unfenced)


def forget_pod_on_abort(patch: Patch) -> None:
    """Aborted tasks leave their Pods behind."""
    patch.setattr(task, "abort", lifecycle.fail)


def forget_child_on_abort(patch: Patch) -> None:
    """Aborted launch-plan nodes leave their executions behind, and admin does not look after them."""
    patch.setattr(launch_plan, "abort", lifecycle.fail)
    patch.setattr(events.lineage, "tell_of_end", lambda *args: None)


def confirm_before_saved(patch: Patch) -> None:
    """A command is confirmed when it was carried out, not when what it led to is saved."""

    async def in_turn(self: Any, live: Any, command: Any, before: Any) -> None:
        if before is not None:
            await asyncio.wait([before])
        seen = await self._until_done(live, command)
        await self._ports.store.confirm([records.command_id(live.id, command)])
        await asyncio.sleep(0.2)
        if seen is not None:
            self._post(live.id, seen, "")

    patch.setattr(perform.Performers, "_in_turn", in_turn)


def lose_a_message(patch: Patch) -> None:
    """Every fifth report to admin is not sent."""
    save = records.save

    def forgetful(tx: Any, start: Any, before: Any, transition: Any) -> None:
        if transition.header.version % 5 == 0:
            transition = replace(transition, events=())
        save(tx, start, before, transition)

    patch.setattr(records, "save", forgetful)


def acknowledge_too_early(patch: Patch) -> None:
    """Orders are acknowledged when they arrive, not when what they led to is saved."""
    take = worker.Worker._take

    async def hasty(self: Any, delivery: Any) -> None:
        await self._ports.queue.ack([delivery])
        await asyncio.sleep(0.2)
        await take(self, delivery)

    patch.setattr(worker.Worker, "_take", hasty)


def report_another_phase(patch: Patch) -> None:
    """A node that failed is reported twice: first as one that succeeded."""
    node = report.node

    def wrong(step: Step, one: Any, phase: NodePhase, **options: Any) -> None:
        if phase is NodePhase.FAILED:
            node(step, one, NodePhase.SUCCEEDED, **options)
        node(step, one, phase, **options)

    patch.setattr(report, "node", wrong)


def keep_the_slot(patch: Patch) -> None:
    """Nodes that have ended go on counting as running in parallel."""
    move = Step.move

    def moved(self: Step, node: Any, phase: NodePhase) -> Any:
        after = replace(move(self, node, phase), holds_slot=node.holds_slot)
        self.put(after)
        return after

    patch.setattr(Step, "move", moved)


def ignore_the_limit(patch: Patch) -> None:
    """Any number of nodes runs in parallel."""
    patch.setattr(Step, "has_slot", lambda self: True)


def ignore_an_arrays_limit(patch: Patch) -> None:
    """Any number of an array's items runs in parallel."""
    begin_item = Step.begin_item

    def begin(self: Step, array: Any, index: int) -> None:
        begin_item(self, array, index)
        for other in range(index + 1, array.size):
            begin_item(self, array, other)

    patch.setattr(Step, "begin_item", begin)


def retry_for_ever(patch: Patch) -> None:
    """Another attempt is always left."""
    decide = retries.decide

    def generous(policy: Any, node: Any, failure: Any, key: str) -> Any:
        return decide(replace(policy, user_retries=10**6, system_retries=10**6), node, failure, key)

    patch.setattr(retries, "decide", generous)


def never_retry(patch: Patch) -> None:
    """No other attempt is made."""
    decide = retries.decide

    def strict(policy: Any, node: Any, failure: Any, key: str) -> Any:
        return decide(policy, node, replace(failure, retryable=False), key)

    patch.setattr(retries, "decide", strict)


def go_on_after_failure(patch: Patch) -> None:
    """No workflow fails immediately."""
    patch.setattr(walk, "_fails_immediately", lambda step, scope: False)


def stop_at_failure(patch: Patch) -> None:
    """Every workflow fails immediately."""
    patch.setattr(walk, "_fails_immediately", lambda step, scope: True)


def record_anything(patch: Patch) -> None:
    """Admin records whatever it is told, late or not."""
    for name in ("judge_workflow", "judge_node", "judge_task"):
        patch.setattr(admission, name, lambda *args, **options: admission.ACCEPTED)


def end_before_the_pods(patch: Patch) -> None:
    """An execution has ended as soon as it fails, its Pods still on their way out."""
    patch.setattr(Step, "removals_left", lambda self: 0)


def run_again_what_is_recovered(patch: Patch) -> None:
    """A recovery takes nothing over."""
    patch.setattr(walk, "_may_be_recovered", lambda step, node: False)


def begin_children_anew(patch: Patch) -> None:
    """A child execution is never the recovery of the one before."""
    launch_child = children.launch

    async def launch_new(admin: Any, caller: Any, plan: Any, inputs: Any, recovers: Any) -> Any:
        return await launch_child(admin, caller, plan, inputs)

    patch.setattr(children, "launch", launch_new)


MUTANTS: Sequence[Mutant] = (
    Mutant("act before save", act_before_save, frozenset({"saved_first", "nothing_lost"})),
    Mutant("drop the version fence", drop_version_fence, frozenset({"forwards"})),
    Mutant(
        "ignore the attempt fence", ignore_attempt_fence, frozenset({"once", "as_foretold", "agreement"}), first=100
    ),
    Mutant("forget a Pod on abort", forget_pod_on_abort, frozenset({"families"})),
    Mutant("forget a child on abort", forget_child_on_abort, frozenset({"families", "nothing_lost"})),
    Mutant("confirm a command before its result is saved", confirm_before_saved, frozenset({"nothing_lost"})),
    Mutant("lose a message", lose_a_message, frozenset({"agreement", "nothing_lost"})),
    Mutant("acknowledge too early", acknowledge_too_early, frozenset({"nothing_lost"})),
    Mutant("report another phase", report_another_phase, frozenset({"agreement"})),
    Mutant("keep the slot", keep_the_slot, frozenset({"limits", "nothing_lost"})),
    Mutant("ignore the limit", ignore_the_limit, frozenset({"limits"})),
    Mutant("ignore an array's limit", ignore_an_arrays_limit, frozenset({"as_foretold"})),
    Mutant("retry for ever", retry_for_ever, frozenset({"as_foretold", "nothing_lost"})),
    Mutant("never retry", never_retry, frozenset({"as_foretold"})),
    Mutant("go on after a failure", go_on_after_failure, frozenset({"families"})),
    Mutant("stop at a failure", stop_at_failure, frozenset({"as_foretold"})),
    Mutant("record anything", record_anything, frozenset({"forwards"})),
    Mutant("end before the Pods", end_before_the_pods, frozenset({"families"})),
    Mutant("run again what is recovered", run_again_what_is_recovered, frozenset({"taken_over"})),
    Mutant("begin children anew", begin_children_anew, frozenset({"taken_over"}), first=230),
)


def test_a_world_that_is_not_broken_is_not_blamed() -> None:
    for seed in range(5):
        assert judge(live(seed)) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants_are_found(mutant: Mutant, monkeypatch: Patch) -> None:
    mutant.break_it(monkeypatch)
    for seed in range(mutant.first, mutant.first + SEEDS_MAX):
        found = judge(live(seed))
        if found:
            finders = {one.partition(":")[0] for one in found}
            print(f"{mutant.name}: seed {seed}, {sorted(finders)}")
            assert finders & mutant.found_by, found[:5]
            return
    pytest.fail(f"{mutant.name}: nobody noticed in {SEEDS_MAX} seeds")


def test_kinds_of_nodes_are_all_drawn() -> None:
    kinds = {row["kind"] for seed in range(60) for row in live(seed).stored["nodes"]}
    assert kinds == {kind.value for kind in NodeKind}
