"""A request, a plan and the defaults settle an execution."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sailplane_core import launch
from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import ResourceType
from sailplane_core.launch_plan import augmented, default_spec
from sailplane_protos.admin import common_pb2, execution_pb2, launch_plan_pb2, matchable_resource_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_protos.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
WORKFLOW = identifier_pb2.Identifier(
    resource_type=ResourceType.WORKFLOW, project="p", domain="d", name="w", version="v"
)
PLAN = identifier_pb2.Identifier(resource_type=ResourceType.LAUNCH_PLAN, project="p", domain="d", name="w", version="v")
DEFAULTS = matchable_resource_pb2.WorkflowExecutionConfig(max_parallelism=25)
DEFAULTS.raw_output_data_config.output_location_prefix = "file:///raw"


def literal(value: int | str) -> literals_pb2.Literal:
    made = literals_pb2.Literal()
    if isinstance(value, int):
        made.scalar.primitive.integer = value
    else:
        made.scalar.primitive.string_value = value
    return made


def plan() -> launch_plan_pb2.LaunchPlan:
    interface = interface_pb2.TypedInterface()
    interface.inputs.variables["x"].type.simple = types_pb2.INTEGER
    interface.inputs.variables["y"].type.simple = types_pb2.INTEGER
    interface.inputs.variables["z"].type.simple = types_pb2.INTEGER
    interface.inputs.variables["colour"].type.enum_type.values.extend(["red", "blue"])
    spec = default_spec(WORKFLOW, interface)
    spec.default_inputs.parameters["y"].var.type.simple = types_pb2.INTEGER
    spec.default_inputs.parameters["y"].default.CopyFrom(literal(2))
    spec.default_inputs.parameters["colour"].var.CopyFrom(interface.inputs.variables["colour"])
    spec.default_inputs.parameters["colour"].default.CopyFrom(literal("red"))
    spec.fixed_inputs.literals["z"].CopyFrom(literal(3))
    return augmented(PLAN, spec, interface)


def request(**inputs: int | str) -> execution_pb2.ExecutionCreateRequest:
    made = execution_pb2.ExecutionCreateRequest(project="p", domain="d", name="e")
    made.spec.launch_plan.CopyFrom(PLAN)
    for name, value in inputs.items():
        made.inputs.literals[name].CopyFrom(literal(value))
    return made


def resolve(
    asked: execution_pb2.ExecutionCreateRequest, by: launch_plan_pb2.LaunchPlan | None = None, **more: Any
) -> launch.Launch:
    more = {"now": NOW, "namespace": "p-d", "project_labels": {}, "defaults": DEFAULTS, **more}
    return launch.resolve(asked, by or plan(), **more)


def test_inputs_are_completed() -> None:
    found = resolve(request(x=1))
    assert dict(found.inputs.literals) == {"x": literal(1), "y": literal(2), "z": literal(3), "colour": literal("red")}
    assert dict(found.user_inputs.literals) == {"x": literal(1)}


def test_given_inputs_win_over_defaults() -> None:
    assert resolve(request(x=1, y=5)).inputs.literals["y"] == literal(5)


def test_inputs_in_the_old_place_are_taken() -> None:
    asked = request()
    asked.spec.inputs.literals["x"].CopyFrom(literal(9))
    found = resolve(asked)
    assert found.inputs.literals["x"] == literal(9)
    assert not found.spec.HasField("inputs")
    assert asked.spec.HasField("inputs"), "the request is not changed"


@pytest.mark.parametrize(
    ("inputs", "problems"),
    [
        ({}, ["expected_inputs x missing"]),
        ({"x": 1, "w": 1}, ["invalid input w"]),
        ({"x": 1, "z": 1}, ["fixed_inputs z cannot be overridden"]),
        ({"x": "one"}, ["invalid x input wrong type. Expected integer, but got string"]),
        ({"x": 1, "colour": "green"}, ["invalid colour input: 'green' is not one of its values: red, blue"]),
        ({"a": 1, "z": 1}, ["invalid input a", "fixed_inputs z cannot be overridden", "expected_inputs x missing"]),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, int | str], problems: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolve(request(**inputs))
    assert [text.lower() for text in refused.value.problems] == [text.lower() for text in problems]


def test_the_first_layer_that_speaks_wins_field_by_field() -> None:
    asked, by = request(x=1), plan()
    workflow_level, project_level = (matchable_resource_pb2.WorkflowExecutionConfig() for _ in range(2))
    by.spec.max_parallelism = 7
    by.spec.labels.values["from"] = "plan"
    asked.spec.labels.values["asked"] = "yes"
    workflow_level.annotations.values["level"] = "workflow"
    workflow_level.max_parallelism = 99
    project_level.annotations.values["level"] = "project"
    project_level.envs.values.add(key="K", value="V")
    project_level.interruptible.value = False
    said = [
        matchable_resource_pb2.MatchingAttributes(workflow_execution_config=one)
        for one in (workflow_level, project_level)
    ]
    config = resolve(asked, by, attributes=said).config
    assert config.max_parallelism == 7
    assert config.labels == {"asked": "yes"}, "maps are taken whole"
    assert config.annotations == {"level": "workflow"}
    assert config.envs == {"K": "V"}
    assert config.interruptible is False
    assert config.raw_output_prefix == "file:///raw"
    assert config.overwrite_cache is False


def test_a_false_interruptible_hides_a_true_one_below() -> None:
    asked, by = request(x=1), plan()
    asked.spec.interruptible.value = False
    by.spec.interruptible.value = True
    assert resolve(asked, by).config.interruptible is False
    assert resolve(request(x=1), by).config.interruptible is True
    assert resolve(request(x=1)).config.interruptible is None


def test_any_layer_overwrites_the_cache() -> None:
    by = plan()
    by.spec.overwrite_cache = True
    assert resolve(request(x=1), by).config.overwrite_cache is True


def test_project_labels_lie_below_and_tags_can_be_searched() -> None:
    asked = request(x=1)
    asked.spec.labels.values["team"] = "mine"
    asked.spec.tags.append("nightly")
    found = resolve(asked, project_labels={"team": "project", "cost": "c1"})
    assert found.config.labels == {"team": "mine", "cost": "c1"}
    assert set(found.tags) == {("team", "mine"), ("cost", "c1"), ("nightly", "")}
    assert dict(found.spec.labels.values) == {"team": "mine"}


def test_the_identity_comes_from_the_newest_field_that_is_set() -> None:
    asked, by = request(x=1), plan()
    assert resolve(asked, by).config.security_context.run_as.k8s_service_account == ""
    by.spec.role = "role"
    assert resolve(asked, by).config.security_context.run_as.iam_role == "role"
    by.spec.auth.kubernetes_service_account = "auth"
    assert resolve(asked, by).config.security_context.run_as.k8s_service_account == "auth"
    by.spec.auth_role.kubernetes_service_account = "auth-role"
    assert resolve(asked, by).config.security_context.run_as.k8s_service_account == "auth-role"
    asked.spec.auth_role.kubernetes_service_account = "asked"
    assert resolve(asked, by).config.security_context.run_as.k8s_service_account == "asked"
    by.spec.security_context.run_as.k8s_service_account = "context"
    found = resolve(asked, by)
    assert found.config.security_context.run_as.k8s_service_account == "context"
    assert found.spec.security_context == found.config.security_context


def test_what_the_caller_says_about_itself_is_not_believed() -> None:
    asked = request(x=1)
    asked.spec.metadata.principal = "root"
    asked.spec.metadata.nesting = 17
    asked.spec.metadata.system_metadata.execution_cluster = "elsewhere"
    metadata = resolve(asked, principal="alice").spec.metadata
    assert (metadata.principal, metadata.nesting) == ("alice", 0)
    assert metadata.system_metadata == execution_pb2.SystemMetadata(namespace="p-d")


def test_a_child_takes_after_its_parent() -> None:
    parent = execution_pb2.ExecutionSpec()
    parent.metadata.principal, parent.metadata.nesting = "alice", 2
    parent.execution_cluster_label.value = "gpu"
    spec = resolve(request(x=1), principal="engine", parent=parent).spec
    assert (spec.metadata.principal, spec.metadata.nesting) == ("alice", 3)
    assert spec.execution_cluster_label.value == "gpu"


def notification(address: str) -> common_pb2.Notification:
    made = common_pb2.Notification(phases=[phases_pb2.WorkflowExecution.FAILED])
    made.email.recipients_email.append(address)
    return made


def test_notifications() -> None:
    asked, by = request(x=1), plan()
    by.spec.entity_metadata.notifications.append(notification("plan"))
    assert list(resolve(asked, by).closure.notifications) == [notification("plan")]
    asked.spec.disable_all = True
    assert list(resolve(asked, by).closure.notifications) == []
    asked.spec.notifications.notifications.append(notification("asked"))
    assert list(resolve(asked, by).closure.notifications) == [notification("asked")]
    asked.spec.notifications.ClearField("notifications")
    assert list(resolve(asked, by).closure.notifications) == [notification("plan")], "an empty list is as good as none"


def test_the_first_closure() -> None:
    closure = resolve(request(x=1)).closure
    assert closure.phase == phases_pb2.WorkflowExecution.UNDEFINED
    assert closure.created_at.ToDatetime(UTC) == closure.updated_at.ToDatetime(UTC) == NOW
    assert closure.workflow_id == WORKFLOW


def original() -> execution_pb2.Execution:
    spec = resolve(request(x=1)).spec
    spec.metadata.mode = execution_pb2.ExecutionMetadata.CHILD_WORKFLOW
    spec.metadata.parent_node_execution.node_id = "n0"
    spec.metadata.scheduled_at.FromDatetime(NOW)
    spec.overwrite_cache = True
    id = identifier_pb2.WorkflowExecutionIdentifier(project="p", domain="d", name="first")
    return execution_pb2.Execution(id=id, spec=spec)


def test_a_relaunch_repeats_what_was_asked() -> None:
    inputs = request(x=4).inputs
    asked = execution_pb2.ExecutionRelaunchRequest(name="again")
    create = launch.relaunch_request(original(), inputs, asked)
    assert (create.project, create.domain, create.name) == ("p", "d", "again")
    assert create.inputs == inputs
    assert create.spec.overwrite_cache is False
    asked.overwrite_cache = True
    assert launch.relaunch_request(original(), inputs, asked).spec.overwrite_cache is True
    metadata = create.spec.metadata
    assert metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    assert metadata.reference_execution.name == "first"
    assert not metadata.HasField("parent_node_execution")
    assert not metadata.HasField("scheduled_at")


def test_a_recovery_names_what_it_recovers_and_its_own_parent() -> None:
    asked = execution_pb2.ExecutionRecoverRequest(name="again")
    create = launch.recover_request(original(), request(x=4).inputs, asked)
    assert create.spec.metadata.mode == execution_pb2.ExecutionMetadata.RECOVERED
    assert create.spec.metadata.reference_execution.name == "first"
    assert create.spec.overwrite_cache is True
    assert not create.spec.metadata.HasField("parent_node_execution")
    asked.metadata.parent_node_execution.node_id = "n9"
    asked.metadata.principal = "root"
    create = launch.recover_request(original(), request(x=4).inputs, asked)
    assert create.spec.metadata.parent_node_execution.node_id == "n9"
    assert create.spec.metadata.principal == ""


def task() -> tasks_pb2.TaskTemplate:
    template = tasks_pb2.TaskTemplate(type="python-task")
    template.id.CopyFrom(PLAN)
    template.id.resource_type, template.id.name = ResourceType.TASK, "pkg.mod.Task_1"
    template.interface.inputs.variables["x"].type.simple = types_pb2.INTEGER
    template.interface.outputs.variables["o0"].type.simple = types_pb2.INTEGER
    return template


def test_a_workflow_around_a_single_task() -> None:
    workflow, spec = launch.single_task_workflow(task())
    assert workflow.id == identifier_pb2.Identifier(
        resource_type=ResourceType.WORKFLOW, project="p", domain="d", name=".flytegen.pkg.mod.Task_1", version="v"
    )
    assert spec.workflow_id == workflow.id
    assert workflow.interface == task().interface
    (node,) = workflow.nodes
    assert node.id == "pkgmodtask1"
    assert node.task_node.reference_id == task().id
    assert node.metadata.retries.retries == 3
    (given,) = node.inputs
    assert (given.var, given.binding.promise.node_id, given.binding.promise.var) == ("x", "", "x")
    (taken,) = workflow.outputs
    assert (taken.var, taken.binding.promise.node_id, taken.binding.promise.var) == ("o0", "pkgmodtask1", "o0")


def test_a_single_task_keeps_its_own_retries_and_timeout() -> None:
    template = task()
    template.metadata.retries.retries = 1
    template.metadata.timeout.seconds = 60
    (node,) = launch.single_task_workflow(template)[0].nodes
    assert node.metadata.retries.retries == 1
    assert node.metadata.timeout.seconds == 60


def test_a_single_task_is_launched_under_its_own_id() -> None:
    workflow, spec = launch.single_task_workflow(task())
    asked = request(x=1)
    asked.spec.launch_plan.CopyFrom(task().id)
    found = resolve(asked, augmented(PLAN, spec, workflow.interface))
    assert found.spec.launch_plan.resource_type == ResourceType.TASK
    assert found.closure.workflow_id == workflow.id
