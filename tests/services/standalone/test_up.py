"""`sailplane up` as a process: how it starts, what it tells, what it refuses, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from sailplane_protos.admin import project_pb2
from sailplane_protos.service import admin_pb2_grpc

SAILPLANE = str(Path(sys.executable).parent / "sailplane")
PATIENCE_S = 60.0
HEAVY = ("alembic", "flytekit", "kubernetes", "numpy", "pandas", "pydantic", "redis", "rich")


@dataclass
class Up:
    """A started command."""

    process: subprocess.Popen[str]
    ready_file: Path

    def wait_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while not self.ready_file.exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return json.loads(self.ready_file.read_text())

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


class Starter:
    """Starts the command with free ports in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[Up] = []

    def __call__(self, *options: str, data: str = "data", **environ: str) -> Up:
        ready_file = self.directory / f"ready{len(self.started)}.json"
        command = [SAILPLANE, "up", "--data-dir", str(self.directory / data), "--ready-file", str(ready_file)]
        command += ["--grpc-port", "0", "--http-port", "0", "--cold", *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environ
        )
        self.started.append(Up(process, ready_file))
        return self.started[-1]

    def refused(self, *options: str, **environ: str) -> str:
        """What it says when it does not start."""
        up = self(*options, **environ)
        out, err = up.process.communicate(timeout=PATIENCE_S)
        assert up.process.returncode in (1, 2)
        assert "Traceback" not in err
        assert out == ""
        assert not up.ready_file.exists()
        return err


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    for up in starter.started:
        if up.process.poll() is None:
            up.process.kill()
            up.process.communicate()


def health(target: str) -> int:
    with grpc.insecure_channel(target) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", response_deserializer=health_pb2.HealthCheckResponse.FromString
        )
        return check(b"", timeout=10).status


def admin(channel: grpc.Channel) -> Any:
    return admin_pb2_grpc.AdminServiceStub(channel)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_door_answers_when_it_says_so_and_a_signal_ends_it(start: Starter, number: int) -> None:
    up = start()
    ready = up.wait_ready()
    assert ready["pid"] == up.process.pid
    assert health(ready["grpc"]) == health_pb2.HealthCheckResponse.SERVING
    with urllib.request.urlopen(f"{ready['http']}/healthcheck", timeout=10) as answer:
        assert answer.status == 200
    begun = time.monotonic()
    code, out, _ = up.end(number)
    assert code == 0
    assert time.monotonic() - begun < 5
    assert not up.ready_file.exists()
    assert ready["grpc"] in out
    assert ready["http"] in out


def test_it_tells_a_newcomer_how_to_go_on(start: Starter) -> None:
    up = start()
    ready = up.wait_ready()
    _, out, _ = up.end()
    (export,) = [line.split() for line in out.splitlines() if "export" in line]
    name, _, path = export[1].partition("=")
    assert name == "FLYTECTL_CONFIG"
    assert f"endpoint: dns:///{ready['grpc']}\n" in Path(path).read_text()
    assert sum("pyflyte" in line for line in out.splitlines()) == 2


def test_what_was_registered_is_there_after_a_kill_and_a_restart(start: Starter) -> None:
    first = start()
    with grpc.insecure_channel(first.wait_ready()["grpc"]) as channel:
        project = project_pb2.Project(id="kept", name="Kept")
        admin(channel).RegisterProject(project_pb2.ProjectRegisterRequest(project=project), timeout=10)
    first.process.kill()
    first.process.communicate()
    first.ready_file.unlink()
    second = start()
    with grpc.insecure_channel(second.wait_ready()["grpc"]) as channel:
        projects = admin(channel).ListProjects(project_pb2.ProjectListRequest(), timeout=10).projects
    assert "kept" in {project.id for project in projects}
    assert second.end()[0] == 0


def test_services_of_all_three_are_offered(start: Starter) -> None:
    target = start().wait_ready()["grpc"]
    with grpc.insecure_channel(target) as channel:
        for method in (
            "/flyteidl.service.AdminService/GetVersion",
            "/sailplane.propeller.PropellerService/ListParked",
            "/sailplane.scheduler.SchedulerService/ListSchedules",
        ):
            channel.unary_unary(method)(b"", timeout=10)


def test_a_data_directory_serves_one_at_a_time(start: Starter) -> None:
    first = start()
    first.wait_ready()
    said = start.refused()
    assert f"is in use by process {first.process.pid}" in said
    assert "--data-dir" in said
    assert first.process.poll() is None


@pytest.mark.parametrize("door", ["--grpc-port", "--http-port"])
def test_a_port_in_use_is_said_so(start: Starter, door: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is in use" in start.refused(door, port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "some.example"])
def test_an_address_that_others_reach_must_be_asked_for(start: Starter, host: str) -> None:
    assert "--insecure-bind" in start.refused("--host", host)
    assert "--insecure-bind" in start.refused(SAILPLANE_GRPC_HOST=host)


def test_an_address_that_others_reach_can_be_asked_for(start: Starter) -> None:
    ready = start("--host", "0.0.0.0", "--insecure-bind").wait_ready()
    port = ready["grpc"].rpartition(":")[2]
    assert ready["grpc"] == f"{socket.gethostname()}:{port}"
    assert health(f"127.0.0.1:{port}") == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--python-env", "no-equals-sign"], "IMAGE_GLOB=VENV"),
        (["--python-env", "*=/nowhere"], "/nowhere is no Python environment"),
        (["--grpc-port", "70000"], "70000"),
        (["--data-dir", "/dev/null/data"], "/dev/null/data"),
        (["--ready-file", "/nowhere/ready.json"], "/nowhere/ready.json"),
    ],
)
def test_wrong_options_are_said_so(start: Starter, options: list[str], said: str) -> None:
    assert said in start.refused(*options)


def test_a_misspelt_setting_is_refused(start: Starter) -> None:
    assert "SAILPLANE_GRPC_PRT is no setting" in start.refused(SAILPLANE_GRPC_PRT="1")


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys; from sailplane_standalone import command; command._import_run()\n"
        f"print(set({HEAVY}) & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_help_needs_no_control_plane() -> None:
    program = (
        "import sys; sys.argv = ['sailplane', 'up', '--help']\n"
        "import atexit; atexit.register(lambda: print({'grpc', 'sqlalchemy'} & set(sys.modules)))\n"
        "from sailplane.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--insecure-bind" in done.stdout
    assert done.stdout.strip().endswith("set()")
