"""A version that another process registers in between."""

from collections.abc import Callable
from typing import Any

import pytest
from sailplane_admin.registration import write_once
from sailplane_core.errors import IdenticalStructure
from sqlalchemy.exc import IntegrityError


class RacingStore:
    """The first change finds no row, and fails to insert it all the same."""

    def __init__(self) -> None:
        self.writes = 0

    async def write(self, change: Callable[[Any], Any]) -> Any:
        """Like the store."""
        self.writes += 1
        if self.writes == 1:
            raise IntegrityError("INSERT", {}, Exception("unique"))
        return change(None)


async def test_who_loses_the_race_is_told_the_same_as_who_comes_late() -> None:
    def change(_: Any) -> None:
        raise IdenticalStructure("task", "p:d:n:v")

    with pytest.raises(IdenticalStructure):
        await write_once(RacingStore(), change)  # type: ignore[arg-type]
