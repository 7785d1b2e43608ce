# pyright: reportDeprecated=false
# Fields that Flyte calls deprecated are what old clients still send.
"""What a request, a launch plan and the defaults make of an execution: settled once, before it starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sailplane_protos.admin import common_pb2, execution_pb2, launch_plan_pb2, matchable_resource_pb2
from sailplane_protos.core import (
    identifier_pb2,
    interface_pb2,
    literals_pb2,
    security_pb2,
    tasks_pb2,
    workflow_pb2,
)

from . import quality_of_service
from .attributes import first_of
from .errors import InvalidRequest
from .ids import ResourceType
from .launch_plan import default_spec
from .naming import GENERATED_PREFIX, single_task_node_id
from .types import accepts, describe, type_of

Layer = execution_pb2.ExecutionSpec | launch_plan_pb2.LaunchPlanSpec | matchable_resource_pb2.WorkflowExecutionConfig
"""Whatever has a say in how an execution runs; all three kinds have the same fields for it."""

T = TypeVar("T")

SINGLE_TASK_RETRIES = 3
"""How often a single task is tried again when its template does not say."""
ENUM_VALUES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ExecutionConfig:
    """How an execution runs, as the layers settle it together. `interruptible` is None when none of them says."""

    max_parallelism: int
    security_context: security_pb2.SecurityContext
    raw_output_prefix: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    envs: Mapping[str, str]
    interruptible: bool | None
    overwrite_cache: bool


@dataclass(frozen=True, slots=True)
class Launch:
    """An execution, ready to be stored and started.

    `inputs` are complete, `user_inputs` what the caller gave: a relaunch begins with them again. `spec` and `closure`
    are what clients read. `tags` are pairs to search by; a plain tag has the value "".
    """

    inputs: literals_pb2.LiteralMap
    user_inputs: literals_pb2.LiteralMap
    spec: execution_pb2.ExecutionSpec
    closure: execution_pb2.ExecutionClosure
    config: ExecutionConfig
    tags: tuple[tuple[str, str], ...]
    attributes: tuple[matchable_resource_pb2.MatchingAttributes, ...] = ()
    """What is said of the execution by where it belongs, the most specific first."""
    queueing_budget: timedelta | None = None
    """How long its work may wait (`quality_of_service`); None where only the workflow can say."""


def resolve(
    request: execution_pb2.ExecutionCreateRequest,
    plan: launch_plan_pb2.LaunchPlan,
    *,
    now: datetime,
    namespace: str,
    project_labels: Mapping[str, str],
    defaults: matchable_resource_pb2.WorkflowExecutionConfig,
    attributes: Sequence[matchable_resource_pb2.MatchingAttributes] = (),
    principal: str = "",
    parent: execution_pb2.ExecutionSpec | None = None,
) -> Launch:
    """Settle everything about a new execution. Raises `InvalidRequest` when the inputs do not fit the plan.

    For a single task, `plan` is the one made around it. `attributes` come most specific first. `principal` is who
    called, `parent` the spec of the execution whose node asks for this one, if one does.
    """
    user_inputs = request.inputs if request.inputs.literals else request.spec.inputs
    said = [one.workflow_execution_config for one in attributes if one.HasField("workflow_execution_config")]
    config = effective_config((request.spec, plan.spec, *said), defaults, project_labels)
    spec = _spec(request.spec, config, namespace)
    _set_origin(spec, principal, parent)
    _set_cluster(spec, plan.spec, attributes)
    closure = execution_pb2.ExecutionClosure(workflow_id=plan.spec.workflow_id)
    closure.created_at.FromDatetime(now)
    closure.updated_at.CopyFrom(closure.created_at)
    closure.notifications.extend(_notifications(request.spec, plan.spec))
    return Launch(
        inputs=complete_inputs(user_inputs, plan.closure.expected_inputs, plan.spec.fixed_inputs),
        user_inputs=user_inputs,
        spec=spec,
        closure=closure,
        config=config,
        tags=(*config.labels.items(), *((tag, "") for tag in dict.fromkeys(request.spec.tags))),
        attributes=tuple(attributes),
        queueing_budget=quality_of_service.queueing_budget(
            (
                request.spec.quality_of_service,
                plan.spec.quality_of_service,
                *(one.quality_of_service for one in attributes),
            )
        ),
    )


def complete_inputs(
    given: literals_pb2.LiteralMap,
    expected: interface_pb2.ParameterMap,
    fixed: literals_pb2.LiteralMap,
) -> literals_pb2.LiteralMap:
    """The given inputs with what the plan fixes and what it has defaults for.

    Raises `InvalidRequest` with everything that is unknown, fixed, missing or of another type.
    """
    problems: list[str] = []
    for name in sorted(given.literals):
        if name in fixed.literals:
            problems.append(f"fixed_inputs {name} cannot be overridden")
        elif name not in expected.parameters:
            problems.append(f"invalid input {name}")
    complete = literals_pb2.LiteralMap()
    for name in sorted(expected.parameters):
        parameter = expected.parameters[name]
        if name in given.literals:
            literal = given.literals[name]
            if accepts(parameter.var.type, literal):
                complete.literals[name].CopyFrom(literal)
            else:
                problems.append(_wrong_type(name, parameter, literal))
        elif parameter.WhichOneof("behavior") == "default":
            complete.literals[name].CopyFrom(parameter.default)
        elif parameter.required:
            problems.append(f"expected_inputs {name} missing")
    if problems:
        raise InvalidRequest(*problems)
    for name, literal in fixed.literals.items():
        complete.literals[name].CopyFrom(literal)
    return complete


def effective_config(
    layers: Sequence[Layer],
    defaults: matchable_resource_pb2.WorkflowExecutionConfig,
    project_labels: Mapping[str, str],
) -> ExecutionConfig:
    """Field by field, the first layer that says something. Maps are taken whole, never merged key by key.

    Two exceptions: the project's labels come below the ones chosen, and any layer may ask to overwrite the cache.
    """
    all_layers: tuple[Layer, ...] = (*layers, defaults)
    labels = _first(all_layers, lambda layer: layer.labels.values)
    annotations = _first(all_layers, lambda layer: layer.annotations.values)
    envs = _first(all_layers, lambda layer: layer.envs.values)
    interruptible = _first(all_layers, lambda layer: layer.interruptible if layer.HasField("interruptible") else None)
    return ExecutionConfig(
        max_parallelism=_first(all_layers, lambda layer: layer.max_parallelism) or 0,
        security_context=_security_context(layers, defaults),
        raw_output_prefix=_first(all_layers, lambda layer: layer.raw_output_data_config.output_location_prefix) or "",
        labels={**project_labels, **(labels or {})},
        annotations=dict(annotations or {}),
        envs={pair.key: pair.value for pair in envs or ()},
        interruptible=interruptible.value if interruptible is not None else None,
        overwrite_cache=any(layer.overwrite_cache for layer in all_layers),
    )


def relaunch_request(
    original: execution_pb2.Execution,
    user_inputs: literals_pb2.LiteralMap,
    request: execution_pb2.ExecutionRelaunchRequest,
) -> execution_pb2.ExecutionCreateRequest:
    """The request that repeats an execution. Nobody's child and not scheduled, whatever the original was."""
    create = _repeat(original, user_inputs, request.name, execution_pb2.ExecutionMetadata.RELAUNCH)
    create.spec.overwrite_cache = request.overwrite_cache
    return create


def recover_request(
    original: execution_pb2.Execution,
    user_inputs: literals_pb2.LiteralMap,
    request: execution_pb2.ExecutionRecoverRequest,
) -> execution_pb2.ExecutionCreateRequest:
    """The request that repeats what an execution did not finish; `reference_execution` names the one to take over."""
    create = _repeat(original, user_inputs, request.name, execution_pb2.ExecutionMetadata.RECOVERED)
    if request.metadata.HasField("parent_node_execution"):
        create.spec.metadata.parent_node_execution.CopyFrom(request.metadata.parent_node_execution)
    return create


def single_task_workflow(
    task: tasks_pb2.TaskTemplate,
) -> tuple[workflow_pb2.WorkflowTemplate, launch_plan_pb2.LaunchPlanSpec]:
    """The workflow of one node that runs a task on its own, and its launch plan's spec. Both are named alike."""
    id = identifier_pb2.Identifier(
        resource_type=ResourceType.WORKFLOW,
        project=task.id.project,
        domain=task.id.domain,
        name=GENERATED_PREFIX + task.id.name,
        version=task.id.version,
    )
    template = workflow_pb2.WorkflowTemplate(id=id, interface=task.interface)
    template.metadata.SetInParent()
    template.metadata_defaults.SetInParent()
    node = template.nodes.add(id=single_task_node_id(task.id.name))
    node.metadata.name = node.id
    node.metadata.retries.retries = task.metadata.retries.retries or SINGLE_TASK_RETRIES
    if task.metadata.HasField("timeout"):
        node.metadata.timeout.CopyFrom(task.metadata.timeout)
    node.task_node.reference_id.CopyFrom(task.id)
    for name in sorted(task.interface.inputs.variables):
        node.inputs.add(var=name).binding.promise.var = name
    for name in sorted(task.interface.outputs.variables):
        promise = template.outputs.add(var=name).binding.promise
        promise.node_id, promise.var = node.id, name
    return template, default_spec(id, task.interface)


def _wrong_type(name: str, parameter: interface_pb2.Parameter, literal: literals_pb2.Literal) -> str:
    wanted = parameter.var.type
    given = literal.scalar.primitive
    if wanted.WhichOneof("type") == "enum_type" and given.WhichOneof("value") == "string_value":
        values = ", ".join(wanted.enum_type.values[:ENUM_VALUES_SHOWN])
        return f"invalid {name} input: {given.string_value!r} is not one of its values: {values}"
    return f"invalid {name} input wrong type. Expected {describe(wanted)}, but got {describe(type_of(literal))}"


def _first(layers: Sequence[Layer], read: Callable[[Layer], T]) -> T | None:
    for layer in layers:
        value = read(layer)
        if value:
            return value
    return None


def _security_context(layers: Sequence[Layer], defaults: Layer) -> security_pb2.SecurityContext:
    """The first that says whom to run as; then the deprecated roles; then the default."""
    nobody = security_pb2.Identity()
    for layer in layers:
        if layer.security_context.run_as != nobody:
            return layer.security_context
    for layer in layers:
        for account, role in _deprecated_roles(layer):
            if account or role:
                run_as = security_pb2.Identity(k8s_service_account=account, iam_role=role)
                return security_pb2.SecurityContext(run_as=run_as)
    return defaults.security_context


def _deprecated_roles(layer: Layer) -> list[tuple[str, str]]:
    """Pairs of service account and IAM role, the newest field first."""
    pairs: list[tuple[str, str]] = []
    if isinstance(layer, execution_pb2.ExecutionSpec | launch_plan_pb2.LaunchPlanSpec):
        pairs.append((layer.auth_role.kubernetes_service_account, layer.auth_role.assumable_iam_role))
    if isinstance(layer, launch_plan_pb2.LaunchPlanSpec):
        pairs += [(layer.auth.kubernetes_service_account, layer.auth.assumable_iam_role), ("", layer.role)]
    return pairs


def _spec(asked: execution_pb2.ExecutionSpec, config: ExecutionConfig, namespace: str) -> execution_pb2.ExecutionSpec:
    """The spec as it is stored: what was asked for, with the settled parallelism and identity. Inputs stay outside."""
    spec = execution_pb2.ExecutionSpec()
    spec.CopyFrom(asked)
    spec.ClearField("inputs")
    spec.max_parallelism = config.max_parallelism
    spec.security_context.CopyFrom(config.security_context)
    spec.metadata.system_metadata.Clear()
    spec.metadata.system_metadata.namespace = namespace
    return spec


def _set_origin(spec: execution_pb2.ExecutionSpec, principal: str, parent: execution_pb2.ExecutionSpec | None) -> None:
    """Who started it, and how deep. What the caller says about itself is not believed."""
    if parent is None:
        spec.metadata.principal, spec.metadata.nesting = principal, 0
        return
    spec.metadata.principal = parent.metadata.principal
    spec.metadata.nesting = parent.metadata.nesting + 1
    if parent.HasField("execution_cluster_label"):
        spec.execution_cluster_label.CopyFrom(parent.execution_cluster_label)


def _set_cluster(
    spec: execution_pb2.ExecutionSpec,
    plan: launch_plan_pb2.LaunchPlanSpec,
    attributes: Sequence[matchable_resource_pb2.MatchingAttributes],
) -> None:
    """Where it is to run. Raises `InvalidRequest` for another pool than the one that is set where it belongs."""
    pool = first_of(attributes, "cluster_assignment").cluster_assignment.cluster_pool_name
    asked = spec.cluster_assignment.cluster_pool_name or plan.cluster_assignment.cluster_pool_name
    if pool and asked and pool != asked:
        raise InvalidRequest(
            f"invalid value for cluster_assignment: [{asked}] was asked for, but [{pool}] must be used"
        )
    if pool or asked:
        spec.cluster_assignment.cluster_pool_name = pool or asked
    label = first_of(attributes, "execution_cluster_label").execution_cluster_label
    if label.value and not spec.execution_cluster_label.value:
        spec.execution_cluster_label.value = label.value


def _notifications(
    asked: execution_pb2.ExecutionSpec, plan: launch_plan_pb2.LaunchPlanSpec
) -> Sequence[common_pb2.Notification]:
    if asked.notifications.notifications:
        return asked.notifications.notifications
    return () if asked.disable_all else plan.entity_metadata.notifications


def _repeat(
    original: execution_pb2.Execution,
    user_inputs: literals_pb2.LiteralMap,
    name: str,
    mode: "execution_pb2.ExecutionMetadata.ExecutionMode.ValueType",
) -> execution_pb2.ExecutionCreateRequest:
    create = execution_pb2.ExecutionCreateRequest(
        project=original.id.project, domain=original.id.domain, name=name, spec=original.spec, inputs=user_inputs
    )
    metadata = create.spec.metadata
    metadata.mode = mode
    metadata.reference_execution.CopyFrom(original.id)
    metadata.ClearField("parent_node_execution")
    metadata.ClearField("scheduled_at")
    create.spec.ClearField("concurrency_policy")
    return create
