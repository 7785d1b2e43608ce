"""Ill-formed requests are refused with the field's name in Flyte's words, and all faults at once."""

from collections.abc import Callable
from typing import Any

import pytest
from sailplane_core import validation
from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import ResourceType
from sailplane_protos.admin import event_pb2, execution_pb2, launch_plan_pb2, project_pb2, task_pb2, workflow_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_protos.core import identifier_pb2, types_pb2

TERMINAL = [phases_pb2.WorkflowExecution.FAILED]


def identifier(kind: "identifier_pb2.ResourceType.ValueType") -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(resource_type=kind, project="p", domain="development", name="n", version="v")


def task() -> task_pb2.TaskCreateRequest:
    request = task_pb2.TaskCreateRequest(id=identifier(ResourceType.TASK))
    request.spec.template.type = "python-task"
    request.spec.template.metadata.runtime.version = "1.16"
    request.spec.template.interface.SetInParent()
    return request


def workflow() -> workflow_pb2.WorkflowCreateRequest:
    request = workflow_pb2.WorkflowCreateRequest(id=identifier(ResourceType.WORKFLOW))
    request.spec.template.interface.SetInParent()
    return request


def plan() -> launch_plan_pb2.LaunchPlanCreateRequest:
    request = launch_plan_pb2.LaunchPlanCreateRequest(id=identifier(ResourceType.LAUNCH_PLAN))
    request.spec.workflow_id.CopyFrom(identifier(ResourceType.WORKFLOW))
    parameter = request.spec.default_inputs.parameters["x"]
    parameter.var.type.simple = types_pb2.INTEGER
    parameter.default.scalar.primitive.integer = 0
    notification = request.spec.entity_metadata.notifications.add(phases=TERMINAL)
    notification.email.recipients_email.append("someone@example.org")
    return request


def execution() -> execution_pb2.ExecutionCreateRequest:
    request = execution_pb2.ExecutionCreateRequest(project="p", domain="development", name="Name-1")
    request.spec.launch_plan.CopyFrom(identifier(ResourceType.LAUNCH_PLAN))
    request.inputs.literals["x"].scalar.primitive.integer = 1
    return request


def project() -> project_pb2.ProjectRegisterRequest:
    request = project_pb2.ProjectRegisterRequest()
    request.project.id, request.project.name = "my-project", "My project"
    return request


CASES: list[tuple[Callable[[], Any], Callable[[Any], None]]] = [
    (task, validation.check_task_create),
    (workflow, validation.check_workflow_create),
    (plan, validation.check_launch_plan_create),
    (execution, validation.check_execution_create),
    (project, validation.check_project_register),
]


@pytest.mark.parametrize(("make", "check"), CASES)
def test_a_good_request_passes(make: Callable[[], Any], check: Callable[[Any], None]) -> None:
    check(make())


@pytest.mark.parametrize(("make", "check"), CASES)
def test_an_empty_request_is_refused(make: Callable[[], Any], check: Callable[[Any], None]) -> None:
    with pytest.raises(InvalidRequest, match="missing"):
        check(type(make())())


def breaks(make: Callable[[], Any], change: Callable[[Any], object], text: str) -> Any:
    return pytest.param(make, change, text, id=f"{make.__name__}: {text}")


BREAKS = [
    breaks(task, lambda r: r.ClearField("id"), "missing id"),
    breaks(task, lambda r: r.id.ClearField("project"), "missing id.project"),
    breaks(task, lambda r: r.id.ClearField("version"), "missing id.version"),
    breaks(task, lambda r: setattr(r.id, "name", "x" * 256), "invalid value for id.name: cannot exceed 255 characters"),
    breaks(task, lambda r: setattr(r.id, "name", "a\0b"), "invalid value for id.name: must not contain control"),
    breaks(task, lambda r: setattr(r.id, "resource_type", 2), "unexpected resource type workflow for identifier"),
    breaks(task, lambda r: setattr(r.id, "resource_type", 99), "unexpected resource type 99 for identifier"),
    breaks(task, lambda r: r.spec.ClearField("template"), "missing spec.template"),
    breaks(task, lambda r: r.spec.template.ClearField("type"), "missing type"),
    breaks(task, lambda r: r.spec.template.ClearField("metadata"), "missing metadata"),
    breaks(task, lambda r: r.spec.template.metadata.runtime.ClearField("version"), "missing runtime version"),
    breaks(task, lambda r: r.spec.template.ClearField("interface"), "missing typed interface"),
    breaks(workflow, lambda r: r.spec.ClearField("template"), "missing spec.template"),
    breaks(plan, lambda r: r.spec.workflow_id.ClearField("name"), "missing spec.workflow_id.name"),
    breaks(plan, lambda r: r.spec.labels.values.update({"a b": "c"}), "invalid label key [a b]"),
    breaks(plan, lambda r: r.spec.labels.values.update({"a": "c d"}), "invalid label value [c d] of key [a]"),
    breaks(plan, lambda r: r.spec.labels.values.update({f"k{i}": "" for i in range(17)}), "can't exceed 16"),
    breaks(plan, lambda r: r.spec.fixed_inputs.literals["y"].SetInParent(), "missing valid literal in fixed_inputs y"),
    breaks(plan, lambda r: r.spec.default_inputs.parameters["x"].ClearField("var"), "missing its Type"),
    breaks(plan, lambda r: r.spec.default_inputs.parameters["x"].ClearField("default"), "neither default, nor is"),
    breaks(
        plan,
        lambda r: setattr(r.spec.default_inputs.parameters["x"].default.scalar.primitive, "string_value", "1"),
        "Type mismatch for Parameter x",
    ),
    breaks(
        plan,
        lambda r: r.spec.default_inputs.parameters["x"].artifact_query.SetInParent(),
        "artifacts are not supported",
    ),
    breaks(plan, lambda r: r.spec.entity_metadata.launch_conditions.SetInParent(), "launch_conditions"),
    breaks(
        plan,
        lambda r: r.spec.entity_metadata.notifications[0].phases.append(phases_pb2.WorkflowExecution.RUNNING),
        "invalid value for notifications[0].phases",
    ),
    breaks(
        plan,
        lambda r: r.spec.entity_metadata.notifications[0].ClearField("email"),
        "missing notifications[0].type",
    ),
    breaks(
        plan,
        lambda r: r.spec.entity_metadata.notifications[0].email.ClearField("recipients_email"),
        "missing notifications[0].email.recipients",
    ),
    breaks(
        plan,
        lambda r: r.spec.entity_metadata.notifications[0].email.recipients_email.append("a@b.org\r\nBcc: c@d.org"),
        "invalid value for notifications[0].email.recipients: must not contain control characters",
    ),
    breaks(execution, lambda r: r.ClearField("project"), "missing project"),
    breaks(execution, lambda r: setattr(r, "name", "1-no"), "invalid name format: 1-no"),
    breaks(execution, lambda r: setattr(r, "name", "n" * 64), "size of name exceeded length 63"),
    breaks(execution, lambda r: r.ClearField("spec"), "missing spec"),
    breaks(execution, lambda r: r.spec.ClearField("launch_plan"), "missing spec.launch_plan"),
    breaks(execution, lambda r: setattr(r.spec.launch_plan, "resource_type", 2), "unexpected resource type workflow"),
    breaks(execution, lambda r: r.inputs.literals["y"].SetInParent(), "missing valid literal in inputs y"),
    breaks(execution, lambda r: setattr(r.spec, "max_parallelism", -1), "invalid value for max_parallelism"),
    breaks(project, lambda r: setattr(r.project, "id", "No_Label"), "invalid project id [No_Label]"),
    breaks(project, lambda r: setattr(r.project, "name", "x" * 65), "project_name cannot exceed 64 characters"),
    breaks(project, lambda r: r.project.ClearField("name"), "missing project_name"),
    breaks(project, lambda r: setattr(r.project, "description", "x" * 301), "project_description cannot exceed 300"),
    breaks(project, lambda r: r.project.domains.add(id="d"), "domains are currently only set system wide"),
]


@pytest.mark.parametrize(("make", "change", "text"), BREAKS)
def test_each_fault_is_named(make: Callable[[], Any], change: Callable[[Any], object], text: str) -> None:
    request = make()
    change(request)
    with pytest.raises(InvalidRequest) as refused:
        dict(CASES)[make](request)
    assert text in str(refused.value)


def test_all_faults_are_named_at_once() -> None:
    request = task()
    request.id.ClearField("project")
    request.spec.template.ClearField("type")
    with pytest.raises(InvalidRequest) as refused:
        validation.check_task_create(request)
    assert refused.value.problems == ("missing id.project", "missing type")


def test_a_single_task_can_be_launched() -> None:
    request = execution()
    request.spec.launch_plan.resource_type = ResourceType.TASK
    validation.check_execution_create(request)


def test_names_may_be_nearly_anything() -> None:
    request = task()
    request.id.name, request.id.version = "pkg.mod.größe / 1", "a=b+c"
    validation.check_task_create(request)


def test_a_domain_must_be_known() -> None:
    validation.check_domain("development", ["development"])
    with pytest.raises(InvalidRequest, match=r"domain \[x\] is unrecognized by system"):
        validation.check_domain("x", ["development"])


def test_a_page_has_rows() -> None:
    validation.check_limit(1)
    with pytest.raises(InvalidRequest, match="invalid value for limit"):
        validation.check_limit(0)


def test_events_need_their_ids_and_times() -> None:
    request = event_pb2.TaskExecutionEventRequest()
    wanted = ["event", "task_id", "parent_node_execution_id", "occurred_at"]
    steps: list[Callable[[], object]] = [
        request.event.SetInParent,
        lambda: request.event.task_id.CopyFrom(identifier(ResourceType.TASK)),
        lambda: request.event.parent_node_execution_id.SetInParent(),
        lambda: request.event.occurred_at.GetCurrentTime(),
    ]
    for field, step in zip(wanted, steps, strict=True):
        with pytest.raises(InvalidRequest, match=f"missing {field}"):
            validation.check_task_event(request)
        step()
    with pytest.raises(InvalidRequest, match="missing execution_id"):
        validation.check_task_event(request)
    node = request.event.parent_node_execution_id
    node.execution_id.project, node.execution_id.domain, node.execution_id.name = "p", "d", "e"
    with pytest.raises(InvalidRequest, match="missing node_id"):
        validation.check_task_event(request)
    node.node_id = "n0"
    validation.check_task_event(request)


def test_events_make_sense_in_what_is_interpreted() -> None:
    request = event_pb2.TaskExecutionEventRequest()
    event = request.event
    event.task_id.CopyFrom(identifier(ResourceType.TASK))
    node = event.parent_node_execution_id
    node.node_id = "n0"
    node.execution_id.project, node.execution_id.domain, node.execution_id.name = "p", "d", "e"
    event.occurred_at.seconds = 253_402_300_799
    event.custom_info["number"] = 99
    event.input_data.literals["when"].scalar.primitive.datetime.seconds = 2**62
    validation.check_task_event(request)
    wrong: list[tuple[str, Callable[[event_pb2.TaskExecutionEventRequest], object]]] = [
        ("occurred_at", lambda it: setattr(it.event.occurred_at, "seconds", 2**62)),
        ("occurred_at", lambda it: setattr(it.event.occurred_at, "nanos", -1)),
        ("reported_at", lambda it: setattr(it.event.reported_at, "seconds", -(2**62))),
        ("reasons.occurred_at", lambda it: setattr(it.event.reasons.add().occurred_at, "nanos", -1)),
        ("phase", lambda it: setattr(it.event, "phase", 99)),
        ("error.kind", lambda it: setattr(it.event.error, "kind", 99)),
        ("metadata.external_resources.phase", lambda it: it.event.metadata.external_resources.add(phase=99)),
    ]
    for field, spoil in wrong:
        spoilt = event_pb2.TaskExecutionEventRequest()
        spoilt.CopyFrom(request)
        spoil(spoilt)
        with pytest.raises(InvalidRequest, match=f"^invalid value for {field}: "):
            validation.check_task_event(spoilt)
