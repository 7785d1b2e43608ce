"""The raw container example with grpcurl alone, from its JSON files, as the README has it."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from compat.plane import Plane

GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"
EXAMPLE = Path(__file__).parents[2] / "examples" / "raw_container"
BUILD_TIMEOUT_S = 600


@pytest.fixture(scope="session")
def grpcurl() -> str:
    """The program, found or built."""
    bin_dir = Path(sys.executable).parent
    found = shutil.which("grpcurl") or shutil.which("grpcurl", path=str(bin_dir))
    if found is None and shutil.which("go"):
        environment = os.environ | {"GOBIN": str(bin_dir), "GOFLAGS": "-mod=mod"}
        subprocess.run(["go", "install", GRPCURL], env=environment, check=True, timeout=BUILD_TIMEOUT_S)
        found = str(bin_dir / "grpcurl")
    if found is None:
        pytest.skip("grpcurl is not installed, and there is no Go toolchain to build it with")
    return found


def call(grpcurl: str, plane: Plane, method: str, request: str) -> dict[str, Any]:
    """Call a method of AdminService under Flyte's name, found by reflection."""
    command = [grpcurl, "-plaintext", "-d", "@", plane.grpc, f"flyteidl.service.AdminService/{method}"]
    done = subprocess.run(command, input=request.encode(), capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.timeout(BUILD_TIMEOUT_S + 60)
def test_the_raw_container_example_runs_with_grpcurl_alone(grpcurl: str, plane: Plane) -> None:
    for method, file in (("CreateTask", "task"), ("CreateWorkflow", "workflow"), ("CreateExecution", "execution")):
        call(grpcurl, plane, method, (EXAMPLE / f"{file}.json").read_text())
    id = json.dumps({"id": {"project": "flytesnacks", "domain": "development", "name": "adding"}})
    deadline = time.monotonic() + 30
    while (closure := call(grpcurl, plane, "GetExecution", id)["closure"]).get("phase") not in ("SUCCEEDED", "FAILED"):
        assert time.monotonic() < deadline, closure
        time.sleep(0.1)
    assert closure["phase"] == "SUCCEEDED", closure
    data = call(grpcurl, plane, "GetExecutionData", id)
    assert data["fullOutputs"] == {"literals": {"total": {"scalar": {"primitive": {"integer": "142"}}}}}


def test_both_names_are_listed(grpcurl: str, plane: Plane) -> None:
    listed = subprocess.run([grpcurl, "-plaintext", plane.grpc, "list"], capture_output=True, timeout=30, check=True)
    assert {"flyteidl.service.AdminService", "sailplane.service.AdminService"} <= set(listed.stdout.decode().split())
