"""A tiny world around the machine: workflows written in a line, and a driver that plays launcher and blob store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import END_NODE_ID, START_NODE_ID, EntityId, ExecutionId, ResourceType
from sailplane_core.machine import (
    BindInputs,
    Command,
    ExecutionState,
    InputsBound,
    LaunchPod,
    Observation,
    PodRemoved,
    RemovePod,
    SetTimer,
    StartInfo,
    TaskEnded,
    TimerFired,
    Transition,
    evaluate,
)
from sailplane_core.plan import Closure, Plan
from sailplane_protos.core import compiler_pb2, tasks_pb2, workflow_pb2
from sailplane_protos.propeller import queue_pb2

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
USER = Failure("USER:Bang", "bang", FailureKind.USER)
FINAL = Failure("USER:Value", "no", FailureKind.USER, retryable=False)
SYSTEM = Failure("Interrupted", "lost", FailureKind.SYSTEM)
TASK = EntityId(ResourceType.TASK, "p", "development", "t", "1")


def workflow_id(name: str) -> EntityId:
    """The id of a workflow of this world."""
    return EntityId(ResourceType.WORKFLOW, "p", "development", name, "1")


def compiled(
    name: str, edges: Mapping[str, Sequence[str]], subs: Mapping[str, str] | None = None, *, after: bool = False
) -> compiler_pb2.CompiledWorkflow:
    """A compiled workflow: `edges` maps each node to what it waits for, `subs` names the nodes that are sub-workflows.

    `after` chooses the failure policy that lets independent nodes finish.
    """
    template = workflow_pb2.WorkflowTemplate(id=workflow_id(name).to_message())
    if after:
        template.metadata.on_failure = workflow_pb2.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
    upstream = {node: list(above) or [START_NODE_ID] for node, above in edges.items()}
    waited_for = {above for ids in upstream.values() for above in ids}
    upstream[END_NODE_ID] = [node for node in edges if node not in waited_for]
    result = compiler_pb2.CompiledWorkflow(template=template)
    for node_id in [START_NODE_ID, END_NODE_ID, *edges]:
        node = result.template.nodes.add(id=node_id)
        if node_id in (subs or {}):
            node.workflow_node.sub_workflow_ref.CopyFrom(workflow_id((subs or {})[node_id]).to_message())
        elif node_id in edges:
            node.task_node.reference_id.CopyFrom(TASK.to_message())
    for node_id, above in upstream.items():
        result.connections.upstream[node_id].ids.extend(sorted(above))
        for one in above:
            result.connections.downstream[one].ids.append(node_id)
    return result


def plan(primary: compiler_pb2.CompiledWorkflow, *subs: compiler_pb2.CompiledWorkflow, retries: int = 0) -> Plan:
    """The plan of a workflow with its sub-workflows, whose every task is the same one."""
    template = tasks_pb2.TaskTemplate(id=TASK.to_message(), type="container")
    template.metadata.retries.retries = retries
    closure = compiler_pb2.CompiledWorkflowClosure(primary=primary, sub_workflows=subs)
    closure.tasks.add(template=template)
    return Plan(Closure(closure))


Script = Callable[[LaunchPod], Failure | None]


@dataclass
class World:
    """Carries out what the machine decides, one command after another, and keeps a record."""

    plan: Plan
    script: Script = lambda command: None
    now: datetime = NOON
    state: ExecutionState = field(init=False)
    waiting: list[Command] = field(default_factory=list[Command])
    launched: list[str] = field(default_factory=list[str])
    events: list[queue_pb2.Event] = field(default_factory=list[queue_pb2.Event])

    def __post_init__(self) -> None:
        start = StartInfo(ExecutionId("p", "development", "x"), "file:///in.pb", "file:///blobs", "file:///raw")
        self.state = ExecutionState(start)

    def see(self, *seen: Observation) -> Transition:
        """Show the machine what is so."""
        self.now += timedelta(seconds=1)
        transition = evaluate(self.plan, self.state, seen, self.now)
        transition.apply(self.state)
        self.waiting.extend(transition.commands)
        self.events.extend(transition.events)
        return transition

    def carry_out(self, command: Command) -> Iterable[Observation]:
        """What a command leads to."""
        match command:
            case BindInputs():
                return [InputsBound(command.node_id, command.attempt)]
            case RemovePod():
                return [PodRemoved(command.node_id, command.attempt)]
            case LaunchPod():
                self.launched.append(f"{command.node_id}-{command.attempt}")
                return [TaskEnded(command.node_id, command.attempt, self.script(command))]
            case SetTimer():
                self.now = max(self.now, command.at)
                return [TimerFired(command.node_id, command.attempt, command.timer)]
            case _:
                raise AssertionError(f"{command} is not for this world")

    def run(self) -> None:
        """Go on until nothing is left to do."""
        while self.waiting:
            self.see(*self.carry_out(self.waiting.pop(0)))

    def phases(self) -> dict[str, str]:
        """Each node's phase, by unique id."""
        return {node.id: node.phase.name for node in self.state.nodes.values()}

    def told(self) -> list[str]:
        """The events in a readable form."""
        return [describe(event) for event in self.events]


def describe(event: queue_pb2.Event) -> str:
    """One event as a line."""
    from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase

    match event.WhichOneof("event"):
        case "workflow":
            return f"workflow {ExecutionPhase(event.workflow.phase).name}"
        case "node":
            return f"node {event.node.id.node_id} {NodePhase(event.node.phase).name}"
        case _:
            task = event.task
            return f"task {task.parent_node_execution_id.node_id}-{task.retry_attempt} {TaskPhase(task.phase).name}"
