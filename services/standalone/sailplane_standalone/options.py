"""What can be chosen about an embedded control plane, and where it turns out to be."""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sailplane_admin.ports import AdminSettings
from sailplane_core.errors import InvalidRequest
from sailplane_propeller.ports import PropellerSettings
from sailplane_runtime.notifiers.settings import NotificationSettings
from sailplane_runtime.settings import GrpcSettings, HttpSettings
from sailplane_scheduler.ports import SchedulerSettings


@dataclass(frozen=True, slots=True)
class Options:
    """How to start. `python_envs` maps globs of images to virtual environments."""

    data_dir: Path
    grpc: GrpcSettings = field(default_factory=GrpcSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    propeller: PropellerSettings = field(default_factory=PropellerSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    notifications: NotificationSettings = field(default_factory=NotificationSettings)
    python_envs: Mapping[str, Path] = field(default_factory=dict[str, Path])
    warm: bool = True
    """Whether Python tasks may be forked from a process that has flytekit imported already."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the doors are: `grpc` as `host:port`, `http` as a URL."""

    grpc: str
    http: str


def addresses(host: str, grpc_port: int, http_port: int) -> Addresses:
    """How clients reach doors on `host`. If that is every address of this machine, by the machine's name."""
    name = socket.gethostname() if _is_any(host) else host
    name = f"[{name}]" if ":" in name else name
    return Addresses(f"{name}:{grpc_port}", f"http://{name}:{http_port}")


def local_target(host: str, grpc_port: int) -> str:
    """How this process reaches its own gRPC door."""
    if _is_any(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return f"[{host}]:{grpc_port}" if ":" in host else f"{host}:{grpc_port}"


def require_safe(host: str, *, insecure_bind: bool) -> None:
    """Raises `InvalidRequest` for an address that others can reach, unless that was asked for in so many words."""
    if not is_loopback(host) and not insecure_bind:
        raise InvalidRequest(
            f"{host} can be reached by others, and whoever reaches the control plane can run programs on this machine: "
            "say --insecure-bind if that is what you want"
        )


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
