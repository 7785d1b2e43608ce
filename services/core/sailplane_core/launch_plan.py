# pyright: reportDeprecated=false
# Fields that Flyte calls deprecated are what old clients still send.
"""Launch plans: what they expect of a caller, whether they fit their workflow, and the plan that every workflow has."""

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_protos.admin import launch_plan_pb2, schedule_pb2
from sailplane_protos.core import identifier_pb2, interface_pb2, literals_pb2, types_pb2
from sailplane_protos.scheduler import policies_pb2, queue_pb2

from . import concurrency, schedule_checks
from .errors import InvalidRequest
from .types import accepts, castable, describe, is_none, type_of


def default_spec(
    workflow_id: identifier_pb2.Identifier, interface: interface_pb2.TypedInterface
) -> launch_plan_pb2.LaunchPlanSpec:
    """The plan a workflow has when nobody registers one: nothing fixed, nothing scheduled.

    Inputs that may be None are None by default, as flytekit's own default plan has it.
    """
    spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow_id)
    spec.entity_metadata.SetInParent()
    for name, variable in interface.inputs.variables.items():
        none = none_variant(variable.type)
        if none is not None:
            parameter = spec.default_inputs.parameters[name]
            parameter.var.CopyFrom(variable)
            union = parameter.default.scalar.union
            union.value.scalar.none_type.SetInParent()
            union.type.CopyFrom(none)
    return spec


def none_variant(literal_type: types_pb2.LiteralType) -> types_pb2.LiteralType | None:
    """The variant of a union that stands for None; None if the type is no such union."""
    for variant in literal_type.union_type.variants:
        if is_none(variant):
            return variant
    return None


def expected_inputs(
    interface: interface_pb2.TypedInterface, spec: launch_plan_pb2.LaunchPlanSpec
) -> interface_pb2.ParameterMap:
    """What a launch must or may give: every workflow input that is not fixed, with its default or as required.

    An input that is fixed and has a default too is fixed. Raises `InvalidRequest` when a default or fixed input is
    not one of the workflow's, or of another type.
    """
    variables = interface.inputs.variables
    problems = _default_problems(variables, spec) + _fixed_problems(variables, spec)
    if problems:
        raise InvalidRequest(*problems)
    expected = interface_pb2.ParameterMap()
    for name, variable in variables.items():
        if name in spec.fixed_inputs.literals:
            continue
        if name in spec.default_inputs.parameters:
            expected.parameters[name].CopyFrom(spec.default_inputs.parameters[name])
        else:
            expected.parameters[name].var.CopyFrom(variable)
            expected.parameters[name].required = True
    return expected


def check_spec(spec: launch_plan_pb2.LaunchPlanSpec, expected: interface_pb2.ParameterMap) -> None:
    """Whether a plan can do what it says, given what it expects (`expected_inputs`). Raises `InvalidRequest`."""
    problems: list[str] = []
    schedule = spec.entity_metadata.schedule
    if spec.entity_metadata.HasField("schedule"):
        problems += _schedule_problems(schedule, expected)
    if spec.max_parallelism < 0:
        problems.append("invalid value for max_parallelism: must not be negative")
    if spec.HasField("concurrency_policy"):
        problems += concurrency.problems(spec.concurrency_policy)
        if schedule.overlap_policy > policies_pb2.OVERLAP_ALLOW:
            problems.append("invalid value for schedule.overlap_policy: concurrency_policy limits schedules already")
    if problems:
        raise InvalidRequest(*problems)


def augmented(
    id: identifier_pb2.Identifier,
    spec: launch_plan_pb2.LaunchPlanSpec,
    interface: interface_pb2.TypedInterface,
) -> launch_plan_pb2.LaunchPlan:
    """The launch plan as it is registered: checked, inactive, and with what it expects written into spec and closure.

    Times are left unset. Raises `InvalidRequest`.
    """
    expected = expected_inputs(interface, spec)
    check_spec(spec, expected)
    plan = launch_plan_pb2.LaunchPlan(id=id, spec=spec)
    plan.spec.default_inputs.CopyFrom(expected)
    plan.closure.state = launch_plan_pb2.INACTIVE
    plan.closure.expected_inputs.CopyFrom(expected)
    plan.closure.expected_outputs.CopyFrom(interface.outputs)
    return plan


def schedule_change(plan: launch_plan_pb2.LaunchPlan, changed_at: Timestamp) -> queue_pb2.ScheduleChange:
    """What a scheduler has to know of a plan that has a schedule, as it is since `changed_at`."""
    active = plan.closure.state == launch_plan_pb2.ACTIVE
    return queue_pb2.ScheduleChange(
        launch_plan_id=plan.id,
        schedule=plan.spec.entity_metadata.schedule,
        active=active,
        changed_at=changed_at,
        pause=plan.closure.schedule_pause if plan.closure.HasField("schedule_pause") else None,
        activated_at=plan.closure.updated_at if active else None,
    )


def _default_problems(
    variables: Mapping[str, interface_pb2.Variable], spec: launch_plan_pb2.LaunchPlanSpec
) -> list[str]:
    defaults = spec.default_inputs.parameters
    if defaults and not variables:
        return [f"invalid launch plan default inputs, expected none but found {len(defaults)}"]
    problems: list[str] = []
    for name in sorted(defaults):
        given = defaults[name].var.type
        if name not in variables:
            problems.append(f"unexpected default_input {name}")
        elif not castable(given, variables[name].type):
            wanted = describe(variables[name].type)
            problems.append(
                f"invalid default_input wrong type {name}, expected {wanted}, got {describe(given)} instead"
            )
    return problems


def _fixed_problems(variables: Mapping[str, interface_pb2.Variable], spec: launch_plan_pb2.LaunchPlanSpec) -> list[str]:
    fixed = spec.fixed_inputs.literals
    if fixed and not variables:
        return [f"invalid launch plan fixed inputs, expected none but found {len(fixed)}"]
    problems: list[str] = []
    for name in sorted(fixed):
        if name not in variables:
            problems.append(f"unexpected fixed_input {name}")
        elif not accepts(variables[name].type, fixed[name]):
            wanted, got = describe(variables[name].type), _type_text(fixed[name])
            problems.append(f"invalid fixed_input wrong type {name}, expected {wanted}, got {got} instead")
    return problems


def _type_text(literal: literals_pb2.Literal) -> str:
    return describe(type_of(literal))


def _schedule_problems(schedule: schedule_pb2.Schedule, expected: interface_pb2.ParameterMap) -> list[str]:
    kickoff = schedule.kickoff_time_input_arg
    problems = [
        f"Cannot create a launch plan with a schedule if there is an unbound required input. [{name}] is required"
        for name in sorted(expected.parameters)
        if expected.parameters[name].required and name != kickoff
    ]
    if kickoff:
        if kickoff not in expected.parameters:
            problems.append(
                "Cannot create a schedule with a KickoffTimeInputArg that does not point to a free input. "
                f"[{kickoff}] is not free or does not exist."
            )
        elif not _is_datetime(expected.parameters[kickoff].var.type):
            problems.append(
                "KickoffTimeInputArg must reference a datetime input. "
                f"[{kickoff}] is a [{describe(expected.parameters[kickoff].var.type)}]"
            )
    return problems + schedule_checks.problems(schedule)


def _is_datetime(literal_type: types_pb2.LiteralType) -> bool:
    return literal_type.WhichOneof("type") == "simple" and literal_type.simple == types_pb2.DATETIME
