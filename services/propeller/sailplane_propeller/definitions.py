"""Compiled workflows, fetched from admin and kept: what is registered never changes."""

from collections import OrderedDict
from typing import Protocol

from sailplane_core.ids import EntityId
from sailplane_core.plan import Plan
from sailplane_protos.core import compiler_pb2

PLANS_MAX = 256
"""How many workflows are kept ready. The least recently used goes first."""


class DefinitionSource(Protocol):
    """Where compiled workflows come from: admin."""

    async def compiled_workflow(self, id: EntityId) -> compiler_pb2.CompiledWorkflowClosure:
        """The closure as registered. Raises `NotFound`, or `Unavailable` when asking again may help."""
        ...


class Definitions:
    """Plans by workflow id."""

    def __init__(self, source: DefinitionSource, plans_max: int = PLANS_MAX) -> None:
        self._source = source
        self._plans_max = plans_max
        self._plans: OrderedDict[EntityId, Plan] = OrderedDict()

    async def plan(self, id: EntityId) -> Plan:
        """The plan of a registered workflow."""
        plan = self._plans.get(id)
        if plan is None:
            plan = Plan(await self._source.compiled_workflow(id))
            self._plans[id] = plan
            if len(self._plans) > self._plans_max:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(id)
        return plan
