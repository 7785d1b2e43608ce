"""Runs seeds: `make sim SEEDS=1000 [FIRST=0] [JOBS=2]`, or one of them with everything that happens: `TRACE=seed`."""

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from .checkers import judge
from .world import live

SEEDS_KEPT = Path(__file__).parent / "seeds.txt"
SEEDS_PER_JOB = 25
FOUND_SHOWN_MAX = 5


@dataclass
class Run:
    """What some seeds came to. `cpu_ms` has one number per seed."""

    failed: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    cpu_ms: list[float] = field(default_factory=list[float])
    simulated_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter[str])
    nodes: Counter[str] = field(default_factory=Counter[str])
    phases: Counter[int] = field(default_factory=Counter[int])


def kept() -> list[int]:
    """Seeds that once failed: one a line, with why."""
    lines = SEEDS_KEPT.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def replay(seed: int) -> str:
    """The command that shows what happens in a seed."""
    return f"make sim TRACE={seed}"


def run(seeds: list[int]) -> Run:
    """Live through some seeds and judge each."""
    result = Run()
    for seed in seeds:
        begun = time.process_time()
        outcome = live(seed)
        found = judge(outcome)
        result.cpu_ms.append((time.process_time() - begun) * 1000)
        result.simulated_s += outcome.at_s
        result.faults.update(outcome.faults.struck)
        result.nodes.update(row["kind"] for row in outcome.stored["nodes"])
        result.phases.update(row["phase"] for row in outcome.stored["record.executions"])
        if found:
            result.failed[seed] = found
    return result


def trace(seed: int) -> int:
    """Print everything that happens in a seed, and what is wrong with it."""
    outcome = live(seed)
    for happening in outcome.history.happenings:
        print(happening)
    print(f"trace {outcome.history.digest()}; faults {outcome.faults.struck} at rates {outcome.faults.rates}")
    found = judge(outcome)
    for one in found:
        print(f"WRONG {one}")
    return 1 if found else 0


def main() -> int:
    """Say how many of the seeds failed, and how to see each again."""
    parser = argparse.ArgumentParser(prog="sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--trace", type=int, help="show this seed instead")
    given = parser.parse_args()
    if given.trace is not None:
        return trace(given.trace)
    begun = time.monotonic()
    seeds = [*kept(), *range(given.first, given.first + given.seeds)]
    total = Run()
    for part in _in_parts(seeds, given.jobs):
        total.failed |= part.failed
        total.cpu_ms += part.cpu_ms
        total.simulated_s += part.simulated_s
        total.faults.update(part.faults)
        total.nodes.update(part.nodes)
        total.phases.update(part.phases)
        for seed, found in part.failed.items():
            print(f"seed {seed}: {replay(seed)}")
            for one in found[:FOUND_SHOWN_MAX]:
                print(f"    {one}")
            sys.stdout.flush()
    print(
        f"{len(seeds)} seeds, {len(total.failed)} failed; {time.monotonic() - begun:.0f} s, CPU per seed "
        f"{statistics.median(total.cpu_ms):.1f} ms median, {max(total.cpu_ms):.0f} ms at most; "
        f"{total.simulated_s / 86400:.0f} simulated days"
    )
    print(f"executions by phase {dict(total.phases)}, nodes by kind {dict(total.nodes)}, faults {dict(total.faults)}")
    return 1 if total.failed else 0


def _in_parts(seeds: list[int], jobs: int) -> Iterator[Run]:
    parts = [seeds[start : start + SEEDS_PER_JOB] for start in range(0, len(seeds), SEEDS_PER_JOB)]
    if jobs <= 1:
        yield from map(run, parts)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run, part) for part in parts]):
            yield done.result()


if __name__ == "__main__":
    sys.exit(main())
