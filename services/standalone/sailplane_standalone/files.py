"""The files that tell others where the control plane is."""

import json
import os
from pathlib import Path

from sailplane_core.errors import Refused

from .options import Addresses

CLIENT_CONFIG = """\
# Points flytekit and flytectl at the control plane that uses this directory. Written anew at every start.
admin:
  endpoint: dns:///{endpoint}
  insecure: true
"""


def write_client_config(path: Path, addresses: Addresses) -> None:
    """A configuration file for stock clients."""
    _write(path, CLIENT_CONFIG.format(endpoint=addresses.grpc))


def write_ready_file(path: Path, addresses: Addresses) -> None:
    """JSON for programs that wait for the control plane. Whoever sees the file sees all of it."""
    _write(path, json.dumps({"grpc": addresses.grpc, "http": addresses.http, "pid": os.getpid()}) + "\n")


def remove_ready_file(path: Path) -> None:
    """Nobody is to find it while nothing answers."""
    path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}") from error
