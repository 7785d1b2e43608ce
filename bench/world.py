"""What the benchmarks share: a control plane of their own, statistics, and JSON on standard output."""

import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every new process compiles its imports again

from compat import raw
from compat.plane import Plane


@contextmanager
def plane(*options: str) -> Iterator[Plane]:
    """A control plane with an empty data directory."""
    with tempfile.TemporaryDirectory(prefix="sailplane-bench-") as directory:
        started = Plane(Path(directory) / "data", options).start()
        try:
            yield started
        finally:
            started.stop()


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 90th percentile and best of some durations, in milliseconds."""
    ordered = sorted(seconds)
    return {
        "median_ms": round(statistics.median(ordered) * 1e3, 2),
        "p90_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))] * 1e3, 2),
        "best_ms": round(ordered[0] * 1e3, 2),
        "runs": len(ordered),
    }


def cpu_s(plane: Plane) -> float:
    """CPU seconds that the control plane and everything below it have used, tasks that ended included."""
    assert plane.process is not None
    total = 0.0
    root = psutil.Process(plane.process.pid)
    for process in [root, *root.children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def rss_mb(plane: Plane) -> float:
    """Resident memory of the control plane's own process, in MB."""
    assert plane.process is not None
    return round(psutil.Process(plane.process.pid).memory_info().rss / 1e6, 1)


def machine() -> dict[str, Any]:
    """What it ran on, and what ran beside."""
    return {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def show(results: dict[str, Any]) -> None:
    """Print the results."""
    print(json.dumps({"machine": machine(), **results}, indent=2))


__all__ = ["Plane", "cpu_s", "machine", "plane", "raw", "rss_mb", "show", "summary"]
