"""How fast executions are: start-up, one task, a chain, a fan-out, creates per second; raw and with flytekit.

    python bench/executions.py [--runs 20] [--only NAME]

Every task is a process of its own. Durations are from the call of CreateExecution to the first GetExecution that
says SUCCEEDED, asked every 2 ms.
"""

import argparse
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flyteidl.core import execution_pb2
from world import Plane, cpu_s, plane, raw, rss_mb, show, summary

ASK_EVERY_S = 0.002
CLIENTS = 16
CREATES = 1600


def run_once(plane: Plane, name: str, version: str) -> float:
    """Start one execution and wait for its success; the seconds it took."""
    execution = f"b{uuid.uuid4().hex[:12]}"
    begun = time.perf_counter()
    raw.start(plane, version, execution, name)
    while True:
        closure = raw.get(plane, execution).closure
        if closure.phase == execution_pb2.WorkflowExecution.SUCCEEDED:
            return time.perf_counter() - begun
        if closure.phase in (execution_pb2.WorkflowExecution.FAILED, execution_pb2.WorkflowExecution.ABORTED):
            raise RuntimeError(f"{execution} failed: {closure.error.message}")
        time.sleep(ASK_EVERY_S)


def measure(plane: Plane, name: str, version: str, runs: int) -> dict[str, Any]:
    """Several executions one after another, after one that warms up."""
    run_once(plane, name, version)
    cpu_before = cpu_s(plane)
    seconds = [run_once(plane, name, version) for _ in range(runs)]
    return {**summary(seconds), "cpu_s_per_run": round((cpu_s(plane) - cpu_before) / runs, 4)}


def start_up(runs: int) -> dict[str, float]:
    """From exec to the ready file, which is written when every door answers."""
    seconds = []
    for _ in range(runs):
        begun = time.perf_counter()
        with plane():
            seconds.append(time.perf_counter() - begun)
    return summary(seconds)


GRAPHS: dict[str, Sequence[Sequence[int]]] = {
    "one_task": [[]],
    "chain_of_10": [[i - 1] if i else [] for i in range(10)],
    "fan_out_100": [[] for _ in range(100)],
}


def containers(runs: int) -> dict[str, Any]:
    """Container tasks that run `true`."""
    results: dict[str, Any] = {}
    with plane() as running:
        for name, edges in GRAPHS.items():
            raw.register(running, name, "v1", ["true", "{{.inputs.node}}"], edges)
            results[name] = measure(running, name, "v1", runs if len(edges) < 100 else max(3, runs // 4))
        results["rss_mb"] = rss_mb(running)
    return results


def creates() -> dict[str, Any]:
    """CreateExecution from many clients at once, while nothing else is asked."""
    with plane() as running:
        raw.register(running, "one_task", "v1", ["true", "{{.inputs.node}}"], [[]])
        run_once(running, "one_task", "v1")
        each = CREATES // CLIENTS

        def client() -> None:
            for _ in range(each):
                raw.start(running, "v1", f"c{uuid.uuid4().hex[:12]}", "one_task")

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        cpu_before, begun = cpu_s(running), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall_s = time.perf_counter() - begun
        return {
            "per_second": round(each * CLIENTS / wall_s, 1),
            "clients": CLIENTS,
            "cpu_s_each": round((cpu_s(running) - cpu_before) / (each * CLIENTS), 5),
        }


FLYTEKIT_PROGRAM = """
from flytekit import task, workflow

@task
def noop() -> None:
    pass

@workflow
def one_task() -> None:
    noop()

@workflow
def chain_of_10() -> None:
    nodes = [noop() for _ in range(10)]
    for before, after in zip(nodes, nodes[1:]):
        before >> after

@workflow
def fan_out_100() -> None:
    for _ in range(100):
        noop()
"""


def flytekit_tasks(runs: int, *options: str) -> dict[str, Any]:
    """The same graphs out of stock flytekit Python tasks."""
    results: dict[str, Any] = {}
    with plane(*options) as running, tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "noops.py").write_text(FLYTEKIT_PROGRAM)
        command = ["pyflyte", "register", "-p", raw.PROJECT, "-d", raw.DOMAIN, "--version", "v1", "noops.py"]
        running.run(*command, cwd=Path(directory))
        for name, edges in GRAPHS.items():
            count = runs if len(edges) == 1 else max(2, runs // 10)
            if options and len(edges) == 100:
                count = 1
            results[name] = measure(running, f"noops.{name}", "v1", count)
    return results


def main() -> None:
    """Run the benchmarks and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=["start", "containers", "creates", "flytekit_warm", "flytekit_cold"])
    chosen = parser.parse_args()
    jobs: dict[str, Callable[[], Any]] = {
        "start": lambda: start_up(max(3, chosen.runs // 4)),
        "containers": lambda: containers(chosen.runs),
        "creates": creates,
        "flytekit_warm": lambda: flytekit_tasks(chosen.runs),
        "flytekit_cold": lambda: flytekit_tasks(max(3, chosen.runs // 4), "--cold"),
    }
    show({name: job() for name, job in jobs.items() if chosen.only in (None, name)})


if __name__ == "__main__":
    main()
