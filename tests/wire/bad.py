"""What is wrong with a request, and what Flyte says to it."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from grpc import StatusCode
from wire import good


@dataclass(frozen=True)
class Bad:
    """A request of an RPC, the code that it gets, and a text that its message must hold."""

    method: str
    make: Callable[[], Message]
    says: str
    code: StatusCode
    about: str

    def __str__(self) -> str:
        return f"{self.method}-{self.about}"


def bad(
    method: str,
    path: str,
    value: object = None,
    says: str = "",
    code: StatusCode = StatusCode.INVALID_ARGUMENT,
    *,
    of: Callable[[], Message] | None = None,
) -> Bad:
    """The RPC's good request, or the one that `of` makes, with another value at `path`, or none there.

    The message must name the last part of the path, unless `says` is given.
    """
    make = of or good.REQUESTS[method]
    about = f"{path}={_short(value)}" if path else "as it is"
    return Bad(
        method,
        lambda: good.spoiled(make(), path, value) if path else make(),
        says or path.rpartition(".")[2],
        code,
        about,
    )


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) < 40 else f"{text[:37]}..."
