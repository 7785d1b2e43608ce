"""Random workflows in Flyte's words, as a client would register them."""

from collections.abc import Mapping

from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import launch_plan_pb2, task_pb2, workflow_pb2
from sailplane_protos.core import interface_pb2, literals_pb2, tasks_pb2, types_pb2
from sailplane_protos.core import workflow_pb2 as core_pb2

from .workflows import Drawing, Graph, Node, Ref, Source, Task

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
    return [drawn.graphs[0]]


def workflow_request(drawn: Drawing, graph: Graph) -> workflow_pb2.WorkflowCreateRequest:
    """A workflow with every one inside it."""
    request = workflow_pb2.WorkflowCreateRequest(id=entity(ResourceType.WORKFLOW, graph.name).to_message())
    request.spec.template.CopyFrom(workflow_template(graph))
    request.spec.sub_workflows.extend(workflow_template(inner) for inner in _inside(graph))
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
    template.interface.CopyFrom(_interface(("a", "b")))
    template.container.image = "sim"
    template.container.command.append("run")
    template.container.args.extend(["{{.input}}", "{{.outputPrefix}}"])
    return template


def workflow_template(graph: Graph) -> core_pb2.WorkflowTemplate:
    """A workflow that takes the number `a`, and gives `o`."""
    template = core_pb2.WorkflowTemplate(id=entity(ResourceType.WORKFLOW, graph.name).to_message())
    template.interface.CopyFrom(_interface(("a",)))
    if graph.goes_on:
        template.metadata.on_failure = core_pb2.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
    template.nodes.extend(_node(node) for node in graph.nodes)
    template.outputs.extend(_bindings({"o": graph.result}))
    if graph.cleanup is not None:
        template.failure_node.CopyFrom(_node(Node("fn", {"a": Ref(), "b": 1}, task=graph.cleanup)))
    return template


def _inside(graph: Graph) -> list[Graph]:
    """Every graph inside, at any depth."""
    inner = [node.graph for node in graph.nodes if node.graph is not None]
    return [*inner, *(deeper for one in inner for deeper in _inside(one))]


def _interface(inputs: tuple[str, ...]) -> interface_pb2.TypedInterface:
    variable = interface_pb2.Variable(type=INTEGER)
    return interface_pb2.TypedInterface(
        inputs=interface_pb2.VariableMap(variables=dict.fromkeys(inputs, variable)),
        outputs=interface_pb2.VariableMap(variables={"o": variable}),
    )


def _node(node: Node) -> core_pb2.Node:
    made = core_pb2.Node(id=node.id, upstream_node_ids=node.after, inputs=_bindings(node.inputs))
    if node.task is not None:
        made.task_node.reference_id.CopyFrom(entity(ResourceType.TASK, node.task.name).to_message())
        if node.task.hangs:
            made.metadata.timeout.FromSeconds(TIMEOUT_S)
    elif node.graph is not None:
        made.workflow_node.sub_workflow_ref.CopyFrom(entity(ResourceType.WORKFLOW, node.graph.name).to_message())
    return made


TIMEOUT_S = 7200
"""Of a task that may hang: longer than everything else takes together."""


def _bindings(inputs: Mapping[str, Source]) -> list[literals_pb2.Binding]:
    return [literals_pb2.Binding(var=name, binding=_data(source)) for name, source in sorted(inputs.items())]


def _data(source: Source) -> literals_pb2.BindingData:
    data = literals_pb2.BindingData()
    if isinstance(source, Ref):
        data.promise.node_id, data.promise.var = source.node, "o" if source.node else "a"
    elif isinstance(source, tuple):
        data.collection.bindings.extend(_data(one) for one in source)
    else:
        data.scalar.primitive.integer = source
    return data
