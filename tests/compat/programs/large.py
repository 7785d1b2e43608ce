"""Outputs so large that flytekit stores them apart."""

from flytekit import map_task, task, workflow


@task
def make(mebibytes: int) -> list[str]:
    """A text of a mebibyte, many times."""
    return [f"{index}-".ljust(1024 * 1024, "x") for index in range(mebibytes)]


@task
def count(texts: list[str]) -> int:
    """Takes them all."""
    return sum(len(text) for text in texts)


@task
def beginning(text: str) -> str:
    """Takes one."""
    return text[:2]


@workflow
def large(mebibytes: int) -> tuple[int, str, list[str], list[str]]:
    """Passed on whole, taken a part of, mapped over, and given as the result."""
    texts = make(mebibytes=mebibytes)
    return count(texts=texts), beginning(text=texts[3]), texts, map_task(beginning)(text=texts)
