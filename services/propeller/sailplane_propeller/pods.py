"""The Pods of the executions in service: what each is made from, and whose a Pod is by its name."""

from collections.abc import Mapping
from dataclasses import dataclass

from sailplane_core import attributes, task_result
from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import EntityId, ExecutionId, pod_name
from sailplane_core.machine import NodeKind, NodeState
from sailplane_core.machine.retries import is_interruptible
from sailplane_core.phases import TASK_TERMINAL, TaskPhase
from sailplane_core.podspec import PodContext, primary_container
from sailplane_protos.core import literals_pb2

from .live import Live
from .ports import PropellerSettings


def has_pod(node: NodeState) -> bool:
    """Whether the node's present attempt was launched as a Pod and has not ended."""
    is_launched = node.task_phase is not TaskPhase.UNDEFINED and node.task_phase not in TASK_TERMINAL
    return node.kind is NodeKind.TASK and is_launched


def declared_outputs(live: Live, node: NodeState) -> task_result.Declared:
    """What an attempt of a task node must write."""
    definition = live.definition
    array = definition.spec(definition.node(node.scope)).array_node if node.is_item else None
    return task_result.declared_by(definition.task(node).interface, array)


def default_envs(settings: PropellerSettings) -> dict[str, str]:
    """What every task's environment begins with; the names about stored outputs are flytekit's."""
    offloading = {"_F_L_MIN_SIZE_MB": str(settings.offload_min_mib), "_F_L_MAX_SIZE_MB": str(settings.offload_max_mib)}
    return {**(offloading if settings.offload_min_mib else {}), **settings.task_envs}


def pod_context(
    live: Live,
    node: NodeState,
    inputs: literals_pb2.LiteralMap,
    *,
    checkpoint_uri: str,
    default_envs: Mapping[str, str],
) -> PodContext:
    """Everything that the Pod of a node's present attempt is made from. It goes on from the checkpoint, if not ""."""
    definition = live.definition
    spec, layout, start = definition.spec(node), definition.layout, definition.start
    return PodContext(
        execution=live.id,
        workflow_name=EntityId.of(start.workflow_id).name,
        node_id=node.id,
        attempt=node.attempt,
        task=definition.task(node),
        namespace=live.namespace,
        inputs=inputs,
        inputs_uri=node.inputs_uri,
        output_prefix=layout.attempt_uri(node.id, node.attempt),
        raw_output_prefix=layout.raw_uri(node.id, node.attempt),
        checkpoint_prefix=layout.checkpoint_uri(node.id, node.attempt),
        previous_checkpoint_prefix=checkpoint_uri,
        overrides=spec.task_node.overrides,
        envs=dict(start.envs),
        default_envs=default_envs,
        labels=dict(start.labels),
        annotations=dict(start.annotations),
        service_account=start.security_context.run_as.k8s_service_account or "default",
        default_needs=attributes.default_needs(start.task_resources),
        needs_max=attributes.limits(start.task_resources),
        interruptible=is_interruptible(node, spec, definition.plan.primary.template, definition.state.start.policies),
        array_index=node.item,
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one node, and the container that decides how it ended."""

    execution: ExecutionId
    node_id: str
    attempt: int
    primary_container: str


class PodNames:
    """Whose a Pod is: derived names, looked up backwards."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, str], Attempt] = {}
        self._of: dict[ExecutionId, set[tuple[str, str]]] = {}
        """The Pods of each execution."""

    def add(self, live: Live, node: NodeState, primary_container: str) -> None:
        """A Pod that is about to run."""
        key = live.namespace, pod_name(live.id, node.id, node.attempt)
        self._attempts[key] = Attempt(live.id, node.id, node.attempt, primary_container)
        self._of.setdefault(live.id, set()).add(key)

    def enter(self, live: Live) -> list[tuple[str, str]]:
        """The Pods that an execution taken up again may have running; given back by namespace and name."""
        pods: list[tuple[str, str]] = []
        definition = live.definition
        for node_id in sorted(definition.state.active):
            node = definition.node(node_id)
            if has_pod(node):
                name = pod_name(live.id, node.id, node.attempt)
                overrides = definition.spec(node).task_node.overrides
                try:
                    primary = primary_container(definition.task(node), overrides, name)
                except InvalidRequest:  # which no Pod can be made from
                    continue
                self.add(live, node, primary)
                pods.append((live.namespace, name))
        return pods

    def find(self, namespace: str, name: str) -> Attempt | None:
        """Whose Pod this is; None if no execution in service has it."""
        return self._attempts.get((namespace, name))

    def leave(self, live: Live) -> None:
        """The Pods of an execution that is out of service."""
        for pod in self._of.pop(live.id, ()):
            self._attempts.pop(pod, None)

    def discard(self, namespace: str, name: str) -> None:
        """Its outcome is settled."""
        settled = self._attempts.pop((namespace, name), None)
        if settled is not None:
            self._of[settled.execution].discard((namespace, name))
