"""Gates in stock flytekit: approvals, inputs from outside, and sleep."""

from datetime import timedelta

from flytekit import approve, conditional, sleep, task, wait_for_input, workflow


@task
def draft(text: str) -> str:
    """What has to be approved."""
    return f"draft of {text}"


@task
def publish(text: str) -> str:
    """What may be done only after an approval."""
    return f"published {text}"


@task
def joined(number: int, words: list[str]) -> str:
    """Takes what came from outside."""
    return f"{number}:{','.join(words)}"


@task
def nothing() -> None:
    """Neither takes nor gives."""


@workflow
def approved(text: str) -> str:
    """A task's output goes on when it is approved."""
    return publish(text=approve(draft(text=text), "editor", timeout=timedelta(hours=2)))


@workflow
def asked() -> str:
    """Two inputs from outside, of different types."""
    number = wait_for_input("number", timeout=timedelta(hours=1), expected_type=int)
    words = wait_for_input("words", timeout=timedelta(hours=1), expected_type=list[str])
    return joined(number=number, words=words)


@workflow
def decided(text: str) -> str:
    """What came from outside decides which way to go."""
    answer = wait_for_input("answer", timeout=timedelta(hours=1), expected_type=bool)
    return conditional("answer").if_(answer.is_true()).then(publish(text=text)).else_().then(draft(text=text))


@workflow
def slept() -> None:
    """Order without data around a pause."""
    first, pause, last = nothing(), sleep(timedelta(seconds=1)), nothing()
    first >> pause
    pause >> last


@workflow
def unanswered() -> int:
    """Nobody answers in time."""
    return wait_for_input("late", timeout=timedelta(seconds=1), expected_type=int)
