"""Stock flytekit's entry points give the same files and exit codes warm and cold."""

import io
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conformance.pods_world import NAMESPACE, PodWorld, only, pod, read_log
from sailplane_core.ports import Pod
from sailplane_protos.core import errors_pb2, literals_pb2

TASKS = """
import os
from dataclasses import dataclass
from flytekit import current_context, task
from flytekit.types.file import FlyteFile

@task
def double(x: int) -> int:
    print("doubling", x)
    return 2 * x

@task
def fail(x: int) -> int:
    raise ValueError(f"no {x}")

@task
def where(x: int) -> str:
    context = current_context()
    assert context.execution_id.name == "x1", context.execution_id
    assert context.working_directory.startswith(os.environ["TMPDIR"]), context.working_directory
    return context.task_id.name

@task
def write(x: int) -> FlyteFile:
    with open("made", "w") as file:
        file.write(str(x))
    return FlyteFile("made")
"""
ENV = {"FLYTE_INTERNAL_EXECUTION_ID": "x1", "FLYTE_INTERNAL_TASK_NAME": "tasks.any"}


def inputs(directory: Path) -> str:
    path = directory / "inputs.pb"
    scalar = literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=21))
    path.write_bytes(literals_pb2.LiteralMap(literals={"x": literals_pb2.Literal(scalar=scalar)}).SerializeToString())
    return str(path)


def execute(world: PodWorld, name: str) -> list[str]:
    resolver = "flytekit.core.python_auto_container.default_task_resolver"
    return [
        *("pyflyte-execute", "--inputs", inputs(world.directory), "--output-prefix", str(world.directory / name)),
        *("--raw-output-data-prefix", f"file://{world.directory}/raw/{name}", "--checkpoint-path", ""),
        *("--prev-checkpoint", '""', "--resolver", resolver, "--", "task-module", "tasks", "task-name", name),
    ]


def plain(world: PodWorld, name: str) -> Pod:
    return pod(name, *execute(world, name), env={**ENV, "PYTHONPATH": str(world.directory)})


def fast(world: PodWorld, name: str) -> Pod:
    archive = world.directory / "fast123.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("tasks.py")
        member.size = len(TASKS)
        tar.addfile(member, io.BytesIO(TASKS.encode()))
    distribution = ["--additional-distribution", f"file://{archive}", "--dest-dir", "/root"]
    return pod(name, "pyflyte-fast-execute", *distribution, "--", *execute(world, name), env=ENV)


def outputs(world: PodWorld, name: str) -> literals_pb2.Literal:
    data = (world.directory / name / "outputs.pb").read_bytes()
    return literals_pb2.LiteralMap.FromString(data).literals["o0"]


def error(world: PodWorld, name: str) -> errors_pb2.ContainerError:
    return errors_pb2.ErrorDocument.FromString((world.directory / name / "error.pb").read_bytes()).error


def text_at(uri: str) -> str:
    return Path(uri.removeprefix("file://")).read_text()


@pytest.fixture(params=[True, False], ids=["warm", "cold"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PodWorld]:
    (tmp_path / "tasks.py").write_text(TASKS)
    world = PodWorld(tmp_path, Path(sys.prefix), request.param, frozenset())
    yield world
    await world.close()


async def test_tasks_of_stock_flytekit(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    for name in ("double", "fail", "where"):
        await launcher.ensure(plain(world, name))
    await launcher.ensure(fast(world, "write"))
    for name in ("double", "fail", "where", "write"):
        end = only(await watcher.ended(name))
        assert (end.exit_code, end.message) == (0, "")

    assert outputs(world, "double").scalar.primitive.integer == 42
    assert "doubling 21" in await read_log(launcher.log(NAMESPACE, "double", ""))
    assert outputs(world, "where").scalar.primitive.string_value == "tasks.any"
    failure = error(world, "fail")
    assert (failure.code, failure.kind) == ("USER:RuntimeError", errors_pb2.ContainerError.NON_RECOVERABLE)
    assert "ValueError: no 21" in failure.message
    made = outputs(world, "write").scalar.blob.uri
    assert made.startswith(f"file://{world.directory}/raw/write/")
    assert text_at(made) == "21"
    assert (world.attempt("write") / "work/tasks.py").exists()


async def test_an_entry_point_called_wrongly_says_how_to_call_it(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(pod("a", "pyflyte-execute", "--no-such-option"))
    end = only(await watcher.ended("a"))
    assert end.exit_code == 2
    assert "No such option" in end.message
