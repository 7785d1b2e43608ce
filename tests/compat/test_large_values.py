"""Outputs that stock flytekit stores apart because of their size."""

from datetime import timedelta
from pathlib import Path

from compat.plane import Plane
from compat.programs import large
from flytekit.models.core.execution import WorkflowExecutionPhase

MEBIBYTES = 11


def test_a_list_over_ten_mebibytes_goes_on_to_the_next_task_and_can_be_taken_apart(plane: Plane) -> None:
    where = ("--project", "flytesnacks", "--domain", "development", "--version", "large")
    plane.run("pyflyte", "register", *where, "large.py", cwd=Path(large.__file__).parent)
    remote = plane.remote()
    workflow = remote.fetch_workflow(name="large.large", version="large")
    started = remote.execute(workflow, inputs={"mebibytes": MEBIBYTES})
    done = remote.wait(started, timeout=timedelta(seconds=60), poll_interval=timedelta(seconds=0.1))
    assert done.closure.phase == WorkflowExecutionPhase.SUCCEEDED, done.closure.error
    assert (done.outputs["o0"], done.outputs["o1"]) == (MEBIBYTES * 1024 * 1024, "3-")
    apart = done.outputs.literals["o2"].offloaded_metadata
    assert apart.size_bytes > 10 * 1024 * 1024
    assert [text[:3] for text in done.outputs["o2"]][-1] == "10-"
    assert done.outputs["o3"] == [f"{index}-"[:2] for index in range(MEBIBYTES)]
