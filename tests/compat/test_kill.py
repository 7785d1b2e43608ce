"""Killing the control plane at random moments loses no execution and runs no finished task again."""

import os
import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from compat.plane import Plane
from compat.raw import register_chain, start, wait_all

KILLS = 10
EXECUTIONS = 20
NODES = 5


def test_ten_kills_during_twenty_executions(own_plane: Callable[..., Plane], tmp_path: Path) -> None:
    seed = int(os.environ.get("SAILPLANE_SEED") or random.randrange(2**32))
    print(f"replay with SAILPLANE_SEED={seed}")
    luck = random.Random(seed)
    plane = own_plane()
    marks = tmp_path / "marks"
    marks.mkdir()
    version = uuid.uuid4().hex
    register_chain(
        plane, version, NODES, ["sh", "-c", 'sleep 0.$(( $(date +%N | cut -c1) / 3 )); echo x >> "$0"'], marks
    )
    names = [f"x{index}-{uuid.uuid4().hex[:6]}" for index in range(EXECUTIONS)]
    for name in names:
        start(plane, version, name)
    for _ in range(KILLS):
        time.sleep(luck.uniform(0.05, 0.8))
        plane.kill()
        plane.start()
    phases = wait_all(plane, names, timeout_s=120)
    assert phases == dict.fromkeys(names, "SUCCEEDED"), f"seed {seed}\n{plane.tail()}"
    runs = {mark.name: len(mark.read_text().splitlines()) for mark in marks.iterdir()}
    assert len(runs) == EXECUTIONS * NODES
    assert set(runs.values()) == {1}, f"seed {seed}: {[name for name, count in runs.items() if count != 1]}"
