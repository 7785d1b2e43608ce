"""Matchable attributes: what an installation says about all executions of a project, a domain or a workflow.

Attributes lie at places, from a whole project or domain down to one launch plan. Of those that are about an execution
the most specific come first. Kinds and meanings are Flyte's (`flyteadmin`'s resource manager), with two differences: a
quality of service can be set, and a project's plugin overrides are merged as those of other places are.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sailplane_protos.admin import matchable_resource_pb2 as pb

from . import quality_of_service
from .errors import InvalidRequest
from .naming import label_key_problem, label_value_problem
from .resources import CPU, EPHEMERAL_STORAGE, GPU, MEMORY, Needs, parse_quantity

ENTRIES_MAX = 100

RESOURCE_OF_TARGET: Mapping[str, "pb.MatchableResource.ValueType"] = {
    "task_resource_attributes": pb.TASK_RESOURCE,
    "cluster_resource_attributes": pb.CLUSTER_RESOURCE,
    "execution_queue_attributes": pb.EXECUTION_QUEUE,
    "execution_cluster_label": pb.EXECUTION_CLUSTER_LABEL,
    "quality_of_service": pb.QUALITY_OF_SERVICE_SPECIFICATION,
    "plugin_overrides": pb.PLUGIN_OVERRIDE,
    "workflow_execution_config": pb.WORKFLOW_EXECUTION_CONFIG,
    "cluster_assignment": pb.CLUSTER_ASSIGNMENT,
}
_QUANTITIES = {"cpu": CPU, "gpu": GPU, "memory": MEMORY, "storage": "storage", "ephemeral_storage": EPHEMERAL_STORAGE}
"""The wire's fields of a resource spec, and Kubernetes' names of the resources."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where attributes lie; "" for all projects, domains, workflows or launch plans there are."""

    project: str = ""
    domain: str = ""
    workflow: str = ""
    launch_plan: str = ""

    @property
    def rank(self) -> tuple[bool, ...]:
        """The more specific of two places has the higher rank: what is said of a project outweighs its domain's."""
        return bool(self.launch_plan), bool(self.workflow), bool(self.project), bool(self.domain)


def resource_of(given: pb.MatchingAttributes) -> "pb.MatchableResource.ValueType":
    """Which kind of attributes these are. Raises `InvalidRequest` when they are none, or not well-formed."""
    target = given.WhichOneof("target")
    if target is None:
        raise InvalidRequest.missing("matching_attributes.target")
    problems: list[str] = []
    match target:
        case "task_resource_attributes":
            problems += _task_resource_problems(given.task_resource_attributes)
        case "plugin_overrides":
            problems += _override_problems(given.plugin_overrides)
        case "workflow_execution_config":
            problems += _config_problems(given.workflow_execution_config)
        case "cluster_resource_attributes":
            problems += _count_problems("attributes", len(given.cluster_resource_attributes.attributes))
        case "execution_queue_attributes":
            problems += _count_problems("tags", len(given.execution_queue_attributes.tags))
        case "quality_of_service":
            problems += quality_of_service.problems(given.quality_of_service)
        case "execution_cluster_label" if not given.execution_cluster_label.value:
            problems.append("missing execution_cluster_label.value")
        case _:
            pass
    if problems:
        raise InvalidRequest(*problems)
    return RESOURCE_OF_TARGET[target]


def check_resource_type(value: int) -> None:
    """A kind of attributes that there is."""
    if value not in pb.MatchableResource.values():
        raise InvalidRequest.invalid("resource_type", f"{value} is none")


def replaced(old: pb.MatchingAttributes | None, new: pb.MatchingAttributes) -> pb.MatchingAttributes:
    """What lies at a place after an update: plugin overrides keep those of other task types, all else is replaced."""
    if old is None or new.WhichOneof("target") != "plugin_overrides":
        return new
    of_types = {one.task_type: one for one in (*old.plugin_overrides.overrides, *new.plugin_overrides.overrides)}
    return pb.MatchingAttributes(plugin_overrides=pb.PluginOverrides(overrides=of_types.values()))


def first_of(attributes: Sequence[pb.MatchingAttributes], target: str) -> pb.MatchingAttributes:
    """The most specific of one kind, which are given most specific first; empty if there is none."""
    return next((one for one in attributes if one.WhichOneof("target") == target), pb.MatchingAttributes())


def default_needs(given: pb.TaskResourceAttributes) -> Needs:
    """What a container gets that says nothing itself."""
    return Needs(_quantities(given.defaults), {})


def limits(given: pb.TaskResourceAttributes) -> dict[str, str]:
    """What a container may have at most, by Kubernetes' names."""
    return _quantities(given.limits)


def check_needs(needs: Needs, at_most: Mapping[str, str]) -> None:
    """Raises `InvalidRequest` naming every resource of which more is asked for than there may be."""
    problems = [
        f"Requested {name.upper()} {part} [{asked[name]}] is greater than current limit set in the platform "
        f"configuration [{limit}]. Please contact Flyte Admins to change these limits or consult the configuration"
        for part, asked in (("default", needs.requests), ("limit", needs.limits))
        for name, limit in sorted(at_most.items())
        if name in asked and parse_quantity(asked[name]) > parse_quantity(limit)
    ]
    if problems:
        raise InvalidRequest(*problems)


def missing_plugin(overrides: Collection[pb.PluginOverride], task_type: str, known: Collection[str]) -> str:
    """Why tasks of a type cannot run: none of the plugins that must be used for them is there. "" if they can."""
    for one in overrides:
        if one.task_type == task_type and not set(one.plugin_id) & set(known):
            if one.missing_plugin_behavior == pb.PluginOverride.FAIL:
                return f"no plugin for tasks of type {task_type} is there: {', '.join(one.plugin_id)}"
            return ""
    return ""


def _quantities(spec: pb.TaskResourceSpec) -> dict[str, str]:
    found = {kube: getattr(spec, name) for name, kube in _QUANTITIES.items()}
    return {name: text for name, text in found.items() if text}


def _task_resource_problems(given: pb.TaskResourceAttributes) -> list[str]:
    problems: list[str] = []
    for part, spec in (("defaults", given.defaults), ("limits", given.limits)):
        for name in _QUANTITIES:
            text = getattr(spec, name)
            try:
                parse_quantity(text or "0")
            except InvalidRequest as error:
                problems.append(f"invalid value for {part}.{name}: {error}")
    if problems:
        return problems
    for name in _QUANTITIES:
        default, limit = getattr(given.defaults, name), getattr(given.limits, name)
        if default and limit and parse_quantity(default) > parse_quantity(limit):
            problems.append(f"invalid value for defaults.{name}: {default} is more than the limit {limit}")
    return problems


def _override_problems(given: pb.PluginOverrides) -> list[str]:
    problems = _count_problems("overrides", len(given.overrides))
    if not given.overrides:
        problems.append("missing overrides")
    for one in given.overrides:
        if not one.task_type:
            problems.append("missing task_type")
        if not one.plugin_id:
            problems.append(f"missing plugin_id of task_type {one.task_type}")
        if one.missing_plugin_behavior not in pb.PluginOverride.MissingPluginBehavior.values():
            problems.append(f"invalid value for missing_plugin_behavior: {one.missing_plugin_behavior}")
    types = Counter(one.task_type for one in given.overrides)
    problems += [f"invalid value for task_type: {one} is there twice" for one, count in types.items() if count > 1]
    return problems


def _config_problems(given: pb.WorkflowExecutionConfig) -> list[str]:
    problems = [] if given.max_parallelism >= 0 else ["invalid value for max_parallelism: it is negative"]
    problems += _count_problems("labels", len(given.labels.values))
    for key, value in sorted(given.labels.values.items()):
        problem = label_key_problem(key) or label_value_problem(value)
        if problem:
            problems.append(f"invalid value for labels: {problem}")
    names = [pair.key for pair in given.envs.values]
    problems += _count_problems("envs", len(names))
    if "" in names:
        problems.append("missing envs.key")
    return problems


def _count_problems(field: str, count: int) -> list[str]:
    return [f"invalid value for {field}: at most {ENTRIES_MAX} are allowed"] if count > ENTRIES_MAX else []
