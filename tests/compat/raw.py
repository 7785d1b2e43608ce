"""Raw container workflows over the published flyteidl stubs: no SDK on either side."""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import grpc
from compat.plane import Plane
from flyteidl.admin import execution_pb2, node_execution_pb2, task_execution_pb2, task_pb2, workflow_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, types_pb2
from flyteidl.service import admin_pb2_grpc
from google.protobuf.message import Message

PROJECT, DOMAIN = "flytesnacks", "development"
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)


@cache
def _stub(address: str) -> admin_pb2_grpc.AdminServiceStub:
    return admin_pb2_grpc.AdminServiceStub(grpc.insecure_channel(address))


def admin(plane: Plane) -> admin_pb2_grpc.AdminServiceStub:
    """The admin service under Flyte's name."""
    return _stub(plane.grpc)


def identifier(kind: int, name: str, version: str) -> identifier_pb2.Identifier:
    """An id in the default project."""
    return identifier_pb2.Identifier(resource_type=kind, project=PROJECT, domain=DOMAIN, name=name, version=version)


def task_request(
    name: str, version: str, command: Sequence[str], inputs: Sequence[str] = ()
) -> task_pb2.TaskCreateRequest:
    """A container task whose inputs are all integers."""
    request = task_pb2.TaskCreateRequest(id=identifier(identifier_pb2.TASK, name, version))
    template = request.spec.template
    template.type = "raw-container"
    template.metadata.runtime.version = "1"
    template.interface.SetInParent()
    for key in inputs:
        template.interface.inputs.variables[key].CopyFrom(interface_pb2.Variable(type=INTEGER))
    template.container.image = "any"
    template.container.command.extend(command)
    return request


def extend(message: Message, fields: Message) -> None:
    """Set fields of ours, which the published stubs do not know: they carry them on as unknown fields."""
    message.MergeFromString(fields.SerializeToString())


def workflow_request(
    name: str, version: str, task: str, edges: Sequence[Sequence[int]]
) -> workflow_pb2.WorkflowCreateRequest:
    """A workflow of one task over and over: node `n<i>` waits for the nodes in `edges[i]` and is given `node=i`."""
    request = workflow_pb2.WorkflowCreateRequest(id=identifier(identifier_pb2.WORKFLOW, name, version))
    template = request.spec.template
    template.interface.SetInParent()
    for index, above in enumerate(edges):
        node = template.nodes.add(id=f"n{index}", upstream_node_ids=[f"n{one}" for one in above])
        node.task_node.reference_id.CopyFrom(identifier(identifier_pb2.TASK, task, version))
        value = literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=index))
        node.inputs.add(var="node", binding=literals_pb2.BindingData(scalar=value))
    return request


def register(plane: Plane, name: str, version: str, command: Sequence[str], edges: Sequence[Sequence[int]]) -> None:
    """Register a task `<name>.task` and a workflow of it; its launch plan is the one every workflow has."""
    admin(plane).CreateTask(task_request(f"{name}.task", version, command, ["node"]))
    admin(plane).CreateWorkflow(workflow_request(name, version, f"{name}.task", edges))


def register_chain(plane: Plane, version: str, nodes: int, command: Sequence[str], marks: Path) -> None:
    """A chain whose every node appends to a file of its own below `marks`, given as `$0`."""
    mark = f"{marks}/$FLYTE_INTERNAL_EXECUTION_ID-"
    shell, flag, script = command
    script = script.replace('"$0"', f'"{mark}$0"')
    register(
        plane, "chain", version, [shell, flag, script, "{{.inputs.node}}"], [[i - 1] if i else [] for i in range(nodes)]
    )


def start(plane: Plane, version: str, execution: str, name: str = "chain") -> None:
    """Start an execution of a registered workflow under a given name."""
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, name=execution)
    request.spec.launch_plan.CopyFrom(identifier(identifier_pb2.LAUNCH_PLAN, name, version))
    admin(plane).CreateExecution(request)


def get(plane: Plane, execution: str) -> execution_pb2.Execution:
    """The execution as admin tells it."""
    id = identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=execution)
    return admin(plane).GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=id), wait_for_ready=True, timeout=30)


def attempts(plane: Plane, execution: str, node: str = "n0") -> list[task_execution_pb2.TaskExecution]:
    """The task executions of a node, the first attempt first."""
    id = identifier_pb2.NodeExecutionIdentifier(
        node_id=node,
        execution_id=identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=execution),
    )
    request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=id, limit=100)
    return sorted(admin(plane).ListTaskExecutions(request).task_executions, key=lambda one: one.id.retry_attempt)


TERMINAL = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}


def wait(plane: Plane, execution: str, timeout_s: float = 30) -> execution_pb2.Execution:
    """Poll until it has ended."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = get(plane, execution)
        phase = core_execution_pb2.WorkflowExecution.Phase.Name(found.closure.phase)
        if phase in TERMINAL or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def wait_all(plane: Plane, executions: Sequence[str], timeout_s: float) -> dict[str, str]:
    """Each execution's phase, once all have ended or the time is over."""
    deadline = time.monotonic() + timeout_s
    return {
        name: core_execution_pb2.WorkflowExecution.Phase.Name(
            wait(plane, name, max(0.0, deadline - time.monotonic())).closure.phase
        )
        for name in executions
    }


def nodes(plane: Plane, execution: str) -> dict[str, str]:
    """The phase of each top-level node."""
    id = identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=execution)
    listed = admin(plane).ListNodeExecutions(
        node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=id, limit=1000)
    )
    return {
        one.id.node_id: core_execution_pb2.NodeExecution.Phase.Name(one.closure.phase) for one in listed.node_executions
    }
