"""Tasks in stock flytekit that print."""

import os
import sys

from flytekit import map_task, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task(retries=1)
def speak() -> None:
    """Prints to both outputs, and fails the first time."""
    attempt = os.environ["FLYTE_ATTEMPT_NUMBER"]
    print(f"attempt {attempt} says this")
    print(f"attempt {attempt} complains", file=sys.stderr)
    if attempt == "0":
        raise FlyteRecoverableException("once more")


@task
def count(x: int) -> int:
    """Prints what it is given."""
    print(f"item {x}")
    return x


@workflow
def speaking() -> None:
    """Two attempts."""
    speak()


@workflow
def counting(xs: list[int]) -> list[int]:
    """A map."""
    return map_task(count)(x=xs)
