"""Why a piece of work failed, as data: what a task's error becomes on its way to the user."""

from dataclasses import dataclass
from enum import StrEnum

MESSAGE_BYTES_MAX = 100 * 1024
"""A longer error message is cut: events carry it, lists show it."""
CODE_BYTES_MAX = 255
"""The same for error codes and names of workers, which lists can be filtered by."""


class FailureKind(StrEnum):
    """Who is at fault, which decides the retry budget that an attempt spends."""

    USER = "USER"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure.

    `code` is a word for programs (`OutputsNotFound`, `USER:ValueError`), `message` a sentence for people.
    `retryable` says whether another attempt may help; budgets decide whether there is one.
    `at_s` is when it happened by the task's own account, in seconds since the epoch, None when it did not say.
    `worker` names the process of a distributed task that failed, "" otherwise.
    """

    code: str
    message: str
    kind: FailureKind
    retryable: bool = True
    at_s: float | None = None
    worker: str = ""


def bounded_message(message: str) -> str:
    """`message`, cut at `MESSAGE_BYTES_MAX` bytes of UTF-8 if it is longer."""
    return bounded(message, MESSAGE_BYTES_MAX)


def bounded(text: str, bytes_max: int) -> str:
    """`text`, cut at `bytes_max` bytes of UTF-8 if it is longer, without leaving half a character."""
    data = text.encode(errors="replace")
    return text if len(data) <= bytes_max else data[:bytes_max].decode(errors="ignore")
