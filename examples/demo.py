"""Start the embedded control plane, run the breast cancer example on it with stock flytekit, and stop.

Run it with `make demo`. Everything it makes lies in a temporary directory that is removed at the end.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

EXAMPLE = Path(__file__).parent / "breast_cancer"
BIN = Path(sys.executable).parent
START_TIMEOUT_S = 60.0
RUN_TIMEOUT_S = 300.0


def start(home: Path) -> tuple["subprocess.Popen[bytes]", dict[str, str]]:
    """`sailplane up` with free ports; returns once every door answers."""
    ready = home / "ready.json"
    command = [str(BIN / "sailplane"), "up", "--data-dir", str(home / "data"), "--ready-file", str(ready)]
    log = (home / "sailplane.log").open("wb")
    process = subprocess.Popen([*command, "--grpc-port", "0", "--http-port", "0"], stdout=log, stderr=log)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"sailplane up did not start:\n{(home / 'sailplane.log').read_text()}")
        time.sleep(0.02)
    return process, json.loads(ready.read_text())


def register(home: Path, endpoint: str) -> None:
    """`pyflyte register`, as anybody would call it."""
    config = home / "config.yaml"
    config.write_text(f"admin:\n  endpoint: dns:///{endpoint}\n  insecure: true\n")
    os.environ["FLYTECTL_CONFIG"] = str(config)
    command = [str(BIN / "pyflyte"), "register", "-p", "flytesnacks", "-d", "development", "--version", "demo", "."]
    print("$", " ".join(["pyflyte", *command[1:]]), flush=True)
    subprocess.run(command, cwd=EXAMPLE, check=True)


def run(endpoint: str) -> None:
    """Execute the workflow with a stock FlyteRemote, and print what happens."""
    from flytekit.configuration import Config, PlatformConfig
    from flytekit.models.core.execution import NodeExecutionPhase, WorkflowExecutionPhase
    from flytekit.remote import FlyteRemote

    remote = FlyteRemote(
        Config(platform=PlatformConfig(endpoint=endpoint, insecure=True)), "flytesnacks", "development"
    )
    workflow = remote.fetch_workflow(name="breast_cancer.workflow.classify", version="demo")
    begun = time.monotonic()
    execution = remote.execute(workflow, inputs={"test_share": 0.25, "seed": 7})
    print(f"\nexecution {execution.id.name} of {workflow.id.name}", flush=True)
    told: dict[str, str] = {}
    while not execution.is_done and time.monotonic() < begun + RUN_TIMEOUT_S:
        execution = remote.sync(execution, sync_nodes=True)
        for node_id, node in sorted(execution.node_executions.items()):
            phase = NodeExecutionPhase.enum_to_string(node.closure.phase)
            if told.get(node_id) != phase:
                told[node_id] = phase
                print(f"{time.monotonic() - begun:7.2f} s  {node_id:<12} {phase}", flush=True)
        time.sleep(0.1)
    execution = remote.wait(execution, timeout=timedelta(seconds=5), poll_interval=timedelta(seconds=0.1))
    if execution.closure.phase != WorkflowExecutionPhase.SUCCEEDED:
        sys.exit(f"the execution failed: {execution.closure.error.message}")
    print(f"{time.monotonic() - begun:7.2f} s  SUCCEEDED\n")
    print("sentence:", execution.outputs["o0"])
    print("accuracy:", round(execution.outputs["o1"], 4))
    print("scores:  ", json.dumps(json.loads(Path(execution.outputs["o2"].download()).read_text())))


def main() -> None:
    """The whole demo."""
    with tempfile.TemporaryDirectory(prefix="sailplane-demo-") as directory:
        home = Path(directory)
        begun = time.monotonic()
        process, addresses = start(home)
        print(f"control plane ready in {time.monotonic() - begun:.2f} s at {addresses['grpc']}", flush=True)
        try:
            register(home, addresses["grpc"])
            run(addresses["grpc"])
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
