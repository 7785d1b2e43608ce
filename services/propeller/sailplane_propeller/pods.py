"""Which attempt a Pod belongs to: derived names, looked up backwards."""

from dataclasses import dataclass

from sailplane_core.ids import ExecutionId, pod_name
from sailplane_core.machine import NodeKind

from .live import Live


def namespace_of(id: ExecutionId) -> str:
    """The namespace of an execution's Pods."""
    return f"{id.project}-{id.domain}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one node."""

    execution: ExecutionId
    node_id: str
    attempt: int


class PodNames:
    """The Pods of the executions in service."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, str], Attempt] = {}

    def add(self, namespace: str, name: str, execution: ExecutionId, node_id: str, attempt: int) -> None:
        """A Pod that is about to run."""
        self._attempts[namespace, name] = Attempt(execution, node_id, attempt)

    def enter(self, live: Live) -> None:
        """The Pods that an execution taken up again may have running."""
        for node_id in live.definition.state.active:
            node = live.definition.state.nodes[node_id]
            if node.kind is NodeKind.TASK:
                name = pod_name(live.id, node.id, node.attempt)
                self.add(namespace_of(live.id), name, live.id, node.id, node.attempt)

    def find(self, namespace: str, name: str) -> Attempt | None:
        """Whose Pod this is; None if no execution in service has it."""
        return self._attempts.get((namespace, name))

    def discard(self, namespace: str, name: str) -> None:
        """Its outcome is settled."""
        self._attempts.pop((namespace, name), None)
