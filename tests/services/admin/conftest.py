"""Admin on real tables and files, with a clock that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sailplane_admin import projects
from sailplane_admin.ports import AdminPorts
from sailplane_admin.tables import metadata
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.sql import SqlStore


@pytest.fixture
def clock() -> ManualClock:
    """The tests' own time."""
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Empty tables."""
    opened = await SqlStore.open(f"sqlite:///{tmp_path}/admin.db", metadata)
    yield opened
    await opened.close()


@pytest.fixture
async def ports(tmp_path: Path, store: SqlStore, clock: ManualClock) -> AdminPorts:
    """What use cases are given; the default project is registered."""
    blobs = FileBlobs(tmp_path / "blobs", UrlSigner(b"s" * 32), clock, public_base_url="http://localhost:8088")
    made = AdminPorts(store, blobs, clock)
    await projects.ensure_defaults(made)
    return made
