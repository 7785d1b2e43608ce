"""What is stored of an execution: one row of its own, and one row per node that was reached.

A transition replaces the rows that it changed and touches no other, so its cost does not depend on the size of the
workflow.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ..failures import Failure
from ..ids import ExecutionId
from ..phases import EXECUTION_TERMINAL, NODE_TERMINAL, ExecutionPhase, NodePhase, TaskPhase


class NodeKind(StrEnum):
    """What a node is. The kind decides which module of the machine answers for it."""

    START = "start"
    END = "end"
    TASK = "task"
    SUBWORKFLOW = "subworkflow"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class StartInfo:
    """What never changes about an execution: who it is and where its inputs and files lie."""

    id: ExecutionId
    inputs_uri: str
    root_uri: str
    raw_prefix: str


@dataclass(frozen=True, slots=True)
class Header:
    """The execution's own row. `version` counts its transitions and guards every save."""

    phase: ExecutionPhase = ExecutionPhase.UNDEFINED
    version: int = 0
    failure: Failure | None = None
    failed_node_id: str = ""
    abort_cause: str = ""
    abort_principal: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in EXECUTION_TERMINAL


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node that was reached.

    `id` is unique in the execution, `spec_id` is the id in the template, `scope` the unique id of the sub-workflow
    node it lies in ("" at the top). `attempt` counts from 0 and fences observations. `removing` is true from the
    moment its Pod shall go until it is gone.
    """

    id: str
    spec_id: str
    scope: str
    kind: NodeKind
    phase: NodePhase = NodePhase.UNDEFINED
    task_phase: TaskPhase = TaskPhase.UNDEFINED
    task_phase_version: int = 0
    attempt: int = 0
    user_failures: int = 0
    system_failures: int = 0
    removing: bool = False
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outputs_uri: str = ""
    failure: Failure | None = None
    reason: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in NODE_TERMINAL


@dataclass(slots=True)
class ExecutionState:
    """An execution in memory: its rows, and indexes that are derived from them and never stored.

    `active` holds the nodes that have not ended, `removing` those whose Pod is being removed; `remaining` counts, for
    nodes not reached yet, how many of their upstream nodes have not ended (filled on demand).
    """

    start: StartInfo
    header: Header = field(default_factory=Header)
    nodes: dict[str, NodeState] = field(default_factory=dict[str, NodeState])
    active: set[str] = field(default_factory=set[str])
    removing: set[str] = field(default_factory=set[str])
    remaining: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def load(cls, start: StartInfo, header: Header, nodes: Iterable[NodeState]) -> "ExecutionState":
        """Rebuild from stored rows."""
        state = cls(start, header)
        for node in nodes:
            state.replace(node)
        return state

    def replace(self, node: NodeState) -> None:
        """Put a node's new row in place and keep the indexes right."""
        self.nodes[node.id] = node
        (self.active.discard if node.is_terminal else self.active.add)(node.id)
        (self.removing.add if node.removing else self.removing.discard)(node.id)
        self.remaining.pop(node.id, None)
