"""An execution in service: its state in memory, and what is under way for it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sailplane_core import quality_of_service
from sailplane_core.durations import timedelta_of
from sailplane_core.errors import InvariantBroken, Unavailable
from sailplane_core.ids import ExecutionId
from sailplane_core.layout import Layout
from sailplane_core.machine import ExecutionState, NodeState, Observation, lineage, scopes
from sailplane_core.plan import Graph, Plan
from sailplane_core.ports import Delivery
from sailplane_protos.core import tasks_pb2, workflow_pb2
from sailplane_protos.propeller import queue_pb2

from .recovery import Earlier


@dataclass(frozen=True, slots=True)
class Seen:
    """An observation, with the delivery or command that brought it, if one did, and the start order if that was it.

    `forgets` for the order to forget, which stands last.
    """

    observation: Observation
    delivery: Delivery | None = None
    start: queue_pb2.Start | None = None
    command_id: str = ""
    forgets: bool = False


@dataclass(slots=True)
class Definition:
    """What is known of an execution once it was loaded, and of those that it recovers, the nearest first."""

    start: queue_pb2.Start
    state: ExecutionState
    plan: Plan
    recovered: Sequence[Earlier] = ()

    def node(self, node_id: str) -> NodeState:
        """The row of a node that was reached."""
        return self.state.nodes[node_id]

    def graph(self, scope: str) -> Graph:
        """The graph that the nodes of a scope belong to."""
        return scopes.graph_of(self.plan, self.node, scope)

    def inside(self, node: NodeState) -> Graph:
        """The graph that a node contains."""
        return scopes.inside(self.plan, self.node, node)

    def spec(self, node: NodeState) -> workflow_pb2.Node:
        """The node as written in its workflow."""
        return scopes.spec_of(self.plan, self.node, node)

    def task(self, node: NodeState) -> tasks_pb2.TaskTemplate:
        """The template that a task node runs."""
        return scopes.task_of(self.plan, self.node, node)

    def earlier(self, node: NodeState) -> NodeState | None:
        """The same node in an execution that this one recovers, if it can be taken from there."""
        return lineage.earlier(self.plan, self.node, self.state.earlier, node)

    def recovered_alike(self, node: NodeState) -> Sequence[Earlier]:
        """The executions that this one recovers and a node can be taken from."""
        kept = lineage.alike(self.plan, self.node, [one.nodes for one in self.recovered], node)
        return [one for one in self.recovered if any(one.nodes is nodes for nodes in kept)]

    @property
    def layout(self) -> Layout:
        """The paths of its files."""
        return self.state.start.layout


@dataclass(slots=True, eq=False)
class Live:
    """One execution that this propeller owns.

    `namespace` is where its Pods are, known once its start order is. `inbox` is what was seen and not yet evaluated.
    `worker` runs while there is something in it. `chains` holds, per node, the last command under way: the next one
    about the same node waits for it. `is_stale` says that others may have decided on something that nobody here knows
    of: it is looked up with the next load.
    """

    id: ExecutionId
    inbox: deque[Seen] = field(default_factory=deque[Seen])
    worker: asyncio.Task[None] | None = None
    chains: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, "asyncio.Task[None]"])
    loaded: Definition | None = None
    namespace: str = ""
    is_parked: bool = False
    is_stale: bool = True

    @property
    def queueing_budget(self) -> timedelta:
        """How long its commands may wait for others'."""
        if self.loaded is None:
            return quality_of_service.DEFAULT_BUDGET
        if self.loaded.start.HasField("queueing_budget"):
            return timedelta_of(self.loaded.start.queueing_budget)
        said = self.loaded.plan.primary.template.metadata.quality_of_service
        found = quality_of_service.queueing_budget([said])
        return quality_of_service.DEFAULT_BUDGET if found is None else found

    @property
    def definition(self) -> Definition:
        """What was loaded. Raises `Unavailable` while it is read again, because others have changed it."""
        if self.loaded is not None:
            return self.loaded
        if self.is_parked:
            raise InvariantBroken(f"execution {self.id} is parked, and was not loaded")
        raise Unavailable(f"the state of execution {self.id}")

    def is_current(self, node_id: str, attempt: int) -> bool:
        """Whether the node is still in this attempt and has not ended."""
        node = self.definition.state.nodes.get(node_id)
        return node is not None and node.attempt == attempt and not node.is_terminal

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or waiting."""
        return not self.inbox and not self.chains and (self.worker is None or self.worker.done())
