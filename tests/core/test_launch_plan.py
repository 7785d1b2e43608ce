"""What a launch plan expects, and which plans are refused."""

from collections.abc import Callable

import pytest
from sailplane_core import launch_plan
from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import ResourceType
from sailplane_protos.admin import launch_plan_pb2, schedule_pb2
from sailplane_protos.core import identifier_pb2, interface_pb2, literals_pb2, types_pb2

WORKFLOW = identifier_pb2.Identifier(
    resource_type=ResourceType.WORKFLOW, project="p", domain="d", name="w", version="v"
)
ID = identifier_pb2.Identifier(resource_type=ResourceType.LAUNCH_PLAN, project="p", domain="d", name="l", version="v")
NONE = types_pb2.LiteralType(simple=types_pb2.NONE, structure=types_pb2.TypeStructure(tag="none"))


def interface() -> interface_pb2.TypedInterface:
    found = interface_pb2.TypedInterface()
    inputs = found.inputs.variables
    inputs["x"].type.simple = types_pb2.INTEGER
    inputs["y"].type.simple = types_pb2.STRING
    inputs["at"].type.simple = types_pb2.DATETIME
    inputs["maybe"].type.union_type.variants.add(simple=types_pb2.INTEGER)
    inputs["maybe"].type.union_type.variants.append(NONE)
    found.outputs.variables["o0"].type.simple = types_pb2.STRING
    return found


def integer(value: int) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    literal.scalar.primitive.integer = value
    return literal


def text(value: str) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    literal.scalar.primitive.string_value = value
    return literal


def bound() -> launch_plan_pb2.LaunchPlanSpec:
    """Only `at` is left to the caller; `maybe` is None unless given."""
    spec = launch_plan.default_spec(WORKFLOW, interface())
    spec.default_inputs.parameters["x"].var.type.simple = types_pb2.INTEGER
    spec.default_inputs.parameters["x"].default.CopyFrom(integer(7))
    spec.fixed_inputs.literals["y"].CopyFrom(text("fixed"))
    return spec


def test_the_default_plan_requires_everything_but_optional_inputs() -> None:
    spec = launch_plan.default_spec(WORKFLOW, interface())
    expected = launch_plan.expected_inputs(interface(), spec).parameters
    assert {name for name in expected if expected[name].required} == {"x", "y", "at"}
    none = expected["maybe"].default.scalar.union
    assert none.value.scalar.WhichOneof("value") == "none_type"
    assert none.type == NONE


def test_defaults_and_fixed_inputs() -> None:
    expected = launch_plan.expected_inputs(interface(), bound()).parameters
    assert set(expected) == {"x", "at", "maybe"}
    assert expected["x"].default == integer(7)
    assert expected["at"].required


def test_what_is_fixed_is_not_expected_even_with_a_default() -> None:
    spec = bound()
    spec.fixed_inputs.literals["x"].CopyFrom(integer(1))
    assert "x" not in launch_plan.expected_inputs(interface(), spec).parameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.fixed_inputs.literals["z"].CopyFrom(integer(1)), "unexpected fixed_input z"),
        (lambda s: s.fixed_inputs.literals["x"].CopyFrom(text("a")), "invalid fixed_input wrong type x"),
        (
            lambda s: s.default_inputs.parameters["z"].var.type.CopyFrom(types_pb2.LiteralType(simple=1)),
            "unexpected default_input z",
        ),
        (
            lambda s: s.default_inputs.parameters["x"].var.type.CopyFrom(types_pb2.LiteralType(simple=3)),
            "invalid default_input wrong type x",
        ),
    ],
)
def test_inputs_must_be_the_workflows(change: Callable[[launch_plan_pb2.LaunchPlanSpec], None], message: str) -> None:
    spec = bound()
    change(spec)
    with pytest.raises(InvalidRequest, match=message):
        launch_plan.expected_inputs(interface(), spec)


def test_a_workflow_without_inputs_takes_none() -> None:
    with pytest.raises(InvalidRequest) as refused:
        launch_plan.expected_inputs(interface_pb2.TypedInterface(), bound())
    assert refused.value.problems == (
        "invalid launch plan default inputs, expected none but found 2",
        "invalid launch plan fixed inputs, expected none but found 1",
    )


def test_the_registered_plan_carries_what_it_expects() -> None:
    plan = launch_plan.augmented(ID, bound(), interface())
    assert plan.id == ID
    assert plan.spec.default_inputs == plan.closure.expected_inputs
    assert set(plan.closure.expected_inputs.parameters) == {"x", "at", "maybe"}
    assert plan.closure.expected_outputs == interface().outputs
    assert plan.closure.state == launch_plan_pb2.INACTIVE


def test_a_plan_without_inputs_has_empty_maps_all_the_same() -> None:
    spec = launch_plan.default_spec(WORKFLOW, interface_pb2.TypedInterface())
    plan = launch_plan.augmented(ID, spec, interface_pb2.TypedInterface())
    assert plan.closure.HasField("expected_inputs")
    assert plan.closure.HasField("expected_outputs")


def cron(text: str, kickoff: str = "at") -> schedule_pb2.Schedule:
    return schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule=text), kickoff_time_input_arg=kickoff)


def rate(value: int, unit: int = 0) -> schedule_pb2.Schedule:
    schedule = schedule_pb2.Schedule(kickoff_time_input_arg="at")
    schedule.rate.value, schedule.rate.unit = value, unit  # type: ignore[assignment]
    return schedule


@pytest.mark.parametrize(
    "schedule",
    [
        cron("*/5 * * * *"),
        schedule_pb2.Schedule(cron_expression="0 0 * * *", kickoff_time_input_arg="at"),
        rate(1),
        rate(3, 2),
    ],
)
def test_schedules(schedule: schedule_pb2.Schedule) -> None:
    spec = bound()
    spec.entity_metadata.schedule.CopyFrom(schedule)
    launch_plan.check_spec(spec, launch_plan.expected_inputs(interface(), spec))


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (cron("0 0 * * *", kickoff=""), r"unbound required input. \[at\] is required"),
        (cron("0 0 * * *", kickoff="y"), r"\[y\] is not free or does not exist"),
        (cron("0 0 * * *", kickoff="nothing"), r"\[nothing\] is not free or does not exist"),
        (cron("0 0 * * *", kickoff="x"), "must reference a datetime input"),
        (cron("0 0 * * * *"), "is not a cron expression"),
        (cron(""), "is not a cron expression"),
        (schedule_pb2.Schedule(kickoff_time_input_arg="at"), "missing schedule expression"),
        (rate(0), "schedule.rate.value"),
        (rate(1, 9), "schedule.rate.unit"),
    ],
)
def test_schedules_that_could_never_fire(schedule: schedule_pb2.Schedule, message: str) -> None:
    spec = bound()
    spec.entity_metadata.schedule.CopyFrom(schedule)
    with pytest.raises(InvalidRequest, match=message):
        launch_plan.augmented(ID, spec, interface())


def test_limits_are_positive() -> None:
    spec = bound()
    spec.max_parallelism = -1
    spec.concurrency_policy.max = 0
    with pytest.raises(InvalidRequest) as refused:
        launch_plan.augmented(ID, spec, interface())
    assert len(refused.value.problems) == 2
