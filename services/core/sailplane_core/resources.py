"""Kubernetes quantities, and whose word counts for a task's resources.

Quantities are written as in https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from sailplane_protos.core import tasks_pb2

from .errors import InvalidRequest

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?")
_DECIMAL_POWERS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_POWERS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}

CPU = "cpu"
MEMORY = "memory"
EPHEMERAL_STORAGE = "ephemeral-storage"
GPU = "nvidia.com/gpu"

_Resources = tasks_pb2.Resources
NAMES: dict[int, str] = {
    _Resources.CPU: CPU,
    _Resources.GPU: GPU,
    _Resources.MEMORY: MEMORY,
    _Resources.STORAGE: "storage",
    _Resources.EPHEMERAL_STORAGE: EPHEMERAL_STORAGE,
}
"""Kubernetes' names of the resources that the wire counts by number."""


def parse_quantity(text: str) -> Decimal:
    """`500m` is 0.5, `1Ki` is 1024, `1e3` is 1000. Raises `InvalidRequest` for anything else, and for less than 0."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(f"{text!r} is not a quantity such as 2, 500m or 1Gi")
    number, suffix, exponent = match.groups()
    value = Decimal(number)
    if suffix in _BINARY_POWERS:
        value *= 2 ** _BINARY_POWERS[suffix]
    elif suffix or exponent:
        value = value.scaleb(_DECIMAL_POWERS[suffix] if suffix else int(exponent))
    if value < 0:
        raise InvalidRequest(f"{text!r} is less than nothing")
    return value


def format_cpu(cores: Decimal) -> str:
    """`2` or `500m`; less than a thousandth of a core counts as one."""
    if cores == cores.to_integral_value():
        return str(int(cores))
    return f"{int((cores * 1000).to_integral_value(ROUND_CEILING))}m"


def format_bytes(size: Decimal) -> str:
    """`1Gi`, `1500Mi`, `1234`: the largest binary unit that says it exactly, in whole bytes rounded up."""
    whole = int(size.to_integral_value(ROUND_CEILING))
    for suffix, power in reversed(_BINARY_POWERS.items()):
        if whole and whole % 2**power == 0:
            return f"{whole >> power}{suffix}"
    return str(whole)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a container asks for, Kubernetes name to quantity as it was written."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]

    @property
    def manifest(self) -> dict[str, dict[str, str]]:
        """As a container's `resources`; parts that say nothing are left out."""
        parts = {"requests": dict(self.requests), "limits": dict(self.limits)}
        return {name: part for name, part in parts.items() if part}


NO_NEEDS = Needs({}, {})


def needs_of(resources: tasks_pb2.Resources) -> Needs:
    """The wire's list of entries by Kubernetes name; the last entry of a name counts. Raises `InvalidRequest`."""
    return Needs(_by_name(resources.requests), _by_name(resources.limits))


def merge(override: Needs, own: Needs, defaults: Needs) -> Needs:
    """One statement out of the node's override, the task's own and the platform's defaults, for each resource.

    An override that contradicts what the task says of the other part takes it along: a node that asks for 4 cores of
    a task limited to 2 gets 4. A request that neither states is the limit, a limit that neither states the request.
    The defaults count for resources of which neither says anything.
    """
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for needs in (override, own):
        for name in {**needs.requests, **needs.limits}:
            _settle(name, needs.requests.get(name), needs.limits.get(name), requests, limits)
    for name in {**defaults.requests, **defaults.limits}:
        if name not in requests and name not in limits:
            _settle(name, defaults.requests.get(name), defaults.limits.get(name), requests, limits)
    for name in list({**requests, **limits}):
        requests.setdefault(name, limits.get(name, ""))
        limits.setdefault(name, requests[name])
    return Needs(dict(sorted(requests.items())), dict(sorted(limits.items())))


def bounded(needs: Needs, at_most: Mapping[str, str]) -> Needs:
    """The same with no more of anything than there may be."""

    def bound(part: Mapping[str, str]) -> dict[str, str]:
        return {name: text if _at_most(text, at_most.get(name)) else at_most[name] for name, text in part.items()}

    return Needs(bound(needs.requests), bound(needs.limits))


def _settle(
    name: str, request: str | None, limit: str | None, requests: dict[str, str], limits: dict[str, str]
) -> None:
    """Take a weaker statement where it does not contradict the stronger ones already in `requests` and `limits`.

    Who asks for more than the own limit gets the limit.
    """
    if not _at_most(request, limit):
        request = limit
    if request is not None and name not in requests and _at_most(request, limits.get(name, limit)):
        requests[name] = request
    if limit is not None and name not in limits and _at_most(requests.get(name, request), limit):
        limits[name] = limit


def _at_most(low: str | None, high: str | None) -> bool:
    return low is None or high is None or parse_quantity(low) <= parse_quantity(high)


def _by_name(entries: Iterable[tasks_pb2.Resources.ResourceEntry]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        name = NAMES.get(entry.name)
        if name is None:
            raise InvalidRequest(f"resource number {entry.name} is unknown")
        parse_quantity(entry.value)
        found[name] = entry.value.strip()
    return found
