"""Three hundred worlds, and those that once went wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sim.__main__ import kept, replay, run
from sim.world import live

SEEDS = 300
PER_TEST = 25


@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_seeds(first: int) -> None:
    failed = run(list(range(first, first + PER_TEST))).failed
    assert not failed, "\n".join(f"{replay(seed)}: {found[:3]}" for seed, found in failed.items())


def test_seeds_that_once_failed() -> None:
    failed = run(kept()).failed
    assert not failed, "\n".join(f"{replay(seed)}: {found[:3]}" for seed, found in failed.items())


def test_a_seed_is_the_same_everywhere() -> None:
    seeds = [2, 4, 35]
    here = [live(seed).history.digest() for seed in seeds]
    assert here == [live(seed).history.digest() for seed in seeds]
    program = f"from sim.world import live\nfor seed in {seeds}: print(live(seed).history.digest())"
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[1])}
        elsewhere = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert elsewhere.stdout.split() == here


def test_seeds_differ() -> None:
    assert len({live(seed).history.digest() for seed in range(10)}) == 10
