"""Compiled workflows, fetched from admin and kept: what is registered never changes."""

from collections import OrderedDict
from typing import Protocol

from sailplane_core.ids import EntityId
from sailplane_core.plan import Closure
from sailplane_protos.core import compiler_pb2

CLOSURES_MAX = 256
"""How many workflows are kept ready. The least recently used goes first."""


class DefinitionSource(Protocol):
    """Where compiled workflows come from: admin."""

    async def compiled_workflow(self, id: EntityId) -> compiler_pb2.CompiledWorkflowClosure:
        """The closure as registered. Raises `NotFound`, or `Unavailable` when asking again may help."""
        ...


class Definitions:
    """Closures by workflow id."""

    def __init__(self, source: DefinitionSource, closures_max: int = CLOSURES_MAX) -> None:
        self._source = source
        self._closures_max = closures_max
        self._closures: OrderedDict[EntityId, Closure] = OrderedDict()

    async def closure(self, id: EntityId) -> Closure:
        """The closure of a registered workflow."""
        closure = self._closures.get(id)
        if closure is None:
            closure = Closure(await self._source.compiled_workflow(id))
            self._closures[id] = closure
            if len(self._closures) > self._closures_max:
                self._closures.popitem(last=False)
        else:
            self._closures.move_to_end(id)
        return closure
