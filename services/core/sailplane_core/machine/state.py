"""What is stored of an execution: one row of its own, and one row per node that was reached.

A transition replaces the rows that it changed and touches no other, so its cost does not depend on the size of the
workflow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sailplane_protos.core import workflow_pb2

from ..errors import InvariantBroken
from ..failures import Failure
from ..ids import END_NODE_ID, ExecutionId
from ..layout import Layout
from ..phases import EXECUTION_TERMINAL, NODE_DONE, NODE_TERMINAL, ExecutionPhase, NodePhase, TaskPhase


class NodeKind(StrEnum):
    """What a node is. The kind decides which module of the machine answers for it."""

    START = "start"
    END = "end"
    TASK = "task"
    SUBWORKFLOW = "subworkflow"
    LAUNCH_PLAN = "launch_plan"
    BRANCH = "branch"
    GATE = "gate"
    ARRAY = "array"

    @classmethod
    def of(cls, spec: workflow_pb2.Node) -> "NodeKind":
        """What a node of a template is. Raises `InvariantBroken` for one that the compiler would have refused."""
        if spec.id == END_NODE_ID:
            return cls.END
        match spec.WhichOneof("target"):
            case "task_node":
                return cls.TASK
            case "workflow_node" if spec.workflow_node.WhichOneof("reference") == "sub_workflow_ref":
                return cls.SUBWORKFLOW
            case "workflow_node":
                return cls.LAUNCH_PLAN
            case "branch_node":
                return cls.BRANCH
            case "gate_node":
                return cls.GATE
            case "array_node":
                return cls.ARRAY
            case None:
                raise InvariantBroken(f"node {spec.id} runs nothing")


@dataclass(frozen=True, slots=True)
class Policies:
    """What holds for an execution's nodes beside what the workflow says. Durations are in seconds, None is for ever.

    `max_parallelism` counts task, array and launch-plan nodes; 0 is no limit. `array_items_at_once_max` bounds arrays
    that name no concurrency of their own. `log_links` are names and templates (`sailplane_core.log_links`).
    `queued_max_s` and `execution_max_s` are for nodes without a timeout.
    """

    max_parallelism: int = 0
    interruptible: bool | None = None
    array_items_at_once_max: int = 1000
    system_retries: int = 3
    retry_backoff_s: float = 0.0
    retry_backoff_max_s: float = 60.0
    queued_max_s: float | None = None
    execution_max_s: float | None = None
    workflow_max_s: float | None = None
    cache_poll_s: float = 1.0
    log_links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StartInfo:
    """What never changes about an execution: who it is, where its inputs and files lie, and what holds for it."""

    id: ExecutionId
    inputs_uri: str
    root_uri: str
    raw_prefix: str
    policies: Policies = Policies()
    namespace: str = ""

    @property
    def layout(self) -> Layout:
        """The paths of its files."""
        return Layout(self.root_uri, self.raw_prefix, self.id)


@dataclass(frozen=True, slots=True)
class Header:
    """The execution's own row. `version` counts its transitions and guards every save.

    `decided_at` is the last transition's time. Whatever the clocks of two owners say, it is later than that of the one
    before, so that what is told of them can be put in order.
    """

    phase: ExecutionPhase = ExecutionPhase.UNDEFINED
    version: int = 0
    failure: Failure | None = None
    failed_node_id: str = ""
    abort_cause: str = ""
    abort_principal: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    decided_at: datetime | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in EXECUTION_TERMINAL

    def time_of_next(self, now: datetime) -> datetime:
        """The time of the next transition."""
        return now if self.decided_at is None else max(now, self.decided_at + timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node that was reached, or one item of an array.

    `id` is unique in the execution, `spec_id` is the id in the template, `scope` the unique id of the node it lies in
    ("" at the top): a sub-workflow, a branch, an array, or a task that generated a graph. `item` is the index of an
    array's item, -1 for every other node.

    `attempt` counts from 0 and fences observations; `attempt_started_at` is when its launch was decided. `removing` is
    true from the moment its Pod or child execution shall go until it is gone; that Pod may be the attempt's before, as
    long as the present one is not launched. `is_waiting` says that it is held back by the limit on parallel nodes,
    `holds_slot` that it counts there.

    Of an array, `size` is the number of items, -1 until it is known. Of a task that generated a graph, `graph_uri` is
    where that lies. Of a launch-plan node, `child_name` is its execution's name. `culprit_id` is the node inside that
    made a sub-workflow fail while its failure node runs.
    """

    id: str
    spec_id: str
    scope: str
    kind: NodeKind
    item: int = -1
    phase: NodePhase = NodePhase.UNDEFINED
    task_phase: TaskPhase = TaskPhase.UNDEFINED
    task_phase_version: int = 0
    attempt: int = 0
    user_failures: int = 0
    system_failures: int = 0
    removing: bool = False
    is_waiting: bool = False
    holds_slot: bool = False
    size: int = -1
    cache_status: int = 0
    is_reserved: bool = False
    graph_uri: str = ""
    child_name: str = ""
    culprit_id: str = ""
    queued_at: datetime | None = None
    attempt_started_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    inputs_uri: str = ""
    outputs_uri: str = ""
    deck_uri: str = ""
    failure: Failure | None = None
    reason: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in NODE_TERMINAL

    @property
    def is_item(self) -> bool:
        """Whether it is one of an array's items."""
        return self.item >= 0


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """How many items of an array were begun, and how they ended."""

    begun: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def active(self) -> int:
        """Begun and not ended."""
        return self.begun - self.succeeded - self.failed

    def moved(self, before: NodeState | None, after: NodeState) -> "ItemCounts":
        """The counts after an item's row was replaced."""
        was_done = before is not None and before.phase in NODE_DONE
        had_failed = before is not None and before.is_terminal and not was_done
        is_done = after.phase in NODE_DONE
        has_failed = after.is_terminal and not is_done
        return ItemCounts(
            self.begun + int(before is None),
            self.succeeded + int(is_done) - int(was_done),
            self.failed + int(has_failed) - int(had_failed),
        )


NO_ITEMS = ItemCounts()


@dataclass(slots=True)
class ExecutionState:
    """An execution in memory: its rows, and indexes that are derived from them and never stored.

    `active` holds the nodes that have not ended, `inside` the same by the scope they lie in, `removing` those whose Pod
    or child is being removed, `holding` those that count as running in parallel, `waiting` those that are held back,
    the longest first. `items` counts arrays' items. `remaining` counts, for nodes not reached yet, how many of their
    upstream nodes have not ended (filled on demand). `earlier` is what the executions came to that this one
    recovers, the nearest first: nodes by the way to them.
    """

    start: StartInfo
    header: Header = field(default_factory=Header)
    nodes: dict[str, NodeState] = field(default_factory=dict[str, NodeState])
    active: set[str] = field(default_factory=set[str])
    inside: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    removing: set[str] = field(default_factory=set[str])
    holding: set[str] = field(default_factory=set[str])
    waiting: dict[str, None] = field(default_factory=dict[str, None])
    items: dict[str, ItemCounts] = field(default_factory=dict[str, ItemCounts])
    remaining: dict[str, int] = field(default_factory=dict[str, int])
    earlier: Sequence[Mapping[tuple[str, ...], NodeState]] = ()

    @classmethod
    def load(cls, start: StartInfo, header: Header, nodes: Iterable[NodeState]) -> "ExecutionState":
        """Rebuild from stored rows."""
        state = cls(start, header)
        stored = list(nodes)
        for node in stored:
            state.replace(node)
        held_back = [node for node in stored if node.is_waiting]
        held_back.sort(key=lambda node: (str(node.queued_at), node.id))
        state.waiting = {node.id: None for node in held_back}
        return state

    def replace(self, node: NodeState) -> None:
        """Put a node's new row in place and keep the indexes right."""
        before = self.nodes.get(node.id)
        self.nodes[node.id] = node
        self._index_active(node)
        (self.removing.add if node.removing else self.removing.discard)(node.id)
        (self.holding.add if node.holds_slot else self.holding.discard)(node.id)
        if node.is_waiting:
            self.waiting.setdefault(node.id)
        else:
            self.waiting.pop(node.id, None)
        if node.is_item:
            self.items[node.scope] = self.items.get(node.scope, NO_ITEMS).moved(before, node)
        self.remaining.pop(node.id, None)

    def _index_active(self, node: NodeState) -> None:
        if not node.is_terminal:
            self.active.add(node.id)
            self.inside.setdefault(node.scope, set()).add(node.id)
        elif node.id in self.active:
            self.active.remove(node.id)
            beside = self.inside[node.scope]
            beside.remove(node.id)
            if not beside:
                del self.inside[node.scope]
