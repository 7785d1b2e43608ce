"""Settings: frozen groups of values, read once where a process starts, and handed down from there.

Every field says its unit, what None means, its default and the reason for it. A group comes from the environment:
`read(GrpcSettings, "grpc", environ)` takes `SAILPLANE_GRPC_PORT` for its field `port`, and keeps the default of what
is not there. A group of a service stands with the service (`sailplane_admin.ports.AdminSettings`) and is read alike.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sailplane_core.errors import InvalidRequest

G = TypeVar("G")

PREFIX = "SAILPLANE_"
MIB = 1024 * 1024
KIB = 1024


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """The gRPC door."""

    host: str = "127.0.0.1"
    """Address to listen on. Loopback, because nobody is asked who they are."""

    port: int = 8089
    """0 takes any free port. Flyte's default."""

    message_bytes_max: int = 16 * MIB
    """The largest request. Flyte's 4 MiB is less than the closure of a workflow of a few thousand nodes."""

    metadata_bytes_max: int = 32 * KIB
    """All metadata of one request together. What flytekit's own side permits."""

    slow_call_s: float = 1.0
    """A call that takes longer is logged as a warning, in seconds."""

    stop_grace_s: float = 1.0
    """How long calls under way may take at a stop, in seconds. Then they are cut off; clients ask again."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The HTTP door."""

    host: str = "127.0.0.1"
    """Address to listen on. Loopback, as for gRPC."""

    port: int = 8088
    """0 takes any free port. Flyte's default."""

    header_bytes_max: int = 64 * KIB
    """The largest head of a request. Signed URLs with long keys fit many times over."""

    keep_alive_s: int = 75
    """How long an idle connection is kept, in seconds; longer than the pools of common clients keep theirs."""

    stop_grace_s: float = 1.0
    """How long requests under way may take at a stop, in seconds."""

    cors_origins: tuple[str, ...] = ()
    """Whose pages may call this server from a browser, besides our own: each `scheme://host` or `scheme://host:port`.
    None unless configured, because a call needs no password."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log, which goes to standard error."""

    format: str = "auto"
    """`json`, one object per line, `console`, for people, or `auto`: for people if standard error is a terminal."""

    level: str = "info"
    """The least level to write: `debug` (every call), `info`, `warning` or `error`."""


def read(group: type[G], name: str, environ: Mapping[str, str], **overrides: object) -> G:
    """A group from its variables `SAILPLANE_<NAME>_<FIELD>`; `overrides` that are not None win over them.

    Lists are separated by commas, names and their texts are a JSON object, and an empty text gives None where that is
    a value. No number is negative. Raises `InvalidRequest` that names every variable which does not parse, or which no
    field of the group stands for.
    """
    prefix = f"{PREFIX}{name.upper()}_"
    hints = typing.get_type_hints(group)
    fields = {prefix + field.name.upper(): field.name for field in dataclasses.fields(typing.cast("Any", group))}
    values: dict[str, object] = {}
    problems: list[str] = []
    for variable in sorted(name for name in environ if name.startswith(prefix)):
        field = fields.get(variable)
        if field is None:
            problems.append(f"{variable} is no setting; there are {', '.join(sorted(fields))}")
            continue
        try:
            values[field] = _parse(hints[field], environ[variable])
        except ValueError as error:
            problems.append(f"{variable}={environ[variable]!r}: {error}")
    if problems:
        raise InvalidRequest(*problems)
    return group(**{**values, **{name: value for name, value in overrides.items() if value is not None}})


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _texts_by_name(text: str) -> dict[str, str]:
    try:
        values: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"must be a JSON object of texts: {error}") from error
    if not isinstance(values, dict):
        raise ValueError("must be a JSON object of texts")
    found = typing.cast("dict[object, object]", values)
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError("must be a JSON object of texts")
    return typing.cast("dict[str, str]", found)


_PARSERS: dict[object, Callable[[str], object]] = {str: str, int: int, float: float, bool: _boolean}


def _parse(hint: Any, text: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType and types.NoneType in arguments:
        inner = next(argument for argument in arguments if argument is not types.NoneType)
        return _parse(inner, text) if text else None
    if origin is dict:
        return _texts_by_name(text)
    if origin is tuple:
        return tuple(_parse(arguments[0], part.strip()) for part in text.split(",") if part.strip())
    parser = _PARSERS.get(hint)
    if parser is None:
        raise ValueError("cannot be set by a variable")
    value = parser(text)
    if isinstance(value, int | float) and not 0 <= value < math.inf:
        raise ValueError("must be a number from 0 on")
    return value
