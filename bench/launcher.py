"""How quickly the process launcher starts and ends things, as JSON.

    python bench/launcher.py [--runs 50] [--skip-cold]

Every figure is wall clock from `ensure` to the terminal status on `observe`, median over the runs, in milliseconds.
`cpu_ms` is the processor time that one attempt's own process used.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import uvloop
from sailplane_core.ports import Pod, PodPhase
from sailplane_protos.core import literals_pb2
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.pods.process import ProcessLauncher

NAMESPACE = "bench"
TASK = """
from flytekit import task

@task
def noop(x: int) -> int:
    return x
"""
OVER = (PodPhase.SUCCEEDED, PodPhase.FAILED, PodPhase.MISSING)


class Bench:
    """A launcher on a directory of its own."""

    def __init__(self, directory: Path, warm: bool) -> None:
        self.directory = directory
        self.launcher = ProcessLauncher(directory / "data", SystemClock(), warm=warm)
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.count = 0

    async def __aenter__(self) -> "Bench":
        await self.launcher.start()
        self.follower = asyncio.create_task(self.follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.follower.cancel()
        await self.launcher.stop()

    async def follow(self) -> None:
        async for status in self.launcher.observe():
            if status.phase in OVER and status.name in self.waiting:
                if status.phase is not PodPhase.SUCCEEDED:
                    raise SystemExit(f"{status.name} did not succeed: {status}")
                self.waiting.pop(status.name).set_result(None)

    async def run(self, *argv: str, env: dict[str, str] | None = None) -> float:
        """Run one Pod; how long it took, in seconds."""
        self.count += 1
        name = f"p{self.count}"
        variables = [{"name": each, "value": value} for each, value in (env or {}).items()]
        container = {"name": name, "image": "any", "command": [*argv], "env": variables}
        ended = self.waiting[name] = asyncio.get_running_loop().create_future()
        begin = time.perf_counter()
        await self.launcher.ensure(Pod(name, NAMESPACE, name, {"spec": {"containers": [container]}}))
        await ended
        return time.perf_counter() - begin

    def task(self) -> tuple[list[str], dict[str, str]]:
        """A stock flytekit task that does nothing."""
        inputs = self.directory / "inputs.pb"
        scalar = literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=1))
        inputs.write_bytes(
            literals_pb2.LiteralMap(literals={"x": literals_pb2.Literal(scalar=scalar)}).SerializeToString()
        )
        (self.directory / "bench_task.py").write_text(TASK)
        resolver = "flytekit.core.python_auto_container.default_task_resolver"
        argv = [
            *("pyflyte-execute", "--inputs", str(inputs), "--output-prefix", str(self.directory / "out")),
            *("--raw-output-data-prefix", str(self.directory / "raw"), "--resolver", resolver, "--"),
            *("task-module", "bench_task", "task-name", "noop"),
        ]
        return argv, {"PYTHONPATH": str(self.directory), "FLYTE_INTERNAL_EXECUTION_ID": "bench"}

    def cpu_ms(self) -> float:
        """What the last attempt's process used."""
        record = json.loads((self.directory / f"data/pods/{NAMESPACE}/p{self.count}/exit").read_text())
        return round(1000 * record["cpu_s"], 1)


def median_ms(seconds: list[float]) -> float:
    return round(1000 * statistics.median(seconds), 2)


async def measure(runs: int, skip_cold: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        async with Bench(Path(directory), warm=False) as bench:
            await bench.run("true")
            found["true_ms"] = median_ms([await bench.run("true") for _ in range(runs)])
            begin = time.perf_counter()
            await asyncio.gather(*(bench.run("true") for _ in range(100)))
            found["hundred_true_at_once_ms"] = round(1000 * (time.perf_counter() - begin), 1)
            if not skip_cold:
                argv, env = bench.task()
                await bench.run(*argv, env=env)
                found["flytekit_cold_ms"] = median_ms([await bench.run(*argv, env=env) for _ in range(3)])
                found["flytekit_cold_cpu_ms"] = bench.cpu_ms()
    with tempfile.TemporaryDirectory() as directory:
        begin = time.perf_counter()
        async with Bench(Path(directory), warm=True) as bench:
            argv, env = bench.task()
            await bench.run(*argv, env=env)
            found["flytekit_first_ms"] = round(1000 * (time.perf_counter() - begin), 1)
            found["flytekit_warm_ms"] = median_ms([await bench.run(*argv, env=env) for _ in range(runs)])
            found["flytekit_warm_cpu_ms"] = bench.cpu_ms()
            begin = time.perf_counter()
            await asyncio.gather(*(bench.run(*argv, env=env) for _ in range(20)))
            found["twenty_flytekit_at_once_ms"] = round(1000 * (time.perf_counter() - begin), 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--skip-cold", action="store_true")
    options = parser.parse_args()
    print(json.dumps(uvloop.run(measure(options.runs, options.skip_cold)), indent=2))


if __name__ == "__main__":
    main()
