# pyright: reportDeprecated=false
# Fields that Flyte calls deprecated are what old clients still send.
"""Whether requests are well-formed, before anything is looked up. Texts are Flyte's; each names the field it is about.

Every `check_` function returns None or raises `InvalidRequest` with all that it found. What needs the database (is
the project registered) or the compiler (does the template make sense) is not asked here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import struct_pb2, timestamp_pb2
from google.protobuf.message import Message
from sailplane_protos.admin import (
    event_pb2,
    execution_pb2,
    launch_plan_pb2,
    project_pb2,
    task_pb2,
    workflow_pb2,
)
from sailplane_protos.core import compiler_pb2, identifier_pb2, interface_pb2, literals_pb2

from . import concurrency, notifications, quality_of_service
from .errors import InvalidRequest
from .ids import ResourceType
from .naming import (
    dns_label_problem,
    execution_name_problem,
    label_key_problem,
    label_value_problem,
    name_problem,
)
from .types import accepts, describe, type_of

LABELS_MAX = 16
TAGS_MAX = 100
"""Of one execution. Flyte has no limit; each is a row."""
PROJECT_NAME_CHARS_MAX = 64
PROJECT_DESCRIPTION_CHARS_MAX = 300
ENTITY_DESCRIPTION_CHARS_MAX = 300

Problems = list[str]

_DATA = (compiler_pb2.CompiledWorkflowClosure, literals_pb2.LiteralMap, struct_pb2.Struct)
"""What an event carries for others to understand."""


def check_task_create(request: task_pb2.TaskCreateRequest) -> None:
    """A task to register."""
    problems = _id_problems(request.id, ResourceType.TASK)
    if not request.HasField("spec"):
        _refuse([*problems, "missing spec"])
    if not request.spec.HasField("template"):
        _refuse([*problems, "missing spec.template"])
    template = request.spec.template
    if not template.type:
        problems.append("missing type")
    if not template.HasField("metadata"):
        problems.append("missing metadata")
    elif template.metadata.HasField("runtime") and not template.metadata.runtime.version:
        problems.append("missing runtime version")
    if not template.HasField("interface"):
        problems.append("missing typed interface")
    _refuse(problems)


def check_workflow_create(request: workflow_pb2.WorkflowCreateRequest) -> None:
    """A workflow to register."""
    problems = _id_problems(request.id, ResourceType.WORKFLOW)
    if not request.HasField("spec"):
        problems.append("missing spec")
    elif not request.spec.HasField("template"):
        problems.append("missing spec.template")
    _refuse(problems)


def check_launch_plan_create(request: launch_plan_pb2.LaunchPlanCreateRequest) -> None:
    """A launch plan to register. Its workflow's interface is `launch_plan.expected_inputs`' concern."""
    problems = _id_problems(request.id, ResourceType.LAUNCH_PLAN)
    if not request.HasField("spec"):
        _refuse([*problems, "missing spec"])
    spec = request.spec
    if not spec.HasField("workflow_id"):
        problems.append("missing spec.workflow_id")
    else:
        problems += _id_problems(spec.workflow_id, ResourceType.WORKFLOW, "spec.workflow_id")
    problems += _label_problems(spec.labels.values)
    problems += _literal_problems(spec.fixed_inputs, "fixed_inputs")
    problems += _parameter_problems(spec.default_inputs)
    problems += notifications.problems(spec.entity_metadata.notifications)
    problems += quality_of_service.problems(spec.quality_of_service)
    if spec.entity_metadata.HasField("launch_conditions"):
        problems.append("invalid value for launch_conditions: not supported")
    _refuse(problems)


def check_execution_create(request: execution_pb2.ExecutionCreateRequest) -> None:
    """An execution to start. Inputs are compared with what is expected by `launch.resolve`."""
    problems = _scope_problems(request.project, request.domain)
    if request.name and (problem := execution_name_problem(request.name.lower())):
        problems.append(problem)
    if not request.HasField("spec"):
        _refuse([*problems, "missing spec"])
    spec = request.spec
    if not spec.HasField("launch_plan"):
        problems.append("missing spec.launch_plan")
    elif spec.launch_plan.resource_type == ResourceType.TASK:
        problems += _id_problems(spec.launch_plan, ResourceType.TASK, "spec.launch_plan")
    else:
        problems += _id_problems(spec.launch_plan, ResourceType.LAUNCH_PLAN, "spec.launch_plan")
    problems += _label_problems(spec.labels.values)
    problems += _tag_problems(spec.tags)
    problems += notifications.problems(spec.notifications.notifications)
    problems += quality_of_service.problems(spec.quality_of_service)
    problems += _literal_problems(request.inputs, "inputs")
    problems += _literal_problems(spec.inputs, "spec.inputs")
    if spec.max_parallelism < 0:
        problems.append("invalid value for max_parallelism: must not be negative")
    if spec.HasField("concurrency_policy"):
        problems += concurrency.problems(spec.concurrency_policy)
        if spec.launch_plan.resource_type == ResourceType.TASK:
            problems.append("invalid value for concurrency_policy: a task has no launch plan to count executions of")
    _refuse(problems)
    if spec.metadata.HasField("parent_node_execution"):
        check_node_execution_id(spec.metadata.parent_node_execution)


def check_project_register(request: project_pb2.ProjectRegisterRequest) -> None:
    """A project to register."""
    if not request.HasField("project"):
        raise InvalidRequest.missing("project")
    problems = _project_problems(request.project)
    if not request.project.name:
        problems.append("missing project_name")
    _refuse(problems)


def check_project_update(project: project_pb2.Project) -> None:
    """The new content of a project; empty fields stay as they are."""
    problems = _project_problems(project)
    if project.state not in project_pb2.Project.ProjectState.values():
        problems.append(f"invalid value for state: {project.state}")
    _refuse(problems)


def check_id(
    id: identifier_pb2.Identifier, expected: "identifier_pb2.ResourceType.ValueType", field: str = "id"
) -> None:
    """A full identifier of an entity of the `expected` kind."""
    _refuse(_id_problems(id, expected, field))


def id_of_kind(
    id: identifier_pb2.Identifier, expected: "identifier_pb2.ResourceType.ValueType", field: str = "id"
) -> identifier_pb2.Identifier:
    """A full identifier of an entity that is asked for by an RPC which says what kind it is.

    So the resource type may be left out: flytectl does, and over HTTP the path has no place for it.
    """
    if id.ByteSize() and not id.resource_type:
        given, id = id, identifier_pb2.Identifier(resource_type=expected)
        id.MergeFrom(given)
    check_id(id, expected, field)
    return id


def check_execution_id(id: identifier_pb2.WorkflowExecutionIdentifier) -> None:
    """A full identifier of an execution."""
    problems = _scope_problems(id.project, id.domain)
    if not id.name:
        problems.append("missing name")
    _refuse(problems)


def check_node_execution_id(id: identifier_pb2.NodeExecutionIdentifier) -> None:
    """A full identifier of a node execution."""
    if not id.HasField("execution_id"):
        raise InvalidRequest.missing("execution_id")
    check_execution_id(id.execution_id)
    if not id.node_id:
        raise InvalidRequest.missing("node_id")


def check_task_execution_id(id: identifier_pb2.TaskExecutionIdentifier) -> None:
    """A full identifier of a task execution."""
    if not id.HasField("node_execution_id"):
        raise InvalidRequest.missing("node_execution_id")
    check_node_execution_id(id.node_execution_id)
    if not id.HasField("task_id"):
        raise InvalidRequest.missing("task_id")
    id_of_kind(id.task_id, ResourceType.TASK, "task_id")


def check_workflow_event(request: event_pb2.WorkflowExecutionEventRequest) -> None:
    """An event of an execution."""
    _check_present(request, "event")
    _check_present(request.event, "execution_id", "occurred_at")
    check_execution_id(request.event.execution_id)
    _check_interpretable(request.event)


def check_node_event(request: event_pb2.NodeExecutionEventRequest) -> None:
    """An event of a node."""
    _check_present(request, "event")
    _check_present(request.event, "id", "occurred_at")
    check_node_execution_id(request.event.id)
    _check_interpretable(request.event)


def check_task_event(request: event_pb2.TaskExecutionEventRequest) -> None:
    """An event of a task attempt."""
    _check_present(request, "event")
    _check_present(request.event, "task_id", "parent_node_execution_id", "occurred_at")
    check_id(request.event.task_id, ResourceType.TASK, "task_id")
    check_node_execution_id(request.event.parent_node_execution_id)
    _check_interpretable(request.event)


def check_domain(domain: str, known: Sequence[str]) -> None:
    """That this installation has the domain."""
    if domain not in known:
        raise InvalidRequest(f"domain [{domain}] is unrecognized by system")


def check_scope(project: str, domain: str) -> None:
    """The project and domain of a list request."""
    _refuse(_scope_problems(project, domain))


def check_limit(limit: int) -> None:
    """The length of a page."""
    if limit < 1:
        raise InvalidRequest.invalid("limit", "must be at least 1")


def _refuse(problems: Problems) -> None:
    if problems:
        raise InvalidRequest(*problems)


def _check_present(message: Message, *fields: str) -> None:
    for field in fields:
        if not message.HasField(field):
            raise InvalidRequest.missing(field)


def _check_interpretable(event: Message, path: str = "") -> None:
    """That every time in an event is one, and every value of an enum known."""
    field: Any
    value: Any
    for field, value in event.ListFields():
        name = f"{path}{field.name}"
        for each in value if field.is_repeated else (value,):
            if field.enum_type is not None and each not in field.enum_type.values_by_number:
                raise InvalidRequest.invalid(name, f"{each} is not known")
            if isinstance(each, timestamp_pb2.Timestamp):
                _check_time(each, name)
            elif isinstance(each, Message) and not isinstance(each, _DATA):
                _check_interpretable(each, f"{name}.")


def _check_time(time: timestamp_pb2.Timestamp, field: str) -> None:
    try:
        time.ToNanoseconds()
    except ValueError as error:
        raise InvalidRequest.invalid(field, "it is not within the years 1 to 9999") from error


def _scope_problems(project: str, domain: str, prefix: str = "") -> Problems:
    return _text_problems(f"{prefix}project", project) + _text_problems(f"{prefix}domain", domain)


def _text_problems(field: str, text: str) -> Problems:
    if not text:
        return [f"missing {field}"]
    problem = name_problem(text)
    return [f"invalid value for {field}: {problem}"] if problem else []


def _id_problems(
    id: identifier_pb2.Identifier, expected: "identifier_pb2.ResourceType.ValueType", field: str = "id"
) -> Problems:
    if id == identifier_pb2.Identifier():
        return [f"missing {field}"]
    problems: Problems = []
    if id.resource_type != expected:
        wanted, got = ResourceType.Name(expected), _resource_type_name(id.resource_type)
        shown = f"{id.project}:{id.domain}:{id.name}:{id.version}"
        problems.append(f"unexpected resource type {got} for identifier [{shown}], expected {wanted} instead")
    problems += _scope_problems(id.project, id.domain, f"{field}.")
    problems += _text_problems(f"{field}.name", id.name)
    problems += _text_problems(f"{field}.version", id.version)
    return problems


def _resource_type_name(value: int) -> str:
    known = identifier_pb2.ResourceType.DESCRIPTOR.values_by_number.get(value)
    return known.name.lower() if known is not None else str(value)


def _project_problems(project: project_pb2.Project) -> Problems:
    problems: Problems = []
    if not project.id:
        problems.append("missing project_id")
    elif problem := dns_label_problem(project.id):
        problems.append(f"invalid project id [{project.id}]: {problem}")
    if len(project.name) > PROJECT_NAME_CHARS_MAX:
        problems.append(f"project_name cannot exceed {PROJECT_NAME_CHARS_MAX} characters")
    if len(project.description) > PROJECT_DESCRIPTION_CHARS_MAX:
        problems.append(f"project_description cannot exceed {PROJECT_DESCRIPTION_CHARS_MAX} characters")
    if project.domains:
        problems.append(
            "domains are currently only set system wide. Please retry without domains included in your request."
        )
    return problems + _label_problems(project.labels.values)


def _label_problems(labels: Mapping[str, str]) -> Problems:
    problems: Problems = []
    if len(labels) > LABELS_MAX:
        problems.append(f"invalid value for labels: Label map size can't exceed {LABELS_MAX}")
    for key, value in sorted(labels.items()):
        if problem := label_key_problem(key):
            problems.append(f"invalid label key [{key}]: {problem}")
        if problem := label_value_problem(value):
            problems.append(f"invalid label value [{value}] of key [{key}]: {problem}")
    return problems


def _tag_problems(tags: Sequence[str]) -> Problems:
    if len(tags) > TAGS_MAX:
        return [f"invalid value for tags: there cannot be more than {TAGS_MAX}"]
    return [problem for index, tag in enumerate(tags) for problem in _text_problems(f"tags[{index}]", tag)]


def _literal_problems(values: literals_pb2.LiteralMap, field: str) -> Problems:
    return [
        f"missing valid literal in {field} {name}"
        for name, literal in sorted(values.literals.items(), key=_first)
        if not name or literal.WhichOneof("value") is None
    ]


def _parameter_problems(parameters: interface_pb2.ParameterMap) -> Problems:
    problems: Problems = []
    for name, parameter in sorted(parameters.parameters.items(), key=_first):
        if parameter.var.type.WhichOneof("type") is None:
            problems.append(f"The Variable component of the Parameter {name} in default_inputs is missing its Type")
            continue
        behavior = parameter.WhichOneof("behavior")
        if behavior in ("artifact_query", "artifact_id"):
            problems.append(f"invalid value for default_inputs {name}: artifacts are not supported")
        elif behavior is None or (behavior == "required" and not parameter.required):
            problems.append(
                f"Invalid variable {name} in default_inputs - variable has neither default, nor is required. "
                "One must be specified"
            )
        elif behavior == "default" and not accepts(parameter.var.type, parameter.default):
            problems.append(
                f"Type mismatch for Parameter {name} in default_inputs has type {describe(parameter.var.type)}, "
                f"default {describe(type_of(parameter.default))}"
            )
    return problems


def _first(item: tuple[str, object]) -> str:
    return item[0]
