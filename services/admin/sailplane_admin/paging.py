"""Pages: how many rows, from where on, and the token of the next page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sailplane_core.errors import InvalidRequest
from sailplane_core.filters import parse_token

R = TypeVar("R")

PAGE_ROWS_MAX = 10_000
"""Who asks for more gets this many and a token. Flyte has no such limit, and then runs out of memory."""


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Rows of a list. `next_token` leads to the page after it; "" when this one is not full."""

    rows: Sequence[R]
    next_token: str


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of the whole list a page has. `rows_max` is None for all that there are."""

    offset: int
    rows_max: int | None

    def page(self, rows: Sequence[R]) -> Page[R]:
        """The page of the rows found. A full page has a token, even if nothing follows, as Flyte's have."""
        is_full = self.rows_max is not None and len(rows) == self.rows_max
        return Page(rows, str(self.offset + len(rows)) if is_full else "")


def window(limit: int, token: str, *, zero_is_all: bool = False) -> Window:
    """The window of a request. Tokens are decimal offsets, because flytectl computes them itself.

    Raises `InvalidRequest` for a limit of 0, unless `zero_is_all`, and for a token that is no offset.
    """
    offset = parse_token(token)
    if limit < 1:
        if not zero_is_all:
            raise InvalidRequest.invalid("limit", "must be at least 1")
        return Window(offset, None)
    return Window(offset, min(limit, PAGE_ROWS_MAX))
