"""Which Pods may run on this machine now. Values only; nothing here waits.

Admission is in the order of arrival, so a large Pod is never overtaken for ever by small ones: it waits until the
machine has room for it, and whoever came later waits behind it.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from sailplane_core.resources import CPU, MEMORY, format_bytes, format_cpu, parse_quantity


@dataclass(frozen=True, slots=True)
class Capacity:
    """What this machine offers to Pods. `processes_max` bounds those that state no needs, too."""

    cpu_cores: Decimal
    memory_bytes: Decimal
    processes_max: int

    @classmethod
    def of_this_machine(cls) -> "Capacity":
        """All its cores and memory, and eight processes per core but at least sixteen."""
        cores = os.cpu_count() or 1
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(Decimal(cores), Decimal(memory), max(16, 8 * cores))


@dataclass(frozen=True, slots=True)
class Share:
    """What one Pod takes of it."""

    cpu_cores: Decimal = Decimal(0)
    memory_bytes: Decimal = Decimal(0)

    @classmethod
    def of(cls, container: dict[str, Any]) -> "Share":
        """A container's requests. Raises `InvalidRequest` for a malformed quantity."""
        resources = cast("dict[str, dict[str, object] | None]", container.get("resources") or {})
        requests = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        return cls(parse_quantity(str(requests.get(CPU, 0))), parse_quantity(str(requests.get(MEMORY, 0))))


class Admission:
    """The shares given out."""

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self._cpu_cores = Decimal(0)
        self._memory_bytes = Decimal(0)
        self._processes = 0

    def fitted(self, share: Share) -> tuple[Share, str]:
        """The share cut down to the whole machine, and a sentence that says so, or "".

        A Pod that asks for more than there is runs alone rather than never.
        """
        fitted = Share(
            min(share.cpu_cores, self.capacity.cpu_cores), min(share.memory_bytes, self.capacity.memory_bytes)
        )
        if fitted == share:
            return share, ""
        return fitted, (
            f"it asks for {format_cpu(share.cpu_cores)} cpu and {format_bytes(share.memory_bytes)} memory, more than "
            f"this machine has ({format_cpu(self.capacity.cpu_cores)} cpu, "
            f"{format_bytes(self.capacity.memory_bytes)}), so it runs when nothing else asks for any"
        )

    def lacking(self, share: Share) -> str:
        """A sentence that names what there is too little of now, "" when there's enough."""
        parts: list[str] = []
        if self._processes >= self.capacity.processes_max:
            parts.append(f"{self._processes} of {self.capacity.processes_max} processes run")
        if self._cpu_cores + share.cpu_cores > self.capacity.cpu_cores:
            free = self.capacity.cpu_cores - self._cpu_cores
            parts.append(f"cpu: asks for {format_cpu(share.cpu_cores)}, {format_cpu(free)} is free")
        if self._memory_bytes + share.memory_bytes > self.capacity.memory_bytes:
            free = max(Decimal(0), self.capacity.memory_bytes - self._memory_bytes)
            parts.append(f"memory: asks for {format_bytes(share.memory_bytes)}, {format_bytes(free)} is free")
        return "; ".join(parts)

    def take(self, share: Share) -> None:
        """Give it out, even if there's too little: what runs already, runs."""
        self._add(share, 1)

    def give_back(self, shares: Iterable[Share]) -> None:
        """They have ended."""
        for share in shares:
            self._add(share, -1)

    def _add(self, share: Share, sign: int) -> None:
        self._cpu_cores += sign * share.cpu_cores
        self._memory_bytes += sign * share.memory_bytes
        self._processes += sign
