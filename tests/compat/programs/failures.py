"""Failure nodes and failure policies in stock flytekit."""

import time
from pathlib import Path

from flytekit import WorkflowFailurePolicy, task, workflow
from flytekit.types.error.error import FlyteError


@task
def work(name: str, marks: str) -> str:
    """Leaves a mark."""
    Path(marks, name).touch()
    return name


@task
def slow(name: str, marks: str) -> str:
    """Leaves a mark after a while."""
    time.sleep(1)
    Path(marks, name).touch()
    return name


@task
def explode(name: str, marks: str) -> str:
    """Fails, after its mark is left."""
    Path(marks, name).touch()
    if marks:
        raise ValueError("boom")
    return name


@task
def clean_up(name: str, marks: str, err: FlyteError | None = None) -> None:
    """Writes down what it was told."""
    assert err is not None
    Path(marks, "cleaned").write_text(f"{err.failed_node_id}|{err.message}")


@task
def tidy(name: str, marks: str) -> str:
    """A failure node that does not ask for the error."""
    Path(marks, "tidied").touch()
    return name


@task
def clean_up_badly(name: str, marks: str, err: FlyteError | None = None) -> None:
    """A failure node that fails itself."""
    raise RuntimeError("cannot clean up")


@workflow
def clean_up_all(name: str, marks: str, err: FlyteError | None = None) -> None:
    """A workflow as failure node."""
    clean_up(name=name, marks=marks, err=err)
    work(name="also", marks=marks)


@workflow(on_failure=clean_up)
def cleaned(name: str, marks: str) -> str:
    """Is cleaned up after by a task."""
    return explode(name=work(name=name, marks=marks), marks=marks)


@workflow(on_failure=tidy)
def tidied(name: str, marks: str) -> str:
    """Is cleaned up after by a task that takes only its inputs."""
    return explode(name=name, marks=marks)


@workflow(on_failure=clean_up_badly)
def badly_cleaned(name: str, marks: str) -> str:
    """Its failure node fails."""
    return explode(name=name, marks=marks)


@workflow(on_failure=clean_up_all)
def cleaned_by_workflow(name: str, marks: str) -> str:
    """Is cleaned up after by a workflow."""
    return explode(name=name, marks=marks)


@workflow(on_failure=clean_up)
def fine(name: str, marks: str) -> str:
    """Its failure node is not needed."""
    return work(name=name, marks=marks)


@workflow
def outer(name: str, marks: str) -> str:
    """Its sub-workflow has a failure node."""
    return work(name=cleaned(name=name, marks=marks), marks=marks)


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def patient(marks: str) -> tuple[str, str, str]:
    """What does not depend on the failed node is done first."""
    failed = explode(name="failed", marks=marks)
    after_slow = work(name=slow(name="slow", marks=marks), marks=marks)
    return work(name=failed, marks=marks), after_slow, work(name="other", marks=marks)


@workflow
def impatient(marks: str) -> tuple[str, str]:
    """The first failure ends everything."""
    failed = explode(name="failed", marks=marks)
    return failed, work(name=slow(name="slow", marks=marks), marks=marks)
