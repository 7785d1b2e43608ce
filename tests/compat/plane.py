"""A control plane in a process of its own, started as a user starts it, and stock clients pointed at it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from flytekit.configuration import Config, PlatformConfig
from flytekit.remote import FlyteRemote

START_TIMEOUT_S = 60.0
BIN = Path(sys.executable).parent


@lru_cache(maxsize=1)
def _client(address: str) -> FlyteRemote:
    # Only one is kept, because flytekit uploads through whichever was made last.
    platform = PlatformConfig(endpoint=address, insecure=True)
    return FlyteRemote(Config(platform=platform), default_project="flytesnacks", default_domain="development")


@dataclass
class Plane:
    """`sailplane up` with a data directory of its own; can be killed and started again."""

    data_dir: Path
    options: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    grpc: str = ""
    http: str = ""
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.data_dir.parent / f"{self.data_dir.name}.log"

    @property
    def ready_file(self) -> Path:
        """Written by the control plane once every door answers."""
        return self.data_dir.parent / f"{self.data_dir.name}.ready.json"

    def start(self) -> "Plane":
        """Start and wait until it is ready. Ports stay the same over restarts."""
        self.ready_file.unlink(missing_ok=True)
        grpc_port = self.grpc.rpartition(":")[2] or "0"
        http_port = self.http.rpartition(":")[2] or "0"
        command = [str(BIN / "sailplane"), "up", "--data-dir", str(self.data_dir), "--grpc-port", grpc_port]
        command += ["--http-port", http_port, "--ready-file", str(self.ready_file), *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sailplane up did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)
        addresses = json.loads(self.ready_file.read_text())
        self.grpc, self.http = addresses["grpc"], addresses["http"]
        return self

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as Ctrl-C does; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def remote(self) -> FlyteRemote:
        """A stock FlyteRemote."""
        return _client(self.grpc)

    def environment(self) -> dict[str, str]:
        """The environment in which stock command lines find this control plane."""
        config = self.data_dir.parent / f"{self.data_dir.name}.config.yaml"
        config.write_text(f"admin:\n  endpoint: dns:///{self.grpc}\n  insecure: true\n")
        return os.environ | {"FLYTECTL_CONFIG": str(config), "PATH": f"{BIN}:{os.environ['PATH']}"}

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """Run a command line against it and return what it printed; fails loudly."""
        done = subprocess.run(command, env=self.environment(), cwd=cwd, capture_output=True, timeout=300, check=False)
        text = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{text}\n{self.tail()}"
        return text

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]
