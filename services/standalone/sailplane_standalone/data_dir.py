"""The directory in which an embedded control plane keeps everything, and that only one of them may use.

admin.db, propeller.db, scheduler.db   one database per service
blobs/                                 inputs, outputs, uploads
pods/                                  one directory per attempt, with its log
secret                                 signs URLs
client.yaml                            points flytekit and flytectl here
lock                                   held while it is in use
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from sailplane_core.errors import Refused

DEFAULT = Path("~/.sailplane")
"""One per user and not per working directory: the ports are the user's too, so there is one control plane at a time,
and it should find its executions again from wherever it is started."""


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths within it."""

    path: Path

    @property
    def blobs(self) -> Path:
        """The root of the blob store."""
        return self.path / "blobs"

    @property
    def secret(self) -> Path:
        """The key that signs URLs."""
        return self.path / "secret"

    @property
    def client_config(self) -> Path:
        """A configuration file for stock clients."""
        return self.path / "client.yaml"

    def database_url(self, service: str) -> str:
        """The SQLite database of a service."""
        return f"sqlite:///{self.path / service}.db"

    def lock(self) -> "Lock":
        """Make it this process's own, creating it if there is none. Raises `Refused` when another process has it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Refused(f"cannot use {self.path} as data directory: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise Refused(
                f"data directory {self.path} is in use by process {holder}; stop it, or choose another with --data-dir"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return Lock(descriptor)


class Lock:
    """Held until `release` or the end of the process, however it ends. Child processes do not inherit it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)
