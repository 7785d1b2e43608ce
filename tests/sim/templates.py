"""Random workflows in Flyte's words, as a client would register them."""

from collections.abc import Iterable, Mapping

from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import launch_plan_pb2, task_pb2, workflow_pb2
from sailplane_protos.core import condition_pb2, dynamic_job_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from sailplane_protos.core import workflow_pb2 as core_pb2

from .workflows import FAILURE_NODE, Array, Branch, Drawing, Gate, Graph, Node, Ref, Source, Task

TIMEOUT_S = 2700
"""Of a task that may hang: longer than everything else takes together."""
PROJECT, DOMAIN, VERSION = "p", "development", "1"
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)


def entity(kind: "ResourceType.ValueType", name: str) -> EntityId:
    """An id of this world."""
    return EntityId(kind, PROJECT, DOMAIN, name, VERSION)


def task_requests(drawn: Drawing) -> list[task_pb2.TaskCreateRequest]:
    """Every task."""
    requests: list[task_pb2.TaskCreateRequest] = []
    for task in drawn.tasks:
        template = task_template(task)
        request = task_pb2.TaskCreateRequest(id=template.id)
        request.spec.template.CopyFrom(template)
        requests.append(request)
    return requests


def registered(drawn: Drawing) -> list[Graph]:
    """The workflows that are started by launch plans."""
    return [*drawn.plans, drawn.graphs[0]]


def workflow_request(drawn: Drawing, graph: Graph) -> workflow_pb2.WorkflowCreateRequest:
    """A workflow with every one inside it."""
    request = workflow_pb2.WorkflowCreateRequest(id=entity(ResourceType.WORKFLOW, graph.name).to_message())
    request.spec.template.CopyFrom(workflow_template(drawn, graph))
    request.spec.sub_workflows.extend(workflow_template(drawn, inner) for inner in _inside(graph.nodes))
    return request


def launch_plan_request(graph: Graph) -> launch_plan_pb2.LaunchPlanCreateRequest:
    """The launch plan of a workflow."""
    request = launch_plan_pb2.LaunchPlanCreateRequest(id=entity(ResourceType.LAUNCH_PLAN, graph.name).to_message())
    request.spec.workflow_id.CopyFrom(entity(ResourceType.WORKFLOW, graph.name).to_message())
    request.spec.entity_metadata.SetInParent()
    return request


def task_template(task: Task) -> tasks_pb2.TaskTemplate:
    """A container task that takes the numbers `a` and `b`, and gives `o`."""
    template = tasks_pb2.TaskTemplate(id=entity(ResourceType.TASK, task.name).to_message(), type="container")
    template.metadata.retries.retries = task.retries
    template.metadata.runtime.version = "1"
    template.metadata.discoverable = task.is_cached
    template.metadata.discovery_version = "1" if task.is_cached else ""
    template.metadata.cache_serializable = task.is_serialized
    template.interface.CopyFrom(_interface(("a", "b")))
    if task.takes_list:
        template.interface.inputs.variables["a"].type.collection_type.CopyFrom(INTEGER)
    template.container.image = "sim"
    template.container.command.append("run")
    template.container.args.extend(["{{.input}}", "{{.outputPrefix}}"])
    return template


def workflow_template(drawn: Drawing, graph: Graph) -> core_pb2.WorkflowTemplate:
    """A workflow that takes the number `a`, and gives `o`."""
    template = core_pb2.WorkflowTemplate(id=entity(ResourceType.WORKFLOW, graph.name).to_message())
    template.interface.CopyFrom(_interface(("a",)))
    if graph.goes_on:
        template.metadata.on_failure = core_pb2.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
    template.nodes.extend(_node(drawn, node) for node in graph.nodes)
    template.outputs.extend(_bindings({"o": graph.result}))
    if graph.cleanup is not None:
        template.failure_node.CopyFrom(_node(drawn, Node(FAILURE_NODE, {"a": Ref(), "b": 1}, task=graph.cleanup)))
    return template


def job(drawn: Drawing, graph: Graph, a: int) -> dynamic_job_pb2.DynamicJobSpec:
    """What a dynamic task leaves that generates a graph. It knows `a`. Some tasks it brings along."""
    made = dynamic_job_pb2.DynamicJobSpec()
    made.nodes.extend(_node(drawn, node, a) for node in graph.nodes)
    made.outputs.extend(_bindings({"o": graph.result}, a))
    made.subworkflows.extend(workflow_template(drawn, inner) for inner in _inside(graph.nodes))
    brought = {node.task.name: node.task for node in graph.nodes if node.task is not None and not node.task.is_cached}
    made.tasks.extend(task_template(task) for task in brought.values())
    return made


def _inside(nodes: Iterable[Node]) -> list[Graph]:
    """Every graph inside, at any depth."""
    found: list[Graph] = []
    for node in nodes:
        if node.graph is not None:
            found += [node.graph, *_inside(node.graph.nodes)]
        if node.branch is not None:
            found += _inside(node.branch.nodes)
    return found


def _interface(inputs: tuple[str, ...]) -> interface_pb2.TypedInterface:
    variable = interface_pb2.Variable(type=INTEGER)
    return interface_pb2.TypedInterface(
        inputs=interface_pb2.VariableMap(variables=dict.fromkeys(inputs, variable)),
        outputs=interface_pb2.VariableMap(variables={"o": variable}),
    )


def _node(drawn: Drawing, node: Node, a: int | None = None) -> core_pb2.Node:
    """`a` is what the workflow is given, where that is known when it is written."""
    made = core_pb2.Node(id=node.id, upstream_node_ids=node.after, inputs=_bindings(node.inputs, a))
    if node.task is not None:
        made.task_node.reference_id.CopyFrom(entity(ResourceType.TASK, node.task.name).to_message())
        if node.task.hangs:
            made.metadata.timeout.FromSeconds(TIMEOUT_S)
    elif node.graph is not None:
        made.workflow_node.sub_workflow_ref.CopyFrom(entity(ResourceType.WORKFLOW, node.graph.name).to_message())
    elif node.plan is not None:
        made.workflow_node.launchplan_ref.CopyFrom(entity(ResourceType.LAUNCH_PLAN, node.plan.name).to_message())
    elif node.branch is not None:
        _fill_branch(drawn, made.branch_node.if_else, node.branch, a)
    elif node.array is not None:
        _fill_array(drawn, made.array_node, node.array)
    elif node.gate is not None:
        _fill_gate(drawn, made.gate_node, node.gate)
    return made


def _fill_branch(drawn: Drawing, if_else: core_pb2.IfElseBlock, branch: Branch, a: int | None) -> None:
    for index, (bound, case) in enumerate(branch.cases):
        block = if_else.other.add() if index else if_else.case
        comparison = block.condition.comparison
        comparison.operator = condition_pb2.ComparisonExpression.LT
        comparison.left_value.var = "x"
        comparison.right_value.primitive.integer = bound
        block.then_node.CopyFrom(_node(drawn, case, a))
    if branch.otherwise is not None:
        if_else.else_node.CopyFrom(_node(drawn, branch.otherwise, a))
    else:
        if_else.error.message = "no case fits"


def _fill_array(drawn: Drawing, made: core_pb2.ArrayNode, array: Array) -> None:
    made.node.CopyFrom(_node(drawn, Node("item", {}, task=array.task)))
    made.is_original_sub_node_interface.value = True
    made.parallelism = array.at_once
    if array.needed is not None:
        made.min_successes = array.needed
    if array.has_own_inputs:
        made.data_mode = core_pb2.ArrayNode.INDIVIDUAL_INPUT_FILES


def _fill_gate(drawn: Drawing, made: core_pb2.GateNode, gate: Gate) -> None:
    match gate.kind:
        case "sleep":
            made.sleep.duration.FromSeconds(gate.value)
        case "signal":
            made.signal.signal_id = drawn.signal_of(gate)
            made.signal.type.CopyFrom(INTEGER)
            made.signal.output_variable_name = "o"
        case _:
            made.approve.signal_id = drawn.signal_of(gate)


def _bindings(inputs: Mapping[str, Source], a: int | None = None) -> list[literals_pb2.Binding]:
    return [literals_pb2.Binding(var=name, binding=_data(source, a)) for name, source in sorted(inputs.items())]


def _data(source: Source, a: int | None) -> literals_pb2.BindingData:
    data = literals_pb2.BindingData()
    if source == Ref() and a is not None:
        source = a
    if isinstance(source, Ref):
        data.promise.node_id, data.promise.var = source.node, "o" if source.node else "a"
    elif isinstance(source, tuple):
        data.collection.bindings.extend(_data(one, a) for one in source)
        data.collection.SetInParent()
    else:
        data.scalar.primitive.integer = source
    return data
