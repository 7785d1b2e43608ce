"""Stock flytekit end to end: register, execute, wait, sync, and read what came out."""

import json
import uuid
from pathlib import Path

import pytest
from compat.plane import Plane
from compat.programs import basics
from compat.runs import EVERY_PROGRAM, POLL, VERSION, WAIT, Runs
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.exceptions.user import FlyteEntityNotExistException
from flytekit.models.core.execution import NodeExecutionPhase, WorkflowExecutionPhase
from flytekit.remote import FlyteRemote
from flytekit.remote.executions import FlyteWorkflowExecution

TESTS = Path(__file__).parent.parent
EXAMPLES = TESTS.parent / "examples"


@pytest.fixture(scope="module")
def remote(runs: Runs) -> FlyteRemote:
    """A client of a control plane that knows the programs."""
    return runs.remote


def execute(remote: FlyteRemote, name: str, **inputs: object) -> FlyteWorkflowExecution:
    """Run a registered workflow to its end, nodes synced."""
    found = remote.fetch_workflow(name=f"basics.{name}", version=VERSION)
    started = remote.execute(found, inputs=inputs)
    return remote.wait(started, timeout=WAIT, poll_interval=POLL)


def test_a_workflow_gives_its_results_back(remote: FlyteRemote) -> None:
    done = execute(remote, "sums", a=1)
    assert done.closure.phase == WorkflowExecutionPhase.SUCCEEDED
    assert done.outputs["o0"] == 106


def test_sub_workflows_named_outputs_and_attributes(remote: FlyteRemote) -> None:
    done = execute(remote, "nested", a=9, b=4)
    assert (done.outputs["o0"], done.outputs["o1"]) == (14, "p10=10")
    done = remote.sync(done, sync_nodes=True)
    inside = done.node_executions["n0"].subworkflow_node_executions
    assert {node.closure.phase for node in done.node_executions.values()} == {NodeExecutionPhase.SUCCEEDED}
    assert {"n0-0-n0", "n0-0-n1"} <= inside.keys()


def test_files_travel_between_tasks(remote: FlyteRemote) -> None:
    assert execute(remote, "files", text="hällo\n").outputs["o0"] == "hällo\n"


def test_edges_without_data_keep_the_order(remote: FlyteRemote) -> None:
    done = remote.sync(execute(remote, "ordered"), sync_nodes=True)
    starts = [done.node_executions[node].closure.started_at for node in ("n0", "n1", "n2")]
    assert starts == sorted(starts)


def test_a_users_error_fails_the_execution_with_its_text(remote: FlyteRemote) -> None:
    done = execute(remote, "failing", message="the reason")
    assert done.closure.phase == WorkflowExecutionPhase.FAILED
    assert "the reason" in done.closure.error.message


def test_a_launch_plan_brings_its_fixed_and_default_inputs(remote: FlyteRemote) -> None:
    plan = remote.fetch_launch_plan(name="sums_fixed", version=VERSION)
    done = remote.wait(remote.execute(plan, inputs={}), timeout=WAIT, poll_interval=POLL)
    assert done.outputs["o0"] == 108


def test_a_task_runs_on_its_own(remote: FlyteRemote) -> None:
    found = remote.fetch_task(name="basics.add", version=VERSION)
    done = remote.wait(remote.execute(found, inputs={"a": 2, "b": 3}), timeout=WAIT, poll_interval=POLL)
    assert done.outputs["o0"] == 5


def test_fetching_without_a_version_takes_the_latest(remote: FlyteRemote) -> None:
    assert remote.fetch_workflow(name="basics.sums").id.version == VERSION
    assert remote.fetch_task(name="basics.add").id.version == VERSION


def test_what_was_never_registered_is_not_found(remote: FlyteRemote) -> None:
    with pytest.raises(FlyteEntityNotExistException):
        remote.fetch_workflow(name="basics.sums", version="v99")


def test_registering_the_same_again_is_fine(runs: Runs) -> None:
    assert "Successfully registered" in runs.register(*EVERY_PROGRAM)


def test_an_execution_can_be_named_listed_and_fetched(remote: FlyteRemote) -> None:
    name = f"n{uuid.uuid4().hex[:10]}"
    found = remote.fetch_workflow(name="basics.sums", version=VERSION)
    remote.wait(remote.execute(found, inputs={"a": 3}, execution_name=name), timeout=WAIT, poll_interval=POLL)
    assert remote.fetch_execution(name=name).id.name == name
    assert name in {execution.id.name for execution in remote.recent_executions()}


def test_terminating_ends_the_execution(remote: FlyteRemote) -> None:
    started = remote.execute(remote.fetch_workflow(name="basics.ordered", version=VERSION), inputs={})
    remote.terminate(started, cause="enough of it")
    done = remote.wait(started, timeout=WAIT, poll_interval=POLL)
    assert done.closure.phase in (WorkflowExecutionPhase.ABORTED, WorkflowExecutionPhase.SUCCEEDED)


def test_pyflyte_run_remote_on_the_example(plane: Plane) -> None:
    text = plane.run(
        "pyflyte",
        "run",
        "--remote",
        "--wait",
        "--poll-interval",
        "1",
        "--project",
        "flytesnacks",
        "--domain",
        "development",
        "workflow.py",
        "classify",
        "--seed",
        "7",
        cwd=EXAMPLES / "breast_cancer",
    )
    assert "has succeeded" in text
    execution = plane.remote().recent_executions(limit=1)[0]
    synced = plane.remote().sync(execution)
    assert synced.outputs["o0"].startswith("logistic wins with F1")
    scores = json.loads(Path(synced.outputs["o2"].download()).read_text())
    assert {score["candidate"] for score in scores} == {"logistic", "forest", "neighbours"}


def test_registering_a_workflow_object(plane: Plane) -> None:
    remote = plane.remote()
    settings = SerializationSettings(
        ImageConfig.auto_default_image(), project="flytesnacks", domain="development", version="object"
    )
    registered = remote.register_workflow(basics.sums, settings, version="object")
    assert registered.id.version == "object"
    assert remote.fetch_launch_plan(name=registered.id.name, version="object").workflow_id == registered.id
