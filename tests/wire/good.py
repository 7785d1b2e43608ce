"""A small world, a good request about it for every RPC, and how to spoil one.

What a bad request gets can only be told when all the rest of it is good. So each begins as one of `REQUESTS`, all of
which are answered in a world made by `build`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from compat import raw
from compat.plane import Plane
from flyteidl.admin import (
    common_pb2,
    description_entity_pb2,
    event_pb2,
    execution_pb2,
    launch_plan_pb2,
    matchable_resource_pb2,
    node_execution_pb2,
    project_attributes_pb2,
    project_domain_attributes_pb2,
    project_pb2,
    signal_pb2,
    task_execution_pb2,
    task_pb2,
    version_pb2,
    workflow_attributes_pb2,
    workflow_pb2,
)
from flyteidl.core import execution_pb2 as phases_pb2
from flyteidl.core import identifier_pb2, literals_pb2, types_pb2
from flyteidl.service import dataproxy_pb2, signal_pb2_grpc
from google.protobuf.message import Message
from grpc import insecure_channel
from sailplane_protos.core import identifier_pb2 as our_identifier_pb2
from sailplane_protos.watch import service_pb2 as watch_pb2

M = TypeVar("M", bound=Message)

PROJECT, DOMAIN, VERSION = raw.PROJECT, raw.DOMAIN, "v1"
TASK, WORKFLOW, LAUNCH_PLAN = identifier_pb2.TASK, identifier_pb2.WORKFLOW, identifier_pb2.LAUNCH_PLAN
ARCHIVED = "archived"
"""A project that is."""
DONE, RUNNING = "done", "running"
"""Two executions: one has succeeded, one runs until it is told to stop."""
SIGNAL = "approval"
"""A signal that gates of both have asked for."""
MD5 = b"0123456789abcdef"

CREATES = (
    *("RegisterProject", "CreateTask", "CreateWorkflow", "CreateLaunchPlan", "CreateExecution"),
    *("RelaunchExecution", "RecoverExecution", "CreateWorkflowEvent", "CreateNodeEvent", "CreateTaskEvent"),
)
"""These answer once; after that it is there."""


def build(plane: Plane) -> None:
    """Projects with attributes, a task, a workflow with its plan, an active plan, two executions with a signal each."""
    stub = raw.admin(plane)
    project = project_pb2.Project(id=ARCHIVED, name=ARCHIVED)
    stub.RegisterProject(project_pb2.ProjectRegisterRequest(project=project))
    stub.UpdateProject(project_pb2.Project(id=ARCHIVED, state=project_pb2.Project.ARCHIVED))
    task = raw.task_request("t", VERSION, ["sh", "-c", "exec sleep {{.inputs.node}}"], ["node"])
    task.spec.description.short_description = "sleeps"
    stub.CreateTask(task)
    stub.CreateWorkflow(raw.workflow_request("w", VERSION, "t", [[], [0]]))
    slow = raw.workflow_request("slow", VERSION, "t", [[]])
    slow.spec.template.nodes[0].inputs[0].binding.scalar.primitive.integer = 600
    stub.CreateWorkflow(slow)
    plan = launch_plan()
    plan.id.name = "active"
    stub.CreateLaunchPlan(plan)
    stub.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=plan.id, state=launch_plan_pb2.ACTIVE))
    for level in ("Project", "ProjectDomain", "Workflow"):
        update = f"Update{level}Attributes"
        getattr(stub, update)(REQUESTS[update]())
    raw.start(plane, VERSION, DONE, "w")
    raw.start(plane, VERSION, RUNNING, "slow")
    assert raw.wait_all(plane, [DONE], 30) == {DONE: "SUCCEEDED"}
    deadline = time.monotonic() + 30
    while raw.nodes(plane, RUNNING).get("n0") != "RUNNING":
        assert time.monotonic() < deadline, plane.tail()
        time.sleep(0.02)
    with insecure_channel(plane.grpc) as channel:
        signals = signal_pb2_grpc.SignalServiceStub(channel)
        for execution_name in (DONE, RUNNING):
            signals.GetOrCreateSignal(signal(execution_name))


def leave(plane: Plane) -> None:
    """Stop what runs."""
    if raw.get(plane, RUNNING).closure.phase == phases_pb2.WorkflowExecution.RUNNING:
        raw.admin(plane).TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=execution_id(RUNNING)))
    raw.wait(plane, RUNNING)


# Identifiers


def id_of(kind: int, name: str) -> identifier_pb2.Identifier:
    """Of the one version."""
    return raw.identifier(kind, name, VERSION)


def execution_id(name: str = DONE) -> identifier_pb2.WorkflowExecutionIdentifier:
    """Of one of the executions."""
    return identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)


def node_id(execution: str = DONE) -> identifier_pb2.NodeExecutionIdentifier:
    """Of its first node."""
    return identifier_pb2.NodeExecutionIdentifier(node_id="n0", execution_id=execution_id(execution))


def attempt_id(execution: str = DONE) -> identifier_pb2.TaskExecutionIdentifier:
    """Of that node's first attempt."""
    return identifier_pb2.TaskExecutionIdentifier(task_id=id_of(TASK, "t"), node_execution_id=node_id(execution))


def named(name: str = "w") -> common_pb2.NamedEntityIdentifier:
    """Of a name."""
    return common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name)


# Requests


def task() -> task_pb2.TaskCreateRequest:
    """A container task."""
    return raw.task_request("t2", VERSION, ["true"], ["node"])


def workflow() -> workflow_pb2.WorkflowCreateRequest:
    """A workflow of two nodes."""
    return raw.workflow_request("w2", VERSION, "t", [[], [0]])


def launch_plan() -> launch_plan_pb2.LaunchPlanCreateRequest:
    """A plan with a schedule, which is years away."""
    plan = launch_plan_pb2.LaunchPlanCreateRequest(id=id_of(LAUNCH_PLAN, "p2"))
    plan.spec.workflow_id.CopyFrom(id_of(WORKFLOW, "w"))
    plan.spec.entity_metadata.schedule.cron_schedule.schedule = "0 0 29 2 *"
    return plan


def execution() -> execution_pb2.ExecutionCreateRequest:
    """An execution of the workflow's own plan."""
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, name="x2")
    request.spec.launch_plan.CopyFrom(id_of(LAUNCH_PLAN, "w"))
    return request


def task_alone() -> execution_pb2.ExecutionCreateRequest:
    """An execution of the task by itself, which has an input."""
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, name="x3")
    request.spec.launch_plan.CopyFrom(id_of(TASK, "t"))
    request.inputs.literals["node"].scalar.primitive.integer = 0
    return request


def workflow_event() -> event_pb2.WorkflowExecutionEventRequest:
    """The running execution is about to fail."""
    request = event_pb2.WorkflowExecutionEventRequest(request_id="r")
    request.event.execution_id.CopyFrom(execution_id(RUNNING))
    request.event.phase = phases_pb2.WorkflowExecution.FAILING
    request.event.occurred_at.GetCurrentTime()
    return request


def node_event() -> event_pb2.NodeExecutionEventRequest:
    """A node of it that was never heard of begins."""
    request = event_pb2.NodeExecutionEventRequest(request_id="r")
    request.event.id.CopyFrom(node_id(RUNNING))
    request.event.id.node_id = "n9"
    request.event.phase = phases_pb2.NodeExecution.RUNNING
    request.event.occurred_at.GetCurrentTime()
    return request


def task_event() -> event_pb2.TaskExecutionEventRequest:
    """Another attempt of its node begins."""
    request = event_pb2.TaskExecutionEventRequest(request_id="r")
    request.event.task_id.CopyFrom(id_of(TASK, "t"))
    request.event.parent_node_execution_id.CopyFrom(node_id(RUNNING))
    request.event.retry_attempt = 7
    request.event.phase = phases_pb2.TaskExecution.RUNNING
    request.event.occurred_at.GetCurrentTime()
    return request


def resources() -> matchable_resource_pb2.MatchingAttributes:
    """What tasks get, and may have at most."""
    spec = matchable_resource_pb2.TaskResourceSpec
    given = matchable_resource_pb2.TaskResourceAttributes(
        defaults=spec(cpu="100m", memory="64Mi"), limits=spec(cpu="64", memory="512Gi")
    )
    return matchable_resource_pb2.MatchingAttributes(task_resource_attributes=given)


def listing(name: str = "") -> common_pb2.ResourceListRequest:
    """A page."""
    return common_pb2.ResourceListRequest(id=named(name), limit=10)


def names() -> common_pb2.NamedEntityIdentifierListRequest:
    """A page of names."""
    return common_pb2.NamedEntityIdentifierListRequest(project=PROJECT, domain=DOMAIN, limit=10)


def upload() -> dataproxy_pb2.CreateUploadLocationRequest:
    """A place for a file."""
    return dataproxy_pb2.CreateUploadLocationRequest(
        project=PROJECT, domain=DOMAIN, filename="a.txt", filename_root="root", content_md5=MD5
    )


def deck() -> dataproxy_pb2.CreateDownloadLinkRequest:
    """A node's deck; there is none."""
    return dataproxy_pb2.CreateDownloadLinkRequest(
        artifact_type=dataproxy_pb2.ARTIFACT_TYPE_DECK, node_execution_id=node_id()
    )


def unnamed_upload() -> dataproxy_pb2.CreateUploadLocationRequest:
    """A place for a file of which nothing is known but where."""
    return dataproxy_pb2.CreateUploadLocationRequest(project=PROJECT, domain=DOMAIN, filename_root="root")


def download() -> dataproxy_pb2.CreateDownloadLocationRequest:
    """A place to read from, which is not in the blob store."""
    return dataproxy_pb2.CreateDownloadLocationRequest(native_url="elsewhere")


def signal_id(execution: str = RUNNING) -> identifier_pb2.SignalIdentifier:
    """Of the signal of one of the executions."""
    return identifier_pb2.SignalIdentifier(signal_id=SIGNAL, execution_id=execution_id(execution))


def signal(execution: str = RUNNING) -> signal_pb2.SignalGetOrCreateRequest:
    """What a gate asks that waits for approval."""
    return signal_pb2.SignalGetOrCreateRequest(
        id=signal_id(execution), type=types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
    )


def approval() -> signal_pb2.SignalSetRequest:
    """Somebody approves."""
    yes = literals_pb2.Primitive(boolean=True)
    return signal_pb2.SignalSetRequest(
        id=signal_id(), value=literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=yes))
    )


def generated() -> node_execution_pb2.GetDynamicNodeWorkflowRequest:
    """The workflow that a node has generated; it has not."""
    return node_execution_pb2.GetDynamicNodeWorkflowRequest(id=node_id())


REQUESTS: Mapping[str, Callable[[], Message]] = {
    # Projects
    "RegisterProject": lambda: project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="p2", name="two")),
    "UpdateProject": lambda: project_pb2.Project(id=PROJECT, description="what it is for"),
    "GetProject": lambda: project_pb2.ProjectGetRequest(id=PROJECT),
    "ListProjects": project_pb2.ProjectListRequest,
    "GetDomains": project_pb2.GetDomainRequest,
    # Attributes
    "UpdateProjectAttributes": lambda: project_attributes_pb2.ProjectAttributesUpdateRequest(
        attributes=project_attributes_pb2.ProjectAttributes(project=PROJECT, matching_attributes=resources())
    ),
    "UpdateProjectDomainAttributes": lambda: project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest(
        attributes=project_domain_attributes_pb2.ProjectDomainAttributes(
            project=PROJECT, domain=DOMAIN, matching_attributes=resources()
        )
    ),
    "UpdateWorkflowAttributes": lambda: workflow_attributes_pb2.WorkflowAttributesUpdateRequest(
        attributes=workflow_attributes_pb2.WorkflowAttributes(
            project=PROJECT, domain=DOMAIN, workflow="w", matching_attributes=resources()
        )
    ),
    "ListMatchableAttributes": matchable_resource_pb2.ListMatchableAttributesRequest,
    "GetProjectAttributes": lambda: project_attributes_pb2.ProjectAttributesGetRequest(project=PROJECT),
    "GetProjectDomainAttributes": lambda: project_domain_attributes_pb2.ProjectDomainAttributesGetRequest(
        project=PROJECT, domain=DOMAIN
    ),
    "GetWorkflowAttributes": lambda: workflow_attributes_pb2.WorkflowAttributesGetRequest(
        project=PROJECT, domain=DOMAIN, workflow="w"
    ),
    "DeleteWorkflowAttributes": lambda: workflow_attributes_pb2.WorkflowAttributesDeleteRequest(
        project=PROJECT, domain=DOMAIN, workflow="w"
    ),
    "DeleteProjectDomainAttributes": lambda: project_domain_attributes_pb2.ProjectDomainAttributesDeleteRequest(
        project=PROJECT, domain=DOMAIN
    ),
    "DeleteProjectAttributes": lambda: project_attributes_pb2.ProjectAttributesDeleteRequest(project=PROJECT),
    # Definitions
    "CreateTask": task,
    "GetTask": lambda: common_pb2.ObjectGetRequest(id=id_of(TASK, "t")),
    "ListTasks": listing,
    "ListTaskIds": names,
    "CreateWorkflow": workflow,
    "GetWorkflow": lambda: common_pb2.ObjectGetRequest(id=id_of(WORKFLOW, "w")),
    "ListWorkflows": listing,
    "ListWorkflowIds": names,
    "CreateLaunchPlan": launch_plan,
    "UpdateLaunchPlan": lambda: launch_plan_pb2.LaunchPlanUpdateRequest(id=id_of(LAUNCH_PLAN, "w")),
    "GetLaunchPlan": lambda: common_pb2.ObjectGetRequest(id=id_of(LAUNCH_PLAN, "w")),
    "GetActiveLaunchPlan": lambda: launch_plan_pb2.ActiveLaunchPlanRequest(id=named("active")),
    "ListLaunchPlans": listing,
    "ListActiveLaunchPlans": lambda: launch_plan_pb2.ActiveLaunchPlanListRequest(
        project=PROJECT, domain=DOMAIN, limit=10
    ),
    "ListLaunchPlanIds": names,
    "GetNamedEntity": lambda: common_pb2.NamedEntityGetRequest(resource_type=WORKFLOW, id=named()),
    "UpdateNamedEntity": lambda: common_pb2.NamedEntityUpdateRequest(
        resource_type=WORKFLOW, id=named(), metadata=common_pb2.NamedEntityMetadata(description="what it does")
    ),
    "ListNamedEntities": lambda: common_pb2.NamedEntityListRequest(
        resource_type=WORKFLOW, project=PROJECT, domain=DOMAIN, limit=10
    ),
    "GetDescriptionEntity": lambda: common_pb2.ObjectGetRequest(id=id_of(TASK, "t")),
    "ListDescriptionEntities": lambda: description_entity_pb2.DescriptionEntityListRequest(
        resource_type=TASK, id=named("t"), limit=10
    ),
    # Executions
    "CreateExecution": execution,
    "RelaunchExecution": lambda: execution_pb2.ExecutionRelaunchRequest(id=execution_id(), name="again"),
    "RecoverExecution": lambda: execution_pb2.ExecutionRecoverRequest(id=execution_id(), name="recovered"),
    "GetExecution": lambda: execution_pb2.WorkflowExecutionGetRequest(id=execution_id()),
    "UpdateExecution": lambda: execution_pb2.ExecutionUpdateRequest(id=execution_id()),
    "GetExecutionData": lambda: execution_pb2.WorkflowExecutionGetDataRequest(id=execution_id()),
    "ListExecutions": listing,
    "GetExecutionMetrics": lambda: execution_pb2.WorkflowExecutionGetMetricsRequest(id=execution_id(), depth=-1),
    "WatchExecution": lambda: watch_pb2.WatchExecutionRequest(
        id=our_identifier_pb2.WorkflowExecutionIdentifier.FromString(execution_id(RUNNING).SerializeToString())
    ),
    "TailLogs": lambda: watch_pb2.TailLogsRequest(
        id=our_identifier_pb2.NodeExecutionIdentifier.FromString(node_id(RUNNING).SerializeToString()), follow=True
    ),
    "GetNodeExecution": lambda: node_execution_pb2.NodeExecutionGetRequest(id=node_id()),
    "ListNodeExecutions": lambda: node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=execution_id(), limit=10
    ),
    "ListNodeExecutionsForTask": lambda: node_execution_pb2.NodeExecutionForTaskListRequest(
        task_execution_id=attempt_id(), limit=10
    ),
    "GetNodeExecutionData": lambda: node_execution_pb2.NodeExecutionGetDataRequest(id=node_id()),
    "GetTaskExecution": lambda: task_execution_pb2.TaskExecutionGetRequest(id=attempt_id()),
    "ListTaskExecutions": lambda: task_execution_pb2.TaskExecutionListRequest(node_execution_id=node_id(), limit=10),
    "GetTaskExecutionData": lambda: task_execution_pb2.TaskExecutionGetDataRequest(id=attempt_id()),
    # Signals
    "GetOrCreateSignal": signal,
    "SetSignal": approval,
    "ListSignals": lambda: signal_pb2.SignalListRequest(workflow_execution_id=execution_id(), limit=10),
    # Events
    "CreateTaskEvent": task_event,
    "CreateNodeEvent": node_event,
    "CreateWorkflowEvent": workflow_event,
    "TerminateExecution": lambda: execution_pb2.ExecutionTerminateRequest(id=execution_id(RUNNING), cause="enough"),
    # Data
    "CreateUploadLocation": upload,
    "GetData": lambda: dataproxy_pb2.GetDataRequest(flyte_url=f"flyte://v1/{PROJECT}/{DOMAIN}/{DONE}/n0/i"),
    "GetVersion": version_pb2.GetVersionRequest,
}
"""By RPC, in an order in which all of them are answered."""


# Spoiling


def spoiled(request: M, path: str, value: object = None) -> M:
    """The request with another value at `path`, or none there. A mapping becomes a map's entries, a list its items."""
    *way, last = path.split(".")
    part: Any = request
    for name in way:
        part = getattr(part, name)
    part.ClearField(last)
    here = getattr(part, last)
    if value is None:
        pass
    elif isinstance(value, Message):
        here.CopyFrom(value)
    elif isinstance(value, Mapping):
        _fill(here, value)
    elif isinstance(value, list):
        here.extend(value)
    else:
        setattr(part, last, value)
    return request


def _fill(entries: Any, value: Mapping[str, object]) -> None:
    for key, item in value.items():
        if isinstance(item, Message):
            entries[key].CopyFrom(item)
        else:
            entries[key] = item


def integer(value: int = 1) -> literals_pb2.Literal:
    """A literal."""
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))
