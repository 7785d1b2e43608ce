"""Requests that register things, as a client sends them, small enough to be changed at will."""

from collections.abc import Sequence

from sailplane_core.ids import ResourceType
from sailplane_protos.admin import common_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from sailplane_protos.core import identifier_pb2, types_pb2

PROJECT, DOMAIN = "flytesnacks", "development"


def identifier(
    kind: "ResourceType.ValueType", name: str, version: str = "v1", *, project: str = PROJECT, domain: str = DOMAIN
) -> identifier_pb2.Identifier:
    """A full identifier."""
    return identifier_pb2.Identifier(resource_type=kind, project=project, domain=domain, name=name, version=version)


def task_id(name: str, version: str = "v1") -> identifier_pb2.Identifier:
    """Of a task."""
    return identifier(ResourceType.TASK, name, version)


def workflow_id(name: str, version: str = "v1") -> identifier_pb2.Identifier:
    """Of a workflow."""
    return identifier(ResourceType.WORKFLOW, name, version)


def plan_id(name: str, version: str = "v1") -> identifier_pb2.Identifier:
    """Of a launch plan."""
    return identifier(ResourceType.LAUNCH_PLAN, name, version)


def name(text: str = "") -> common_pb2.NamedEntityIdentifier:
    """A name in the default project."""
    return common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=text)


def get(id: identifier_pb2.Identifier) -> common_pb2.ObjectGetRequest:
    """The request for one version."""
    return common_pb2.ObjectGetRequest(id=id)


def task(name: str = "double", version: str = "v1", *, image: str = "busybox:1") -> task_pb2.TaskCreateRequest:
    """A container task that takes an integer `a` and gives an integer `o0`."""
    request = task_pb2.TaskCreateRequest(id=task_id(name, version))
    template = request.spec.template
    template.type = "raw-container"
    template.metadata.runtime.version = "1"
    template.interface.inputs.variables["a"].type.simple = types_pb2.INTEGER
    template.interface.outputs.variables["o0"].type.simple = types_pb2.INTEGER
    template.container.image = image
    template.container.command.append("double")
    return request


def workflow(
    name: str = "chain", version: str = "v1", *, tasks: Sequence[str] = ("double", "double")
) -> workflow_pb2.WorkflowCreateRequest:
    """A chain of tasks, each given what the one before gave; takes `a`, gives `o0`."""
    request = workflow_pb2.WorkflowCreateRequest(id=workflow_id(name, version))
    template = request.spec.template
    template.id.CopyFrom(request.id)
    template.interface.inputs.variables["a"].type.simple = types_pb2.INTEGER
    template.interface.outputs.variables["o0"].type.simple = types_pb2.INTEGER
    for index, task_name in enumerate(tasks):
        node = template.nodes.add(id=f"n{index}")
        node.task_node.reference_id.CopyFrom(task_id(task_name))
        promise = node.inputs.add(var="a").binding.promise
        promise.node_id, promise.var = (f"n{index - 1}", "o0") if index else ("", "a")
    result = template.outputs.add(var="o0").binding.promise
    result.node_id, result.var = f"n{len(tasks) - 1}", "o0"
    return request


def plan(
    name: str = "chain", version: str = "v1", *, workflow: str = "chain", fixed_a: int | None = None, cron: str = ""
) -> launch_plan_pb2.LaunchPlanCreateRequest:
    """A launch plan of a workflow's version `v1`, with a fixed input or a schedule if asked for."""
    request = launch_plan_pb2.LaunchPlanCreateRequest(id=plan_id(name, version))
    request.spec.workflow_id.CopyFrom(workflow_id(workflow))
    request.spec.entity_metadata.SetInParent()
    if fixed_a is not None:
        request.spec.fixed_inputs.literals["a"].scalar.primitive.integer = fixed_a
    if cron:
        request.spec.entity_metadata.schedule.cron_schedule.schedule = cron
    return request


def versions(
    name_text: str = "",
    *,
    limit: int = 100,
    token: str = "",
    filters: str = "",
    sort_by: str = "",
    ascending: bool = False,
) -> common_pb2.ResourceListRequest:
    """The request for a page of versions."""
    request = common_pb2.ResourceListRequest(id=name(name_text), limit=limit, token=token, filters=filters)
    if sort_by:
        request.sort_by.key = sort_by
        request.sort_by.direction = common_pb2.Sort.ASCENDING if ascending else common_pb2.Sort.DESCENDING
    return request
