"""Recover, relaunch and terminate."""

import time
from pathlib import Path

from compat.raw import DOMAIN, PROJECT
from compat.runs import Runs, marks, node_phase, phase, result, tree
from flytekit.models.core.execution import NodeExecutionPhase
from flytekit.remote.executions import FlyteWorkflowExecution


def recover(runs: Runs, done: FlyteWorkflowExecution) -> FlyteWorkflowExecution:
    """A new execution that takes over what the old one finished."""
    return runs.end(runs.remote.fetch_execution(name=runs.remote.client.recover_execution(done.id).name))


def failed_then_recovered(
    runs: Runs, workflow: str, folder: Path, inputs: dict[str, object]
) -> tuple[FlyteWorkflowExecution, FlyteWorkflowExecution]:
    """The first execution, which fails, and the second, which may go on."""
    first = runs.run(workflow, inputs | {"marks": str(folder)})
    assert phase(first) == "FAILED"
    assert "not permitted yet" in first.closure.error.message
    (folder / "permitted").touch()
    second = recover(runs, first)
    assert phase(second) == "SUCCEEDED"
    assert second.spec.metadata.reference_execution.name == first.id.name
    return first, second


def test_what_succeeded_is_not_run_again(runs: Runs, tmp_path: Path) -> None:
    _, second = failed_then_recovered(runs, "recoveries.steps", tmp_path, {})
    assert result(second) == "first!"
    nodes = tree(second)
    assert node_phase(nodes["n0"]) == "RECOVERED"
    assert node_phase(nodes["n1-0-n0"]) == "RECOVERED"
    assert node_phase(nodes["n1-0-n1"]) == "SUCCEEDED"
    assert marks(tmp_path) == {"permitted": 0, "first": 4}


def test_the_items_of_a_map_are_taken_over_one_by_one(runs: Runs, tmp_path: Path) -> None:
    _, second = failed_then_recovered(runs, "recoveries.items", tmp_path, {"n": 4})
    assert result(second) == [0, 1, 2, 3]
    assert marks(tmp_path) == {"permitted": 0, "item0": 1, "item1": 1, "item2": 2, "item3": 1}


def test_a_dynamic_node_is_gone_on_with(runs: Runs, tmp_path: Path) -> None:
    _, second = failed_then_recovered(runs, "dynamics.recoverable", tmp_path, {"n": 4})
    assert result(second) == [0, 1, 2, 3]
    assert marks(tmp_path) == {"permitted": 0, "runs0": 1, "runs1": 1, "runs2": 2, "runs3": 1}
    assert node_phase(tree(second)["n0-0-dn0"]) == "RECOVERED"


def test_a_child_execution_is_recovered_too(runs: Runs, tmp_path: Path) -> None:
    first, second = failed_then_recovered(runs, "recoveries.through_plan", tmp_path, {})
    assert result(second) == "first!"
    assert marks(tmp_path) == {"permitted": 0, "first": 4}
    [child] = second.node_executions["n1"].workflow_executions
    [old] = first.node_executions["n1"].workflow_executions
    assert child.spec.metadata.reference_execution.name == old.id.name
    assert node_phase(child.node_executions["n0"]) == "RECOVERED"


def test_a_task_that_had_failed_is_given_its_last_checkpoint(runs: Runs, tmp_path: Path) -> None:
    _, second = failed_then_recovered(runs, "recoveries.resumed", tmp_path, {})
    assert result(second) == 2


def test_what_an_earlier_recovery_took_over_is_taken_over_again(runs: Runs, tmp_path: Path) -> None:
    first = runs.run("recoveries.steps", {"marks": str(tmp_path)})
    second = recover(runs, first)
    assert phase(first) == phase(second) == "FAILED"
    (tmp_path / "permitted").touch()
    third = recover(runs, second)
    assert result(third) == "first!"
    nodes = tree(third)
    assert [node_phase(nodes[id]) for id in ("n0", "n1-0-n0", "n1-0-n1")] == ["RECOVERED", "RECOVERED", "SUCCEEDED"]
    assert marks(tmp_path) == {"permitted": 0, "first": 5}


def test_an_execution_that_still_runs_is_recovered(runs: Runs, tmp_path: Path) -> None:
    """What it has finished is taken over; it goes on itself."""
    first = runs.start("recoveries.half_way", {"marks": str(tmp_path)})
    while not (tmp_path / "second").exists():
        time.sleep(0.05)
    name = runs.remote.client.recover_execution(first.id).name
    second = runs.remote.fetch_execution(name=name)
    while (tmp_path / "second").read_text() != "begun\n" * 2:
        time.sleep(0.05)
    (tmp_path / "permitted").touch()
    done = [runs.end(one) for one in (first, second)]
    assert [result(one) for one in done] == ["first", "first"]
    assert [node_phase(one.node_executions["n0"]) for one in done] == ["SUCCEEDED", "RECOVERED"]
    assert (tmp_path / "first").read_text() == "run\n"


def test_nobody_is_asked_again(runs: Runs, tmp_path: Path) -> None:
    started = runs.start("recoveries.guarded", {"marks": str(tmp_path)})
    while not runs.remote.list_signals(started.id.name):
        time.sleep(0.05)
    runs.remote.approve("allowed", started.id.name)
    first = runs.end(started)
    assert "not permitted yet" in first.closure.error.message
    (tmp_path / "permitted").touch()
    second = recover(runs, first)
    assert result(second) == "first!"
    assert marks(tmp_path) == {"permitted": 0, "first": 4}
    assert [node_phase(second.node_executions[id]) for id in ("n0", "n1", "n2", "n3")] == ["RECOVERED"] * 3 + [
        "SUCCEEDED"
    ]
    assert runs.remote.list_signals(second.id.name) == []


def test_relaunching_runs_everything_again(runs: Runs, tmp_path: Path) -> None:
    first = runs.run("recoveries.steps", {"marks": str(tmp_path)})
    assert phase(first) == "FAILED"
    (tmp_path / "permitted").touch()
    name = runs.remote.client.relaunch_execution(first.id).name
    second = runs.end(runs.remote.fetch_execution(name=name))
    assert result(second) == "first!"
    assert marks(tmp_path) == {"permitted": 0, "first": 6}


def test_the_command_line_relaunches_and_recovers(runs: Runs, tmp_path: Path) -> None:
    first = runs.run("recoveries.steps", {"marks": str(tmp_path)})
    (tmp_path / "permitted").touch()
    for verb in ("relaunch", "recover"):
        runs.plane.run("pyflyte", "execution", "-p", PROJECT, "-d", DOMAIN, "--execution-id", first.id.name, verb)
    started = [
        one
        for one in runs.remote.recent_executions(limit=2)
        if one.spec.metadata.reference_execution.name == first.id.name
    ]
    assert [phase(runs.end(one)) for one in started] == ["SUCCEEDED", "SUCCEEDED"]


def test_terminating_ends_every_descendant_and_every_pod(runs: Runs, tmp_path: Path) -> None:
    started = runs.start("recoveries.long", {"marks": str(tmp_path)})
    wanted = {"task", "sub", "child", "item0", "item1"}
    deadline = time.monotonic() + 30
    while {path.name for path in tmp_path.iterdir()} != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    [child] = runs.remote.sync(started, sync_nodes=True).node_executions["n2"].workflow_executions
    runs.remote.terminate(started, cause="enough of it")
    done, child = runs.end(started), runs.end(child)
    assert phase(done) == phase(child) == "ABORTED"
    assert done.closure.abort_metadata.cause == "enough of it"
    ended = (NodeExecutionPhase.ABORTED, NodeExecutionPhase.SUCCEEDED)
    assert {node.closure.phase for node in (tree(done) | tree(child)).values()} <= set(ended)
    phases = {id: node_phase(node) for id, node in tree(done).items()}
    assert [phases[id] for id in ("n0", "n1", "n1-0-n0", "n2", "n3")] == ["ABORTED"] * 5
    assert node_phase(tree(child)["n0"]) == "ABORTED"
    pods = [
        *runs.plane.data_dir.glob(f"pods/*/{done.id.name}-*"),
        *runs.plane.data_dir.glob(f"pods/*/{child.id.name}-*"),
    ]
    assert pods == []
