"""One control plane for the whole folder; tests that kill theirs start one of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compat.plane import Plane
from compat.runs import EVERY_PROGRAM, Runs


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A running control plane."""
    started = Plane(tmp_path_factory.mktemp("plane") / "data").start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def runs(plane: Plane) -> Runs:
    """The control plane with every program registered."""
    known = Runs(plane)
    known.register(*EVERY_PROGRAM)
    return known


@pytest.fixture
def own_plane(tmp_path: Path) -> Iterator[Callable[..., Plane]]:
    """Starts control planes that a test may do anything to."""
    planes: list[Plane] = []

    def start(*options: str) -> Plane:
        planes.append(Plane(tmp_path / f"data{len(planes)}", options).start())
        return planes[-1]

    yield start
    for one in planes:
        one.stop()
