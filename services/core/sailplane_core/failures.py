"""Why a piece of work failed, as data: what a task's error becomes on its way to the user."""

from dataclasses import dataclass
from enum import StrEnum

MESSAGE_BYTES_MAX = 100 * 1024
"""A longer error message is cut: events carry it, lists show it."""
CODE_BYTES_MAX = 255
"""The same for error codes and names of workers, which lists can be filtered by."""
FIRST_S, END_S = -62_135_596_800, 253_402_300_800
"""The times that the wire can tell, in seconds since the epoch: from the year 1 to before the year 10000."""


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

    Much of it is said by tasks, who may say anything: what is too long is cut, a time that cannot be is left out.
    """

    code: str
    message: str
    kind: FailureKind
    retryable: bool = True
    at_s: float | None = None
    worker: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", bounded(self.code, CODE_BYTES_MAX))
        object.__setattr__(self, "message", bounded(self.message, MESSAGE_BYTES_MAX))
        object.__setattr__(self, "worker", bounded(self.worker, CODE_BYTES_MAX))
        if self.at_s is not None and not FIRST_S <= self.at_s < END_S:
            object.__setattr__(self, "at_s", None)


def bounded(text: str, bytes_max: int) -> str:
    """`text`, cut at `bytes_max` bytes of UTF-8 if it is longer, without leaving half a character."""
    data = text.encode(errors="replace")
    return text if len(data) <= bytes_max else data[:bytes_max].decode(errors="ignore")
