"""Retries, timeouts, interruptible, parallelism and overrides in stock flytekit."""

import os
import time
from datetime import timedelta
from pathlib import Path

from flytekit import LaunchPlan, Resources, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.extras.accelerators import A100, T4


def attempt() -> int:
    """Which attempt this is, from 0."""
    return int(os.environ["FLYTE_ATTEMPT_NUMBER"])


@task(retries=3)
def flaky(succeed_at: int) -> int:
    """Fails in a way that may be tried again until the given attempt."""
    print(f"this is attempt {attempt()}", flush=True)
    if attempt() < succeed_at:
        raise FlyteRecoverableException(f"attempt {attempt()}")
    return attempt()


@task(retries=3)
def hopeless(succeed_at: int) -> int:
    """Fails in a way that no further attempt can help."""
    if attempt() < succeed_at:
        raise ValueError(f"attempt {attempt()}")
    return attempt()


@task(timeout=timedelta(seconds=1))
def endless(x: int) -> int:
    """Never ends in time."""
    time.sleep(60)
    return x


@task(timeout=timedelta(seconds=1), retries=1)
def late_at_first(x: int) -> int:
    """Is in time at the second attempt."""
    if attempt() == 0:
        time.sleep(60)
    return x


@task(interruptible=True)
def cheap(x: int) -> int:
    """Would run on machines that may go away."""
    return x


@task
def plain(x: int) -> int:
    """Nothing is special about it."""
    return x


@task
def crowded(name: str, marks: str) -> int:
    """How many of its kind run at the same time."""
    mine = Path(marks, name)
    mine.touch()
    time.sleep(0.2)
    together = len(list(Path(marks).iterdir()))
    mine.unlink()
    return together


@workflow
def retried(succeed_at: int) -> int:
    """Succeeds at a later attempt."""
    return flaky(succeed_at=succeed_at)


@workflow
def given_up(succeed_at: int) -> int:
    """Is not tried again."""
    return hopeless(succeed_at=succeed_at)


@workflow
def timed_out(x: int) -> int:
    """Takes too long."""
    return endless(x=x)


@workflow
def timed_out_once(x: int) -> int:
    """Takes too long once."""
    return late_at_first(x=x)


@workflow
def interruptible(x: int) -> int:
    """One node may be interrupted, the other must not be."""
    return plain(x=cheap(x=x)).with_overrides(interruptible=False)


@workflow(interruptible=True)
def all_interruptible(x: int) -> int:
    """All nodes may be interrupted."""
    return plain(x=x)


@workflow
def crowd(marks: str) -> list[int]:
    """Six nodes that could all run at once."""
    return [crowded(name=f"n{index}", marks=marks) for index in range(6)]


crowd_of_two = LaunchPlan.get_or_create(crowd, name="policies.crowd_of_two", max_parallelism=2)


@workflow
def overridden(x: int) -> int:
    """Overrides of every sort that are seen in the pod or in the node."""
    return plain(x=x).with_overrides(
        node_name="renamed",
        name="shown name",
        requests=Resources(cpu="200m", mem="300Mi"),
        limits=Resources(cpu="400m", mem="400Mi"),
        container_image="registry.example/other:v1",
        accelerator=T4,
        shared_memory="64Mi",
    )


@workflow
def overridden_retries() -> int:
    """More attempts than the task has."""
    return flaky(succeed_at=4).with_overrides(retries=5)


@workflow
def overridden_timeout(x: int) -> int:
    """Less time than a task without a limit."""
    return endless(x=x).with_overrides(timeout=timedelta(milliseconds=500))


@task(requests=Resources(gpu="1"), limits=Resources(gpu="1"), accelerator=A100.partition_1g_5gb)
def on_gpu(x: int) -> int:
    """Is for machines with a part of a certain GPU."""
    return x


@workflow
def on_gpus(x: int) -> tuple[int, int]:
    """The GPU of the task, and another one."""
    return on_gpu(x=x), on_gpu(x=x).with_overrides(accelerator=T4)
