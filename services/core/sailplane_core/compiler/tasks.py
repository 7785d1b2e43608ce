"""One task: whether its container or Pod could be started at all."""

import re
from collections.abc import Iterator

from google.protobuf import struct_pb2
from sailplane_protos.core import compiler_pb2, tasks_pb2

from .. import resources
from ..errors import CompileFailed, InvalidRequest, Problem
from ..ids import EntityId
from . import bounds, problems

LABEL_CHARS_MAX = 63
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""An RFC 1123 label, which Kubernetes wants container names to be."""

_PRIMARY_CONTAINER_KEY = "primary_container_name"
"""Where older clients name the primary container in a task's config."""


def compile_task(id: EntityId, template: tasks_pb2.TaskTemplate) -> compiler_pb2.CompiledTask:
    """The task under `id`, with both sides of its interface present. Raises `CompileFailed` with all problems.

    Tasks without a container or Pod run elsewhere: what they need is for their plugin to say.
    """
    found = [*bounds.too_deep_types("interface", template.interface), *_check_interface(template)]
    match template.WhichOneof("target"):
        case "container":
            found.extend(_check_container(template))
        case "k8s_pod":
            found.extend(_check_pod(template))
        case _:
            pass
    if found:
        raise CompileFailed(f"task {id}", found)
    result = compiler_pb2.CompiledTask(template=template)
    result.template.id.CopyFrom(id.to_message())
    result.template.interface.inputs.SetInParent()
    result.template.interface.outputs.SetInParent()
    if not bounds.is_readable(compiler_pb2.CompiledWorkflowClosure(tasks=[result])):
        raise CompileFailed(f"task {id}", [problems.unreadable("task")])
    return result


def _check_interface(template: tasks_pb2.TaskTemplate) -> Iterator[Problem]:
    for direction, variables in (("Input", template.interface.inputs), ("Output", template.interface.outputs)):
        for name in sorted(variables.variables):
            if variables.variables[name].type.WhichOneof("type") is None:
                yield problems.value_required("interface", f"{direction} {name!r}: its type")


def _check_container(template: tasks_pb2.TaskTemplate) -> Iterator[Problem]:
    container = template.container
    if not container.image:
        yield problems.value_required("container", "The image of the container")
    has_io = bool(template.interface.inputs.variables or template.interface.outputs.variables)
    if has_io and not container.command and not container.args:
        yield problems.value_required("container", "A command or arguments, which inputs and outputs come through,")
    for kind, entries in (("request", container.resources.requests), ("limit", container.resources.limits)):
        for entry in entries:
            name = resources.NAMES.get(entry.name, f"resource {entry.name}")
            yield from _check_quantity("container", f"The {kind} of {name}", entry.value)


def _check_quantity(where: str, what: str, text: str) -> Iterator[Problem]:
    try:
        resources.parse_quantity(text)
    except InvalidRequest as error:
        yield problems.unrecognized_value(where, what, str(error))


def _check_pod(template: tasks_pb2.TaskTemplate) -> Iterator[Problem]:
    pod = template.k8s_pod
    if not pod.HasField("pod_spec"):
        yield problems.value_required("k8s_pod", "The Pod's spec")
        return
    containers = [value.struct_value for value in _field(pod.pod_spec, "containers").list_value.values]
    if not containers:
        yield problems.value_required("k8s_pod", "A container in the Pod's spec")
        return
    names = [_field(container, "name").string_value for container in containers]
    for name in names:
        if len(name) > LABEL_CHARS_MAX or not _LABEL.fullmatch(name):
            why = f"{name!r} is not made of lower-case letters, digits and inner dashes, or too long"
            yield problems.invalid_value("k8s_pod", "The name of a container", why)
    yield from _check_primary(template, names)
    for name, container in zip(names, containers, strict=True):
        yield from _check_pod_resources(name, _field(container, "resources").struct_value)


def _check_primary(template: tasks_pb2.TaskTemplate, names: list[str]) -> Iterator[Problem]:
    primary = template.k8s_pod.primary_container_name or template.config.get(_PRIMARY_CONTAINER_KEY, "")
    if primary and primary not in names:
        yield problems.invalid_value("k8s_pod", "The primary container", f"there is no container {primary!r}")
    elif not primary and len(names) > 1:
        yield problems.value_required("k8s_pod", "The name of the primary container")


def _check_pod_resources(name: str, container_resources: struct_pb2.Struct) -> Iterator[Problem]:
    for kind in ("requests", "limits"):
        amounts = _field(container_resources, kind).struct_value.fields
        for resource in sorted(amounts):
            value = amounts[resource]
            if value.WhichOneof("kind") == "string_value":
                yield from _check_quantity(
                    "k8s_pod", f"In {kind} of container {name!r}, {resource}", value.string_value
                )


def _field(struct: struct_pb2.Struct, name: str) -> struct_pb2.Value:
    """The field, or an empty value: asking the map itself would add the field to the caller's message."""
    return struct.fields[name] if name in struct.fields else struct_pb2.Value()
