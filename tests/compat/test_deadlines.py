"""Time limits: of an attempt, of a node over all its attempts, of the wait for a machine, of an execution."""

import time
from pathlib import Path

from compat import raw
from compat.plane import Plane
from compat.raw import admin, extend
from compat.runs import Runs, node_phase, phase, task_phases
from flyteidl.core.execution_pb2 import ExecutionError, TaskExecution
from google.protobuf.duration_pb2 import Duration
from sailplane_protos.core import literals_pb2, workflow_pb2

MORE_THAN_ANY_MACHINE_HAS = "4000"


def seconds(limit: float) -> Duration:
    """As protobuf has it."""
    return Duration(nanos=round(limit * 1e9)) if limit < 1 else Duration(seconds=round(limit))


def test_an_attempt_takes_too_long(runs: Runs) -> None:
    late, shorter = runs.start("policies.timed_out", {"x": 1}), runs.start("policies.overridden_timeout", {"x": 3})
    for started, limit in ((late, "1s"), (shorter, "0.5s")):
        done = runs.end(started)
        assert phase(done) == "FAILED"
        assert done.closure.error.code == "RetriesExhausted|TimeoutExpired"
        assert f"task execution timeout [{limit}] expired" in done.closure.error.message
        assert node_phase(done.node_executions["n0"]) == "FAILED"


def test_the_next_attempt_may_be_in_time(runs: Runs) -> None:
    done = runs.run("policies.timed_out_once", {"x": 2})
    assert done.outputs["o0"] == 2
    assert task_phases(done.node_executions["n0"]) == ["FAILED", "SUCCEEDED"]


def test_a_node_takes_too_long_over_all_its_attempts(runs: Runs) -> None:
    """Twice its timeout."""
    admin(runs.plane).CreateTask(raw.task_request("slow.task", "v1", ["sleep", "60"], ["node"]))
    request = raw.workflow_request("slow", "v1", "slow.task", [[]])
    metadata = request.spec.template.nodes[0].metadata
    metadata.timeout.CopyFrom(seconds(0.5))
    metadata.retries.retries = 50
    extend(metadata.retries, literals_pb2.RetryStrategy(backoff=Duration()))
    admin(runs.plane).CreateWorkflow(request)
    raw.start(runs.plane, "v1", "slow1", "slow")
    error = raw.wait(runs.plane, "slow1").closure.error
    assert (error.code, error.kind) == ("Timeout", ExecutionError.USER)
    assert "within 1s, twice its timeout" in error.message
    assert raw.nodes(runs.plane, "slow1")["n0"] == "TIMED_OUT"
    *before, last = (one.closure.phase for one in raw.attempts(runs.plane, "slow1"))
    assert set(before) == {TaskExecution.FAILED}
    assert last in {TaskExecution.ABORTED, TaskExecution.FAILED}


def test_an_attempt_waits_too_long_for_a_machine(runs: Runs, tmp_path: Path) -> None:
    """In a field of ours: then another attempt is made, as after any fault of the system."""
    plane, begun = runs.plane, tmp_path / "begun"
    register_large(plane, "occupying", ["sh", "-c", f"touch {begun}; sleep 60"], workflow_pb2.NodeMetadata())
    register_large(plane, "impatient", ["true"], workflow_pb2.NodeMetadata(queued_timeout=seconds(0.5)))
    raw.start(plane, "v1", "occupying1", "occupying")
    while not begun.exists():
        time.sleep(0.02)
    raw.start(plane, "v1", "impatient1", "impatient")
    error = raw.wait(plane, "impatient1").closure.error
    assert (error.code, error.kind) == ("RetriesExhausted|QueuedTimeoutExpired", ExecutionError.SYSTEM)
    assert "it did not run within 0.5s" in error.message
    assert len(raw.attempts(plane, "impatient1")) == 4
    runs.remote.terminate(runs.remote.fetch_execution(name="occupying1"), cause="it has served")
    raw.wait(plane, "occupying1")


def register_large(plane: Plane, name: str, command: list[str], metadata: workflow_pb2.NodeMetadata) -> None:
    """A task that runs when nothing else does, and a workflow of it."""
    request = raw.task_request(f"{name}.task", "v1", command, ["node"])
    resources = request.spec.template.container.resources
    resources.requests.add(name=resources.CPU, value=MORE_THAN_ANY_MACHINE_HAS)
    admin(plane).CreateTask(request)
    workflow = raw.workflow_request(name, "v1", f"{name}.task", [[]])
    extend(workflow.spec.template.nodes[0].metadata, metadata)
    admin(plane).CreateWorkflow(workflow)


def test_an_execution_takes_too_long(runs: Runs) -> None:
    """In a field of ours."""
    admin(runs.plane).CreateTask(raw.task_request("long.task", "v1", ["sleep", "60"], ["node"]))
    request = raw.workflow_request("long", "v1", "long.task", [[], [0]])
    extend(request.spec.template.metadata, workflow_pb2.WorkflowMetadata(timeout=seconds(1)))
    admin(runs.plane).CreateWorkflow(request)
    raw.start(runs.plane, "v1", "long1", "long")
    error = raw.wait(runs.plane, "long1").closure.error
    assert (error.code, error.kind) == ("Timeout", ExecutionError.USER)
    assert "the execution did not end within 1s" in error.message
    assert raw.nodes(runs.plane, "long1")["n0"] == "ABORTED"
    assert [one.closure.phase for one in raw.attempts(runs.plane, "long1")] == [TaskExecution.ABORTED]
