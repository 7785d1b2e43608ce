"""Bad requests about projects, tasks, workflows, launch plans and names."""

from collections.abc import Iterator

from flyteidl.admin import common_pb2, launch_plan_pb2, project_pb2, schedule_pb2, task_pb2, workflow_pb2
from flyteidl.core import execution_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2
from google.protobuf import struct_pb2
from grpc import StatusCode
from wire import good
from wire.bad import Bad, bad

INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
TEXT = types_pb2.LiteralType(simple=types_pb2.STRING)
LONG = "x" * 256
LABELS = {f"l{number}": "" for number in range(17)}

NOT_FOUND, EXISTS = StatusCode.NOT_FOUND, StatusCode.ALREADY_EXISTS


def identifiers(method: str, path: str, wrong: int, called: str = "") -> Iterator[Bad]:
    """What can be wrong with a full identifier at `path`, which messages call so unless by another name.

    `wrong` is the type of something else.
    """
    yield bad(method, path)
    yield bad(method, f"{path}.resource_type", wrong, "unexpected resource type")
    for part in ("project", "domain", "name", "version"):
        field = f"{called or path}.{part}"
        yield bad(method, f"{path}.{part}", None, f"missing {field}")
        yield bad(method, f"{path}.{part}", LONG, f"invalid value for {field}")
        yield bad(method, f"{path}.{part}", "a\nb", f"invalid value for {field}")


def scopes(method: str) -> Iterator[Bad]:
    """Something can be registered only in a project and a domain that there are."""
    yield bad(method, "id.project", "nowhere", "project [nowhere] is not registered")
    yield bad(method, "id.project", good.ARCHIVED, f"project [{good.ARCHIVED}] is not active")
    yield bad(method, "id.domain", "nowhere", "domain [nowhere]")


def project(method: str, prefix: str) -> Iterator[Bad]:
    """What can be wrong with a project."""
    for id in ("UPPER", "a b", "-a", "a.b", "ä", "x" * 64, "a\0b"):
        yield bad(method, f"{prefix}id", id, "project id")
    yield bad(method, f"{prefix}id", None, "missing project_id")
    yield bad(method, f"{prefix}name", "x" * 65, "project_name cannot exceed 64 characters")
    yield bad(method, f"{prefix}description", "x" * 301, "project_description cannot exceed 300 characters")
    yield bad(method, f"{prefix}labels.values", LABELS, "labels")
    yield bad(method, f"{prefix}labels.values", {"-": "a"}, "label key [-]")
    yield bad(method, f"{prefix}labels.values", {"a": "b c"}, "label value [b c] of key [a]")
    yield bad(method, f"{prefix}domains", [project_pb2.Domain(id="development")], "domains are")
    yield bad(method, f"{prefix}state", 99)


PROJECTS = [
    bad("RegisterProject", "project"),
    *project("RegisterProject", "project."),
    bad("RegisterProject", "project.name", None, "missing project_name"),
    bad("RegisterProject", "project.id", good.PROJECT, "flytesnacks", EXISTS),
    *project("UpdateProject", ""),
    bad("UpdateProject", "id", "nowhere", "nowhere", NOT_FOUND),
    bad("GetProject", "id", None, "missing project_id"),
    bad("GetProject", "id", "nowhere", "nowhere", NOT_FOUND),
]


def again(other: str) -> task_pb2.TaskCreateRequest:
    """The registered task, or with `other` something else under its id."""
    request = good.task()
    request.id.name = "t"
    request.spec.template.container.command[:] = ["sh", "-c", f"exec sleep {{{{.inputs.node}}}}{other}"]
    request.spec.description.short_description = "sleeps"
    return request


def pod(**fields: object) -> tasks_pb2.K8sPod:
    """A Pod with such a spec."""
    spec = struct_pb2.Struct()
    spec.update(fields)
    return tasks_pb2.K8sPod(pod_spec=spec)


def amount(value: str) -> list[tasks_pb2.Resources.ResourceEntry]:
    """So much of a CPU."""
    return [tasks_pb2.Resources.ResourceEntry(name=tasks_pb2.Resources.CPU, value=value)]


TASKS = [
    *identifiers("CreateTask", "id", good.WORKFLOW),
    *scopes("CreateTask"),
    bad("CreateTask", "id.resource_type", 99, "unexpected resource type 99"),
    bad("CreateTask", "spec"),
    bad("CreateTask", "spec.template"),
    bad("CreateTask", "spec.template.type", None, "missing type"),
    bad("CreateTask", "spec.template.metadata"),
    bad("CreateTask", "spec.template.metadata.runtime.version", None, "missing runtime version"),
    bad("CreateTask", "spec.template.interface"),
    bad("CreateTask", "spec.template.interface.inputs.variables", {"a": interface_pb2.Variable()}, "a"),
    bad("CreateTask", "spec.template.container.image"),
    bad("CreateTask", "spec.template.container.command", None, "command"),
    bad("CreateTask", "spec.template.container.resources.requests", amount("much"), "request of cpu"),
    bad("CreateTask", "spec.template.container.resources.limits", amount("-1"), "limit of cpu"),
    bad("CreateTask", "spec.template.k8s_pod", tasks_pb2.K8sPod(primary_container_name="a"), "k8s_pod"),
    bad("CreateTask", "spec.template.k8s_pod", pod(containers=[]), "container"),
    bad("CreateTask", "spec.template.k8s_pod", pod(containers=[{"name": "A b"}]), "name of a container"),
    bad("CreateTask", "spec.template.k8s_pod", pod(containers=[{"name": "a"}, {"name": "b"}]), "primary container"),
    bad("CreateTask", "spec.description.short_description", LONG),
    bad("CreateTask", "", says="identical structure", code=EXISTS, of=lambda: again("")),
    bad("CreateTask", "", says="different structure", of=lambda: again("0")),
    *identifiers("GetTask", "id", good.WORKFLOW),
    bad("GetTask", "id.name", "none", "missing entity of type TASK", NOT_FOUND),
]


def nodes(*given: core_workflow_pb2.Node) -> workflow_pb2.WorkflowCreateRequest:
    """The good workflow with these nodes."""
    return good.spoiled(good.workflow(), "spec.template.nodes", list(given))


def node(id: str = "n0", *, after: str = "", value: bool = True, task: str = "t") -> core_workflow_pb2.Node:
    """A node of the task."""
    made = core_workflow_pb2.Node(id=id, upstream_node_ids=[after] if after else [])
    made.task_node.reference_id.CopyFrom(good.id_of(good.TASK, task))
    if value:
        scalar = good.integer().scalar
        made.inputs.append(literals_pb2.Binding(var="node", binding=literals_pb2.BindingData(scalar=scalar)))
    return made


def of_plan(name: str) -> core_workflow_pb2.Node:
    """A node that launches a plan."""
    made = core_workflow_pb2.Node(id="n0")
    made.workflow_node.launchplan_ref.CopyFrom(good.id_of(good.LAUNCH_PLAN, name))
    return made


def of_subworkflow(name: str) -> core_workflow_pb2.Node:
    """A node that runs a workflow in place."""
    made = core_workflow_pb2.Node(id="n0")
    made.workflow_node.sub_workflow_ref.CopyFrom(good.id_of(good.WORKFLOW, name))
    return made


def promised(from_node: str, var: str) -> core_workflow_pb2.Node:
    """A node whose input is another's output."""
    made = node(value=False)
    promise = literals_pb2.BindingData(promise=types_pb2.OutputReference(node_id=from_node, var=var))
    made.inputs.append(literals_pb2.Binding(var="node", binding=promise))
    return made


def texted() -> core_workflow_pb2.Node:
    """A node that is given a text for a number."""
    made = node()
    made.inputs[0].binding.scalar.primitive.string_value = "one"
    return made


def workflow_again(value: int) -> workflow_pb2.WorkflowCreateRequest:
    """The registered workflow, or with another value something else under its id."""
    request = good.workflow()
    request.id.name = "w"
    request.spec.template.nodes[0].inputs[0].binding.scalar.primitive.integer = value
    return request


def uncompiled(code: str, *given: core_workflow_pb2.Node) -> Bad:
    """The good workflow with these nodes, which the compiler finds something wrong with."""
    return Bad("CreateWorkflow", lambda: nodes(*given), f"Code: {code}", StatusCode.INVALID_ARGUMENT, code)


WORKFLOWS = [
    *identifiers("CreateWorkflow", "id", good.TASK),
    *scopes("CreateWorkflow"),
    bad("CreateWorkflow", "spec"),
    bad("CreateWorkflow", "spec.template"),
    bad("CreateWorkflow", "spec.description.short_description", LONG),
    uncompiled("NoNodesFound"),
    uncompiled("TaskReferenceNotFound", node(task="none")),
    uncompiled("WorkflowReferenceNotFound", of_plan("none")),
    uncompiled("WorkflowReferenceNotFound", of_subworkflow("none")),
    uncompiled("ValueRequired", core_workflow_pb2.Node(id="n0")),
    uncompiled("DuplicateId", node(), node()),
    uncompiled("DuplicateId", node("start-node")),
    uncompiled("ParameterNotBound", node(value=False)),
    uncompiled("MismatchingTypes", texted()),
    uncompiled("NodeReferenceNotFound", node(after="none")),
    uncompiled("NodeReferenceNotFound", promised("none", "o0")),
    uncompiled("VariableNameNotFound", promised("", "none")),
    uncompiled("CycleDetected", node("a", after="b"), node("b", after="a")),
    bad("CreateWorkflow", "", says="identical structure", code=EXISTS, of=lambda: workflow_again(0)),
    bad("CreateWorkflow", "", says="different structure", of=lambda: workflow_again(5)),
    *identifiers("GetWorkflow", "id", good.TASK),
    bad("GetWorkflow", "id.name", "none", "missing entity of type WORKFLOW", NOT_FOUND),
]


def with_schedule(**fields: object) -> launch_plan_pb2.LaunchPlanCreateRequest:
    """The good plan with another schedule."""
    return good.spoiled(good.launch_plan(), "spec.entity_metadata.schedule", schedule_pb2.Schedule(**fields))


def unscheduled(says: str, **fields: object) -> Bad:
    """A plan with a schedule that cannot be."""
    return bad("CreateLaunchPlan", "", says=says, of=lambda: with_schedule(**fields))


def parameter(**fields: object) -> dict[str, interface_pb2.Parameter]:
    """A default input called `a`."""
    return {"a": interface_pb2.Parameter(**fields)}


def notification(**fields: object) -> list[common_pb2.Notification]:
    """One."""
    return [common_pb2.Notification(**fields)]


MAIL = common_pb2.EmailNotification(recipients_email=["a@b"])
ENDED = [execution_pb2.WorkflowExecution.FAILED]

NOTIFICATIONS = {
    "notifications[0].type": notification(phases=ENDED),
    "notifications[0].email.recipients": notification(phases=ENDED, email=common_pb2.EmailNotification()),
    "notifications[0].phases": notification(email=MAIL),
    "notifications[0].email.recipients: must not contain": notification(
        phases=ENDED, email=common_pb2.EmailNotification(recipients_email=["a@b\r\nBcc: c@d"])
    ),
    "notifications[0].slack.recipients: must not be longer": notification(
        phases=ENDED, slack=common_pb2.SlackNotification(recipients_email=["a" * 321])
    ),
    "notifications: must not name more": notification(
        phases=ENDED, email=common_pb2.EmailNotification(recipients_email=[f"a{n}@b" for n in range(101)])
    ),
    "notifications[0].pager_duty.template: there is no template [none]": notification(
        phases=ENDED, pager_duty=common_pb2.PagerDutyNotification(recipients_email=["a@b"], template="none")
    ),
    "notifications[0].phases: only": notification(email=MAIL, phases=[execution_pb2.WorkflowExecution.RUNNING]),
}
"""By what they are told, notifications that could never be sent."""


def plan_again(expression: str) -> launch_plan_pb2.LaunchPlanCreateRequest:
    """The registered plan, or with another schedule something else under its id."""
    request = good.launch_plan()
    request.id.name = "active"
    request.spec.entity_metadata.schedule.cron_schedule.schedule = expression
    return request


LAUNCH_PLANS = [
    *identifiers("CreateLaunchPlan", "id", good.TASK),
    *identifiers("CreateLaunchPlan", "spec.workflow_id", good.TASK),
    *scopes("CreateLaunchPlan"),
    bad("CreateLaunchPlan", "spec"),
    bad("CreateLaunchPlan", "spec.workflow_id.name", "none", "missing entity of type WORKFLOW", NOT_FOUND),
    bad("CreateLaunchPlan", "spec.labels.values", LABELS, "labels"),
    bad("CreateLaunchPlan", "spec.labels.values", {"a/b/c": ""}, "label key [a/b/c]"),
    bad("CreateLaunchPlan", "spec.fixed_inputs.literals", {"a": literals_pb2.Literal()}, "fixed_inputs a"),
    bad("CreateLaunchPlan", "spec.fixed_inputs.literals", {"a": good.integer()}, "fixed inputs"),
    bad(
        "CreateLaunchPlan", "spec.default_inputs.parameters", parameter(required=True), "Parameter a in default_inputs"
    ),
    bad(
        "CreateLaunchPlan",
        "spec.default_inputs.parameters",
        parameter(var=interface_pb2.Variable(type=INTEGER)),
        "variable a in default_inputs",
    ),
    bad(
        "CreateLaunchPlan",
        "spec.default_inputs.parameters",
        parameter(var=interface_pb2.Variable(type=TEXT), default=good.integer()),
        "Parameter a in default_inputs",
    ),
    bad(
        "CreateLaunchPlan",
        "spec.default_inputs.parameters",
        parameter(var=interface_pb2.Variable(type=INTEGER), default=good.integer()),
        "default inputs",
    ),
    bad("CreateLaunchPlan", "spec.max_parallelism", -1),
    bad("CreateLaunchPlan", "spec.concurrency_policy.max", -1, "concurrency_policy.max"),
    bad("CreateLaunchPlan", "spec.concurrency_policy.behavior", 7, "concurrency_policy.behavior"),
    bad("CreateLaunchPlan", "spec.concurrency_policy.behavior", 1003, "concurrency_policy.behavior"),
    bad("CreateLaunchPlan", "spec.entity_metadata.launch_conditions.type_url", "x", "launch_conditions"),
    unscheduled("schedule expression"),
    unscheduled("schedule", cron_schedule=schedule_pb2.CronSchedule(schedule="every day")),
    unscheduled("schedule", cron_schedule=schedule_pb2.CronSchedule()),
    unscheduled("schedule", cron_expression="61 * * * *"),
    unscheduled("schedule.rate.value", rate=schedule_pb2.FixedRate()),
    unscheduled("schedule.rate.unit", rate=schedule_pb2.FixedRate(value=1, unit=99)),
    unscheduled("KickoffTimeInputArg", rate=schedule_pb2.FixedRate(value=1), kickoff_time_input_arg="none"),
    *(
        bad("CreateLaunchPlan", "spec.entity_metadata.notifications", given, says)
        for says, given in NOTIFICATIONS.items()
    ),
    bad("CreateLaunchPlan", "", says="identical structure", code=EXISTS, of=lambda: plan_again("0 0 29 2 *")),
    bad("CreateLaunchPlan", "", says="different structure", of=lambda: plan_again("1 0 29 2 *")),
    *identifiers("UpdateLaunchPlan", "id", good.TASK),
    bad("UpdateLaunchPlan", "state", 99),
    bad("UpdateLaunchPlan", "id.version", "none", "missing entity of type LAUNCH_PLAN", NOT_FOUND),
    *identifiers("GetLaunchPlan", "id", good.TASK),
    bad("GetLaunchPlan", "id.name", "none", "missing entity of type LAUNCH_PLAN", NOT_FOUND),
    bad("GetActiveLaunchPlan", "id", None, "missing project"),
    *(bad("GetActiveLaunchPlan", f"id.{part}", None, f"missing {part}") for part in ("project", "domain", "name")),
    bad("GetActiveLaunchPlan", "id.name", "w", "w", NOT_FOUND),
]

NAMES = [
    *(
        bad(method, path, value, says or path.rpartition(".")[2], code)
        for method in ("GetNamedEntity", "UpdateNamedEntity")
        for path, value, says, code in (
            ("resource_type", None, "missing resource_type", StatusCode.INVALID_ARGUMENT),
            ("resource_type", 99, "", StatusCode.INVALID_ARGUMENT),
            ("resource_type", 4, "", StatusCode.INVALID_ARGUMENT),  # a data set
            ("id", None, "missing project", StatusCode.INVALID_ARGUMENT),
            ("id.project", None, "missing project", StatusCode.INVALID_ARGUMENT),
            ("id.domain", None, "missing domain", StatusCode.INVALID_ARGUMENT),
            ("id.name", None, "missing name", StatusCode.INVALID_ARGUMENT),
            ("id.name", "none", "none", NOT_FOUND),
        )
    ),
    bad("UpdateNamedEntity", "metadata"),
    bad("UpdateNamedEntity", "metadata.description", "x" * 301),
    bad("UpdateNamedEntity", "metadata.state", 99),
    *(bad("GetDescriptionEntity", f"id.{part}") for part in ("resource_type", "project", "domain", "name", "version")),
    bad("GetDescriptionEntity", "id.resource_type", 99),
    bad("GetDescriptionEntity", "id.name", "none", "none", NOT_FOUND),
    bad("ListDescriptionEntities", "resource_type"),
    bad("ListDescriptionEntities", "resource_type", 99),
    bad("ListDescriptionEntities", "id.name", None, "missing name"),
    bad("ListNamedEntities", "resource_type"),
    bad("ListNamedEntities", "resource_type", 99),
]

CASES = [*PROJECTS, *TASKS, *WORKFLOWS, *LAUNCH_PLANS, *NAMES]
