"""The Pod of one attempt, made from the task's template and everything that has a say in it. No I/O.

Order of precedence, first the strongest: the node's overrides, the task's own template, the platform's defaults. For
environment variables: what the platform says about the attempt, the execution's own variables, the container's,
the platform's defaults.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from google.protobuf import json_format
from sailplane_protos.core import interface_pb2, literals_pb2, tasks_pb2, workflow_pb2

from . import extended_resources
from .dataconfig import ANNOTATION as DATA_CONFIG_ANNOTATION
from .dataconfig import DataConfig
from .errors import InvalidRequest
from .ids import ExecutionId, pod_name
from .literal_text import struct_json
from .ports import Pod
from .resources import NO_NEEDS, Needs, bounded, merge, needs_of, parse_quantity
from .templating import TemplateValues, render_all, uses

PRIMARY_CONTAINER_ANNOTATION = "primary_container_name"
"""Names the container that decides the Pod's outcome; Flyte's name for it."""

_LABEL_CHARS_MAX = 63

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PodContext:
    """Everything that one attempt's Pod is made from.

    `node_id` is the node's unique id in the execution, `attempt` counts from 0. All paths are URIs; prefixes have no
    slash at their end, and an empty `previous_checkpoint_prefix` says that there is none. `array_index` is the node's
    index if it is an item of an array, else -1.
    """

    execution: ExecutionId
    workflow_name: str
    node_id: str
    attempt: int
    task: tasks_pb2.TaskTemplate
    namespace: str
    inputs: literals_pb2.LiteralMap
    inputs_uri: str
    output_prefix: str
    raw_output_prefix: str
    checkpoint_prefix: str = ""
    previous_checkpoint_prefix: str = ""
    overrides: workflow_pb2.TaskNodeOverrides = field(default_factory=workflow_pb2.TaskNodeOverrides)
    envs: Mapping[str, str] = field(default_factory=dict[str, str])
    default_envs: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    service_account: str = "default"
    interruptible: bool = False
    default_needs: Needs = NO_NEEDS
    needs_max: Mapping[str, str] = field(default_factory=dict[str, str])
    array_index: int = -1

    @property
    def name(self) -> str:
        """The Pod's name."""
        return pod_name(self.execution, self.node_id, self.attempt)

    @property
    def task_template_uri(self) -> str:
        """Where `{{.taskTemplatePath}}` points to; see `needs_task_template`."""
        return f"{self.output_prefix}/task.pb"


def needs_task_template(task: tasks_pb2.TaskTemplate) -> bool:
    """Whether the command line reads the task's own template, which must then be stored before the Pod runs."""
    return uses([*task.container.command, *task.container.args], "taskTemplatePath")


def build(context: PodContext) -> Pod:
    """The Pod. Raises `InvalidRequest` for a task that is not run by a container, or whose template is wrong."""
    primary = primary_container(context.task, context.overrides, context.name)
    template = _pod_template(context.task, context.overrides)
    if template is not None:
        spec = _pod_spec(context, template, primary)
        data_config = template.data_config
    else:
        spec = _container_spec(context)
        data_config = context.task.container.data_config
    wanted = extended_resources.merge(context.overrides.extended_resources, context.task.extended_resources)
    spec = extended_resources.apply(spec, primary, wanted)
    own, override = context.task.k8s_pod.metadata, context.overrides.pod_template.metadata
    annotations = {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        **context.annotations,
        **own.annotations,
        **override.annotations,
        PRIMARY_CONTAINER_ANNOTATION: primary,
    }
    if data_config.enabled:
        annotations[DATA_CONFIG_ANNOTATION] = _data_config(context, data_config).dump()
    metadata = {
        "name": context.name,
        "namespace": context.namespace,
        "labels": {**context.labels, **own.labels, **override.labels, **_labels(context)},
        "annotations": annotations,
    }
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return Pod(context.name, context.namespace, primary, manifest)


def primary_container(task: tasks_pb2.TaskTemplate, overrides: workflow_pb2.TaskNodeOverrides, pod: str) -> str:
    """The name of the container that decides how Pod `pod` ends. Raises `InvalidRequest` where `build` does."""
    template = _pod_template(task, overrides)
    if template is None:
        return pod
    names = [one["name"] for one in _containers(cast("Manifest", struct_json(template.pod_spec)))]
    primary = template.primary_container_name or task.config.get(PRIMARY_CONTAINER_ANNOTATION, "")
    if not primary and len(names) == 1:
        primary = names[0]
    if primary not in names:
        raise InvalidRequest(f"the Pod template of task {task.id.name} has no container {primary!r}")
    return primary


def _pod_template(task: tasks_pb2.TaskTemplate, overrides: workflow_pb2.TaskNodeOverrides) -> tasks_pb2.K8sPod | None:
    """What the Pod is made after; None for a task of one container."""
    target = task.WhichOneof("target")
    if target not in ("container", "k8s_pod"):
        raise InvalidRequest(
            f"task {task.id.name} of type {task.type!r} cannot run as a container: "
            f"its template has {'no target' if target is None else f'the target {target!r}'}"
        )
    if overrides.pod_template.HasField("pod_spec"):
        return overrides.pod_template
    return task.k8s_pod if target == "k8s_pod" else None


def _container_spec(context: PodContext) -> Manifest:
    source = context.task.container
    container: Manifest = {"name": context.name, "image": context.overrides.container_image or source.image}
    values = _template_values(context)
    container |= _argv(list(source.command), list(source.args), values)
    container["env"] = _env(context, {pair.key: pair.value for pair in source.env})
    if source.ports:
        container["ports"] = [_port(port) for port in source.ports]
    container |= _needs(context, needs_of(source.resources))
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    return {**_spec_frame(context), "containers": [container]}


def _pod_spec(context: PodContext, template: tasks_pb2.K8sPod, primary: str) -> Manifest:
    """The template's own Pod spec with commands rendered, variables added, and the primary container's resources."""
    spec = cast("Manifest", struct_json(template.pod_spec))
    spec["containers"] = [_completed(context, each, each["name"] == primary) for each in _containers(spec)]
    return {**spec, **_spec_frame(context, spec)}


def _containers(spec: Manifest) -> list[Manifest]:
    return _named_objects(spec.get("containers"), "containers")


def _completed(context: PodContext, container: Manifest, is_primary: bool) -> Manifest:
    values = _template_values(context)
    own = _named_objects(container.get("env"), "env")
    literal = {each["name"]: str(each.get("value", "")) for each in own if "valueFrom" not in each}
    referring = [each for each in own if "valueFrom" in each and each["name"] not in context.envs]
    done: Manifest = {
        **container,
        **_argv(_strings(container.get("command"), "command"), _strings(container.get("args"), "args"), values),
        "env": [*_env(context, literal), *referring],
    }
    if is_primary:
        own_resources = container.get("resources")
        own_needs = Needs(_quantities(own_resources, "requests"), _quantities(own_resources, "limits"))
        done |= _needs(context, own_needs)
        if context.overrides.container_image:
            done["image"] = context.overrides.container_image
        done["terminationMessagePolicy"] = "FallbackToLogsOnError"
    return done


def _named_objects(value: object, field_name: str) -> list[Manifest]:
    """A list of objects that each have a name, as Pod templates have them; `InvalidRequest` for anything else."""
    entries = _list(value, field_name)
    if not all(isinstance(entry, dict) and isinstance(cast("Manifest", entry).get("name"), str) for entry in entries):
        raise InvalidRequest.invalid(f"k8s_pod.pod_spec.{field_name}", "a list of objects with a name is expected")
    return cast("list[Manifest]", entries)


def _strings(value: object, field_name: str) -> list[str]:
    entries = _list(value, field_name)
    if not all(isinstance(entry, str) for entry in entries):
        raise InvalidRequest.invalid(f"k8s_pod.pod_spec.{field_name}", "a list of texts is expected")
    return cast("list[str]", entries)


def _list(value: object, field_name: str) -> list[object]:
    if value is not None and not isinstance(value, list):
        raise InvalidRequest.invalid(f"k8s_pod.pod_spec.{field_name}", "a list is expected")
    return cast("list[object]", value or [])


def _quantities(resources: object, part: str) -> dict[str, str]:
    """`requests` or `limits` of a Pod template's container, whose quantities may be numbers."""
    given = cast("Manifest", resources).get(part) if isinstance(resources, dict) else resources
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidRequest.invalid(f"k8s_pod.pod_spec.resources.{part}", "an object is expected")
    found = {name: str(value) for name, value in cast("Manifest", given).items()}
    for quantity in found.values():
        parse_quantity(quantity)
    return found


def _spec_frame(context: PodContext, given: Mapping[str, Any] | None = None) -> Manifest:
    account = context.task.security_context.run_as.k8s_service_account or context.service_account
    return {"restartPolicy": "Never", "serviceAccountName": (given or {}).get("serviceAccountName") or account}


def _argv(command: list[str], args: list[str], values: TemplateValues) -> Manifest:
    """Command and arguments with their variables filled in.

    Kubernetes expands `$(NAME)` in both, and `$$` to `$`; a value stays as it is, so each `$` in it is doubled.
    """

    def escape(text: str) -> str:
        return text.replace("$", "$$")

    parts = {"command": render_all(command, values, escape), "args": render_all(args, values, escape)}
    return {name: part for name, part in parts.items() if part}


def _template_values(context: PodContext) -> TemplateValues:
    return TemplateValues(
        inputs_uri=context.inputs_uri,
        output_prefix=context.output_prefix,
        raw_output_prefix=context.raw_output_prefix,
        checkpoint_prefix=context.checkpoint_prefix,
        previous_checkpoint_prefix=context.previous_checkpoint_prefix,
        unique_key=context.name,
        namespace=context.namespace,
        task_template_uri=context.task_template_uri,
        inputs=context.inputs,
    )


def _env(context: PodContext, container_envs: Mapping[str, str]) -> list[dict[str, str]]:
    envs = {**context.default_envs, **container_envs, **context.envs, **attempt_envs(context)}
    return [{"name": name, "value": value} for name, value in envs.items()]


def attempt_envs(context: PodContext) -> dict[str, str]:
    """What a container is told about the attempt that it runs; the names are Flyte's, and flytekit reads them."""
    execution, task = context.execution, context.task.id
    item = {
        "FLYTE_K8S_ARRAY_INDEX": str(context.array_index),
        # The name of the variable that holds the index, and what is added to it.
        "BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX",
        "BATCH_JOB_ARRAY_INDEX_OFFSET": "0",
    }
    return {
        "FLYTE_INTERNAL_EXECUTION_WORKFLOW": f"{execution.project}:{execution.domain}:{context.workflow_name}",
        "FLYTE_INTERNAL_EXECUTION_ID": execution.name,
        "FLYTE_INTERNAL_EXECUTION_PROJECT": execution.project,
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": execution.domain,
        "FLYTE_ATTEMPT_NUMBER": str(context.attempt),
        "FLYTE_INTERNAL_TASK_PROJECT": task.project,
        "FLYTE_INTERNAL_TASK_DOMAIN": task.domain,
        "FLYTE_INTERNAL_TASK_NAME": task.name,
        "FLYTE_INTERNAL_TASK_VERSION": task.version,
        # Older clients read these.
        "FLYTE_INTERNAL_PROJECT": task.project,
        "FLYTE_INTERNAL_DOMAIN": task.domain,
        "FLYTE_INTERNAL_NAME": task.name,
        "FLYTE_INTERNAL_VERSION": task.version,
        **(item if context.array_index >= 0 else {}),
    }


def _needs(context: PodContext, own: Needs) -> Manifest:
    merged = merge(needs_of(context.overrides.resources), own, context.default_needs)
    manifest = bounded(merged, context.needs_max).manifest
    return {"resources": manifest} if manifest else {}


def _port(port: tasks_pb2.ContainerPort) -> Manifest:
    return {"containerPort": port.container_port, **({"name": port.name} if port.name else {})}


def _labels(context: PodContext) -> dict[str, str]:
    facts = {
        "domain": context.execution.domain,
        "execution-id": context.execution.name,
        "interruptible": str(context.interruptible).lower(),
        "node-id": context.node_id,
        "project": context.execution.project,
        "task-name": context.task.id.name,
        "workflow-name": context.workflow_name,
    }
    return {name: label_value(value) for name, value in facts.items()}


def label_value(text: str) -> str:
    """`text` as a Kubernetes label value: foreign characters become dashes, and at most 63 are kept, from its start."""
    kept = re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:_LABEL_CHARS_MAX]
    return kept.strip("-_.")


def _data_config(context: PodContext, config: tasks_pb2.DataLoadingConfig) -> DataConfig:
    outputs = interface_pb2.VariableMap()
    outputs.CopyFrom(context.task.interface.outputs)
    return DataConfig(
        input_path=config.input_path or "/var/flyte/inputs",
        output_path=config.output_path or "/var/flyte/outputs",
        format=tasks_pb2.DataLoadingConfig.LiteralMapFormat.Name(config.format),
        inputs_uri=context.inputs_uri,
        output_prefix=context.output_prefix,
        raw_output_prefix=context.raw_output_prefix,
        outputs=json_format.MessageToDict(outputs),
    )
