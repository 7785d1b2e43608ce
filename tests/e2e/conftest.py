"""A control plane of its own for each test: what these tests do to one, others should not have to live with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from compat.plane import Plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """A running control plane."""
    started = Plane(tmp_path / "data").start()
    yield started
    started.stop()
