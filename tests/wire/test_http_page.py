"""The commands of docs/http.md do what the page says when they are pasted."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from compat.plane import Plane

PAGE = Path(__file__).parents[2] / "docs" / "http.md"
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("curl ")
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane that knows only what the page tells it."""
    started = Plane(tmp_path_factory.mktemp("page") / "data").start()
    yield started
    assert started.stop() == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_commands_work_one_after_the_other(alone: Plane, tmp_path: Path) -> None:
    assert len(COMMANDS) == 8
    outputs: list[str] = []
    for command in COMMANDS:
        here = command.replace("http://localhost:8088", alone.http)
        assert here != command
        done = subprocess.run(["sh", "-c", here], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True)
        outputs.append(done.stdout)
    projects, executions, made, changed, rockets, stopped, _, openapi = outputs
    assert '"id":"flytesnacks"' in projects
    assert executions == '{"executions":[],"token":""}'
    assert (made, changed) == ("{}", "{}")
    assert '"description":"They go up"' in rockets
    assert '"code":5' in stopped  # there is no execution NAME
    assert b"flytesnacks" in (tmp_path / "projects.pb").read_bytes()
    assert openapi.startswith('{"openapi":"3.1.0"')
