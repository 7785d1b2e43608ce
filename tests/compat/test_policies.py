"""Retries, interruptible, parallelism and overrides."""

from pathlib import Path

import pytest
from compat import raw
from compat.raw import admin, extend
from compat.runs import VERSION, Runs, node_phase, phase, task_phases
from flyteidl.admin.task_execution_pb2 import TaskExecutionGetRequest
from flyteidl.core.execution_pb2 import ExecutionError, TaskExecution
from flyteidl.event.event_pb2 import TaskExecutionMetadata
from flytekit import Options
from flytekit.remote.executions import FlyteWorkflowExecution
from google.protobuf.duration_pb2 import Duration
from sailplane_protos.core import literals_pb2


@pytest.mark.parametrize(("succeed_at", "phases"), [(0, ["SUCCEEDED"]), (2, ["FAILED", "FAILED", "SUCCEEDED"])])
def test_each_attempt_is_a_task_execution(runs: Runs, succeed_at: int, phases: list[str]) -> None:
    done = runs.run("policies.retried", {"succeed_at": succeed_at})
    assert done.outputs["o0"] == succeed_at
    assert task_phases(done.node_executions["n0"]) == phases


def test_the_last_attempt_decides(runs: Runs) -> None:
    done = runs.run("policies.retried", {"succeed_at": 9})
    assert phase(done) == "FAILED"
    assert done.closure.error.code.startswith("RetriesExhausted|")
    assert "attempt 3" in done.closure.error.message
    assert task_phases(done.node_executions["n0"]) == ["FAILED"] * 4


def test_an_error_that_cannot_be_helped_is_not_tried_again(runs: Runs) -> None:
    done = runs.run("policies.given_up", {"succeed_at": 9})
    assert "attempt 0" in done.closure.error.message
    assert task_phases(done.node_executions["n0"]) == ["FAILED"]


def test_a_pause_before_the_next_attempt(runs: Runs) -> None:
    """In a field of ours: half of the pause is certain, the other half is by chance."""
    request = raw.task_request("paused.task", "v1", ["false"], ["node"])
    retries = request.spec.template.metadata.retries
    retries.retries = 2
    extend(retries, literals_pb2.RetryStrategy(backoff=Duration(seconds=2), backoff_max=Duration(seconds=3)))
    admin(runs.plane).CreateTask(request)
    admin(runs.plane).CreateWorkflow(raw.workflow_request("paused", "v1", "paused.task", [[]]))
    raw.start(runs.plane, "v1", "paused1", "paused")
    assert raw.wait(runs.plane, "paused1").closure.error.code.startswith("RetriesExhausted|")
    first, second, third = (one.closure for one in raw.attempts(runs.plane, "paused1"))
    pauses = [
        (after.created_at.ToDatetime() - before.updated_at.ToDatetime()).total_seconds()
        for before, after in ((first, second), (second, third))
    ]
    assert pauses[0] >= 1
    assert pauses[1] >= 1.5


def test_what_the_system_may_cost_a_task(runs: Runs) -> None:
    """A process that is killed, by whomever, did not fail by itself: that spends no retry of the task's.

    In a Pod's command `$$` stands for `$`.
    """
    raw.register(runs.plane, "lost", "v1", ["sh", "-c", "kill -9 $$$$"], [[]])
    raw.start(runs.plane, "v1", "lost1", "lost")
    error = raw.wait(runs.plane, "lost1").closure.error
    assert error.code.startswith("RetriesExhausted|")
    assert error.kind == ExecutionError.SYSTEM
    assert [one.closure.phase for one in raw.attempts(runs.plane, "lost1")] == [TaskExecution.FAILED] * 4


def test_interruptible_is_told_of_each_attempt(runs: Runs) -> None:
    mixed = runs.start("policies.interruptible", {"x": 1})
    by_workflow = runs.start("policies.all_interruptible", {"x": 1})
    by_request = runs.start("policies.retried", {"succeed_at": 0}, options=Options(), interruptible=True)
    assert classes(runs, runs.end(mixed)) == {"n0": "INTERRUPTIBLE", "n1": "DEFAULT"}
    assert classes(runs, runs.end(by_workflow)) == {"n0": "INTERRUPTIBLE"}
    assert classes(runs, runs.end(by_request)) == {"n0": "INTERRUPTIBLE"}


def classes(runs: Runs, done: FlyteWorkflowExecution) -> dict[str, str]:
    """On which class of machine each node ran, as admin tells it; its Pod is marked the same way."""
    told: dict[str, str] = {}
    for id, node in done.node_executions.items():
        for one in node.task_executions:
            found = admin(runs.plane).GetTaskExecution(TaskExecutionGetRequest(id=one.id.to_flyte_idl()))
            told[id] = TaskExecutionMetadata.InstanceClass.Name(found.closure.metadata.instance_class)
            mark = runs.pod(done.id.name, id)["metadata"]["labels"]["interruptible"]
            assert mark == str(told[id] == "INTERRUPTIBLE").lower()
    return told


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_nodes_than_allowed_run_side_by_side(runs: Runs, tmp_path: Path, limit: int) -> None:
    done = runs.run("policies.crowd", {"marks": str(tmp_path)}, options=Options(max_parallelism=limit))
    assert phase(done) == "SUCCEEDED"
    assert max(done.outputs["o0"]) == limit


def test_a_launch_plan_limits_what_runs_side_by_side(runs: Runs, tmp_path: Path) -> None:
    plan = runs.remote.fetch_launch_plan(name="policies.crowd_of_two", version=VERSION)
    done = runs.end(runs.remote.execute(plan, inputs={"marks": str(tmp_path)}))
    assert max(done.outputs["o0"]) == 2


def test_overrides_of_a_node(runs: Runs) -> None:
    assert runs.run("policies.overridden_retries").outputs["o0"] == 4
    done = runs.run("policies.overridden", {"x": 1})
    node = done.node_executions["renamed"]
    assert node_phase(node) == "SUCCEEDED"
    assert done.flyte_workflow._node_map["renamed"].metadata.name == "shown name"
    pod = runs.pod(done.id.name, "renamed")
    container = pod["spec"]["containers"][0]
    assert container["image"] == "registry.example/other:v1"
    assert container["resources"]["requests"]["cpu"] == "200m"
    assert container["resources"]["limits"]["memory"] == "400Mi"
    assert pod["spec"]["volumes"][0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}


def test_the_gpu_that_a_task_or_a_node_asks_for(runs: Runs) -> None:
    done = runs.run("policies.on_gpus", {"x": 1})
    specs = [runs.pod(done.id.name, node)["spec"] for node in ("n0", "n1")]
    wanted: list[dict[str, str]] = []
    for spec in specs:
        assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        [term] = required["nodeSelectorTerms"]
        wanted.append({one["key"]: one["values"][0] for one in term["matchExpressions"]})
        tolerated = {one["key"]: one["value"] for one in spec["tolerations"] if one["key"] != "nvidia.com/gpu"}
        assert tolerated == wanted[-1]
    device, partition = "k8s.amazonaws.com/accelerator", "k8s.amazonaws.com/gpu-partition-size"
    assert wanted == [{device: "nvidia-tesla-a100", partition: "1g.5gb"}, {device: "nvidia-tesla-t4"}]


def test_the_pod_template_of_a_node(runs: Runs, tmp_path: Path) -> None:
    """Over the published stubs, as flytekit writes it: the whole Pod, with the task's command in it."""
    mark = tmp_path / "flavour"
    command = ["sh", "-c", f'echo "$FLAVOUR" > {mark}']
    admin(runs.plane).CreateTask(raw.task_request("templated.task", "v1", ["false"], ["node"]))
    request = raw.workflow_request("templated", "v1", "templated.task", [[]])
    template = request.spec.template.nodes[0].task_node.overrides.pod_template
    template.primary_container_name = "main"
    environment = [{"name": "FLAVOUR", "value": "vanilla"}]
    template.pod_spec.update({"containers": [{"name": "main", "command": command, "env": environment}]})
    template.metadata.labels["team"] = "blue"
    admin(runs.plane).CreateWorkflow(request)
    raw.start(runs.plane, "v1", "templated1", "templated")
    raw.wait(runs.plane, "templated1")
    assert mark.read_text() == "vanilla\n"
    assert runs.pod("templated1", "n0")["metadata"]["labels"]["team"] == "blue"
