"""Killing the control plane while nodes of every kind run: nothing is lost, and nothing is done twice."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from compat.plane import Plane
from compat.runs import GATES, Runs, answer_gates, marks, node_phase, phase, task_phases, tree

PROGRAMS = ("branches.py", "caches.py", "dynamics.py", "everything.py", "launches.py", "maps.py", "policies.py")
KILLS = 2


def test_kills_while_every_kind_of_node_runs(own_plane: Callable[..., Plane], tmp_path: Path) -> None:
    chance = random.Random(1)
    runs = Runs(own_plane())
    runs.register(*PROGRAMS)
    folder = tmp_path / "marks"
    folder.mkdir()
    cached = [runs.start("caches.one_at_a_time", {"x": 1, "marks": str(folder)}) for _ in range(2)]
    everything = [runs.start("everything.everything", {"x": 2, "xs": [0, 1, 2]}) for _ in range(2)]
    open_gates = {one.id.name: set(GATES) for one in everything}
    deadline = time.monotonic() + 90
    for _ in range(KILLS):
        until = time.monotonic() + chance.random() * 1.5
        while time.monotonic() < until:
            for one in everything:
                answer_gates(runs, one, open_gates[one.id.name])
        runs.plane.kill()
        runs.plane.start()
    while any(open_gates.values()) and time.monotonic() < deadline:
        for one in everything:
            answer_gates(runs, one, open_gates[one.id.name])
    assert [runs.end(one).outputs["o0"] for one in cached] == [2, 2]
    assert marks(folder) == {"serialized1": 1}
    for one in everything:
        done = runs.end(one)
        assert phase(done) == "SUCCEEDED"
        assert [done.outputs[name] for name in ("o0", "o1", "o2")] == [3, 1, 53]
        assert {node_phase(node) for node in tree(done).values()} == {"SUCCEEDED"}
        assert task_phases(done.node_executions["n0"]) == ["FAILED", "SUCCEEDED"]
