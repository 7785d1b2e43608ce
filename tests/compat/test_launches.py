"""Launch plans as nodes: child executions, their results, failures and ends."""

import time
from pathlib import Path

from compat.runs import Runs, node_phase, phase
from flyteidl.admin.execution_pb2 import ExecutionMetadata
from flytekit import Options
from flytekit.models.common import Annotations, Labels, RawOutputDataConfig
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.models.security import Identity, SecurityContext
from flytekit.remote.executions import FlyteWorkflowExecution


def test_children_with_default_and_fixed_inputs(runs: Runs) -> None:
    done = runs.run("launches.parent", {"a": 1})
    assert (done.outputs["o0"], done.outputs["o1"]) == (9, 1008)
    [child] = done.node_executions["n0"].workflow_executions
    assert child.spec.launch_plan.name == "launches.child_plan"
    assert child.outputs["o0"] == 8
    assert child.spec.metadata.mode == ExecutionMetadata.CHILD_WORKFLOW
    assert node_phase(child.node_executions["n0"]) == "SUCCEEDED"
    [other] = done.node_executions["n2"].workflow_executions
    assert other.id.name != child.id.name


def test_a_childs_failure_is_its_parents(runs: Runs) -> None:
    done = runs.run("launches.parent_of_picky", {"x": -1})
    assert phase(done) == "FAILED"
    assert "-1 is negative" in done.closure.error.message
    [child] = done.node_executions["n0"].workflow_executions
    assert phase(child) == "FAILED"


def test_ending_the_parent_ends_the_child(runs: Runs, tmp_path: Path) -> None:
    started, child = with_running_child(runs, tmp_path)
    runs.remote.terminate(started, cause="enough")
    assert phase(runs.end(started)) == "ABORTED"
    done = runs.end(child)
    assert phase(done) == "ABORTED"
    assert node_phase(done.node_executions["n0"]) == "ABORTED"


def test_a_child_that_is_aborted_fails_its_parent(runs: Runs, tmp_path: Path) -> None:
    started, child = with_running_child(runs, tmp_path)
    runs.remote.terminate(child, cause="enough of this one")
    done = runs.end(started)
    assert phase(done) == "FAILED"
    assert "enough of this one" in done.closure.error.message


def with_running_child(runs: Runs, marks: Path) -> tuple[FlyteWorkflowExecution, FlyteWorkflowExecution]:
    """A parent whose child's task runs, and the child."""
    started = runs.start("launches.parent_of_lingering", {"marks": str(marks)})
    while not (marks / "started").exists():
        time.sleep(0.05)
    [child] = runs.remote.sync(started, sync_nodes=True).node_executions["n0"].workflow_executions
    assert child.closure.phase == WorkflowExecutionPhase.RUNNING
    return started, child


def test_what_the_request_says_holds_for_children_too(runs: Runs, tmp_path: Path) -> None:
    options = Options(
        labels=Labels({"team": "blue"}),
        annotations=Annotations({"note": "kept"}),
        raw_output_data_config=RawOutputDataConfig(f"{tmp_path}/raw"),
        security_context=SecurityContext(run_as=Identity(k8s_service_account="robot")),
        max_parallelism=3,
    )
    inputs = {"name": "FLAVOUR"}
    done = runs.run(
        "launches.parent_of_telling", inputs, options=options, envs={"FLAVOUR": "vanilla"}, interruptible=True
    )
    assert [done.outputs["o0"], done.outputs["o1"]] == ["vanilla", "vanilla"]
    assert done.outputs.literals["o2"].scalar.blob.uri.startswith(f"{tmp_path}/raw/")
    [child] = done.node_executions["n0"].workflow_executions
    for pod in (runs.pod(done.id.name, "n1"), runs.pod(child.id.name, "n0")):
        assert pod["metadata"]["labels"]["team"] == "blue"
        assert pod["metadata"]["labels"]["interruptible"] == "true"
        assert pod["metadata"]["annotations"]["note"] == "kept"
        assert pod["spec"]["serviceAccountName"] == "robot"
    assert child.spec.max_parallelism == 3
