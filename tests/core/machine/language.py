"""Workflows written in a line or two per node, for tests that read what the machine makes of them.

a: task retries=1 backoff=10s timeout=30s queued_timeout=5s cached serialized interruptible
d: task generates=inner                     a dynamic task, whose graph is the definition `inner`
s: workflow inner <- a                      a sub-workflow, which waits for `a`
l: launch-plan <- a, s
g: gate sleep=10s                           or approve=NAME, or signal=NAME
b: branch                                   the cases stand below it; the last may begin with `else`
  x: task
  else y: branch
    z: task
m: array concurrency=2 min_ratio=0.5 run_all size=3
  t: task                                   what each item runs; or min_successes=2
on failure f: task                          the workflow's failure node
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from sailplane_core.ids import END_NODE_ID, START_NODE_ID, EntityId, ResourceType
from sailplane_core.plan import Closure, Plan
from sailplane_protos.core import interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2
from sailplane_protos.core.compiler_pb2 import CompiledWorkflow, CompiledWorkflowClosure

_LINE = re.compile(r"^(?P<role>on failure |else )?(?P<id>[\w-]+): (?P<kind>[\w-]+)(?P<words>[^<]*)(<- (?P<above>.+))?$")
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def entity(kind: ResourceType.ValueType, name: str) -> EntityId:
    """The id of something of this world."""
    return EntityId(kind, "p", "development", name, "1")


def duration(text: str) -> timedelta:
    """`10s`, `5m` or `1h`."""
    return timedelta(seconds=float(text[:-1]) * _UNITS_S[text[-1]])


@dataclass
class Line:
    """One node as written, and what is written below it. `words` are its options, the value "" for plain words."""

    role: str
    id: str
    kind: str
    words: Mapping[str, str]
    above: Sequence[str]
    below: list["Line"] = field(default_factory=list["Line"])


@dataclass
class Library:
    """Definitions by name, and what cannot be said in a workflow but is to happen when it runs.

    `generates` names the definition of a dynamic task's graph, `sizes` the number of an array's items, both by
    `definition.node`, which every node has as its name.
    """

    workflows: dict[str, CompiledWorkflow] = field(default_factory=dict[str, CompiledWorkflow])
    tasks: list[tasks_pb2.TaskTemplate] = field(default_factory=list[tasks_pb2.TaskTemplate])
    generates: dict[str, str] = field(default_factory=dict[str, str])
    sizes: dict[str, int] = field(default_factory=dict[str, int])

    def define(self, name: str, text: str, *, after: bool = False, timeout: timedelta | None = None) -> None:
        """Add a workflow. `after` chooses the failure policy that lets independent nodes finish."""
        template = workflow_pb2.WorkflowTemplate(id=entity(ResourceType.WORKFLOW, name).to_message())
        if after:
            template.metadata.on_failure = workflow_pb2.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
        if timeout is not None:
            template.metadata.timeout.FromTimedelta(timeout)
        lines = _parse(text)
        template.nodes.add(id=START_NODE_ID)
        template.nodes.add(id=END_NODE_ID)
        for line in lines:
            into = template.failure_node if line.role == "on failure " else template.nodes.add()
            into.CopyFrom(self._node(name, line))
        walked = [line for line in lines if not line.role]
        upstream = {line.id: list(line.above) or [START_NODE_ID] for line in walked}
        waited_for = {above for ids in upstream.values() for above in ids}
        upstream[END_NODE_ID] = [line.id for line in walked if line.id not in waited_for] or [START_NODE_ID]
        compiled = CompiledWorkflow(template=template)
        for node_id, above in upstream.items():
            compiled.connections.upstream[node_id].ids.extend(sorted(above))
            for one in above:
                compiled.connections.downstream[one].ids.append(node_id)
        self.workflows[name] = compiled

    def closure(self, name: str) -> Closure:
        """The definition of this name as a workflow of its own, with all the others as its sub-workflows."""
        others = [compiled for other, compiled in self.workflows.items() if other != name]
        closure = CompiledWorkflowClosure(primary=self.workflows[name], sub_workflows=others)
        for template in self.tasks:
            closure.tasks.add(template=template)
        return Closure(closure)

    def plan(self, name: str) -> Plan:
        """What an execution of this definition walks."""
        return Plan(self.closure(name))

    def _node(self, workflow: str, line: Line) -> workflow_pb2.Node:
        words = line.words
        name = f"{workflow}.{line.id}"
        node = workflow_pb2.Node(id=line.id)
        node.metadata.name = name
        for option in ("timeout", "queued_timeout"):
            if option in words:
                limit: Duration = getattr(node.metadata, option)
                limit.FromTimedelta(duration(words[option]))
        node.metadata.retries.retries = int(words.get("retries", "0"))
        if "interruptible" in words:
            node.metadata.interruptible = True
        if "backoff" in words:
            node.metadata.retries.backoff.FromTimedelta(duration(words["backoff"]))
        match line.kind:
            case "task":
                self._task(name, words)
                node.task_node.reference_id.CopyFrom(entity(ResourceType.TASK, name).to_message())
            case "workflow":
                (inner,) = (word for word, value in words.items() if not value)
                node.workflow_node.sub_workflow_ref.CopyFrom(entity(ResourceType.WORKFLOW, inner).to_message())
            case "launch-plan":
                node.workflow_node.launchplan_ref.CopyFrom(entity(ResourceType.LAUNCH_PLAN, name).to_message())
            case "gate":
                _gate(node.gate_node, words)
            case "branch":
                self._branch(node.branch_node, workflow, line)
            case "array":
                self._array(node.array_node, workflow, line)
            case other:
                raise ValueError(f"no node is a {other}")
        return node

    def _task(self, name: str, words: Mapping[str, str]) -> None:
        template = tasks_pb2.TaskTemplate(id=entity(ResourceType.TASK, name).to_message(), type="container")
        if "cached" in words or "serialized" in words:
            template.metadata.discoverable = True
            template.metadata.discovery_version = "1"
            template.metadata.cache_serializable = "serialized" in words
            number = interface_pb2.Variable(type=types_pb2.LiteralType(simple=types_pb2.INTEGER))
            template.interface.outputs.variables["o"].CopyFrom(number)
        if "generates" in words:
            self.generates[name] = words["generates"]
        self.tasks.append(template)

    def _branch(self, branch: workflow_pb2.BranchNode, workflow: str, line: Line) -> None:
        cases = [self._node(workflow, below) for below in line.below if not below.role]
        yes = literals_pb2.Primitive(boolean=True)
        for case in cases:
            block = workflow_pb2.IfBlock(then_node=case)
            block.condition.comparison.left_value.primitive.CopyFrom(yes)
            block.condition.comparison.right_value.primitive.CopyFrom(yes)
            if branch.if_else.HasField("case"):
                branch.if_else.other.append(block)
            else:
                branch.if_else.case.CopyFrom(block)
        for below in line.below:
            if below.role == "else ":
                branch.if_else.else_node.CopyFrom(self._node(workflow, below))

    def _array(self, array: workflow_pb2.ArrayNode, workflow: str, line: Line) -> None:
        words = line.words
        (inner,) = line.below
        array.node.CopyFrom(self._node(workflow, inner))
        array.run_all_sub_nodes = "run_all" in words
        if "concurrency" in words:
            array.parallelism = int(words["concurrency"])
        if "min_successes" in words:
            array.min_successes = int(words["min_successes"])
        if "min_ratio" in words:
            array.min_success_ratio = float(words["min_ratio"])
        self.sizes[f"{workflow}.{line.id}"] = int(words.get("size", "3"))


def _gate(gate: workflow_pb2.GateNode, words: Mapping[str, str]) -> None:
    if "sleep" in words:
        gate.sleep.duration.FromTimedelta(duration(words["sleep"]))
    elif "approve" in words:
        gate.approve.signal_id = words["approve"]
    else:
        gate.signal.signal_id = words["signal"]
        gate.signal.output_variable_name = "o"


def _parse(text: str) -> list[Line]:
    top: list[Line] = []
    open_lines: list[tuple[int, list[Line]]] = [(-1, top)]
    for raw in _lines(text):
        indent = len(raw) - len(raw.lstrip())
        line = _line(raw.strip())
        while open_lines[-1][0] >= indent:
            open_lines.pop()
        open_lines[-1][1].append(line)
        open_lines.append((indent, line.below))
    return top


def _lines(text: str) -> Iterator[str]:
    for raw in text.splitlines():
        if raw.strip():
            yield raw


def _line(text: str) -> Line:
    found = _LINE.match(text)
    if found is None:
        raise ValueError(f"not a node: {text}")
    words = {word.partition("=")[0]: word.partition("=")[2] for word in found["words"].split()}
    above = [one.strip() for one in (found["above"] or "").split(",") if one.strip()]
    return Line(found["role"] or "", found["id"], found["kind"], words, above)
