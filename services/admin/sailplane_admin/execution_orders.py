"""What admin tells propeller, as messages of the queue `executions`. Their ids make telling twice harmless."""

from sailplane_core import closures
from sailplane_core.attributes import first_of
from sailplane_core.ids import ExecutionId
from sailplane_core.launch import Launch
from sailplane_core.ports import Message
from sailplane_protos.admin import execution_pb2, launch_plan_pb2
from sailplane_protos.core import literals_pb2
from sailplane_protos.propeller import queue_pb2

TOPIC = "executions"


def start(
    id: ExecutionId,
    plan: launch_plan_pb2.LaunchPlan,
    settled: Launch,
    inputs_uri: str,
    raw_output_prefix: str,
    recovers: ExecutionId | None,
) -> Message:
    """Begin to run. `recovers` is the execution whose finished nodes are taken over."""
    config = settled.config
    order = queue_pb2.Start(
        workflow_id=plan.spec.workflow_id,
        launch_plan_id=plan.id,
        inputs_uri=inputs_uri,
        raw_output_prefix=raw_output_prefix,
        labels=config.labels,
        annotations=config.annotations,
        envs=config.envs,
        max_parallelism=config.max_parallelism,
        overwrite_cache=config.overwrite_cache,
        security_context=config.security_context,
        mode=settled.spec.metadata.mode,
        created_at=settled.closure.created_at,
        namespace=settled.spec.metadata.system_metadata.namespace,
    )
    resources = first_of(settled.attributes, "task_resource_attributes")
    if resources.HasField("task_resource_attributes"):
        order.task_resources.CopyFrom(resources.task_resource_attributes)
    order.plugin_overrides.extend(first_of(settled.attributes, "plugin_overrides").plugin_overrides.overrides)
    if settled.queueing_budget is not None:
        order.queueing_budget.FromTimedelta(settled.queueing_budget)
    if config.interruptible is not None:
        order.interruptible.value = config.interruptible
    if recovers is not None:
        order.recover_from.CopyFrom(recovers.to_message())
    return _message("start", id, queue_pb2.ExecutionCommand(execution_id=id.to_message(), start=order))


def waited(id: ExecutionId, payload: bytes) -> Message:
    """The message of `start` again, for an execution that had to wait; `payload` was stored meanwhile."""
    return Message(topic=TOPIC, key=str(id), id=f"start:{id}", payload=payload)


def abort(id: ExecutionId, cause: str, principal: str) -> Message:
    """End now."""
    order = queue_pb2.Abort(cause=cause, principal=principal)
    return _message("abort", id, queue_pb2.ExecutionCommand(execution_id=id.to_message(), abort=order))


def signal_set(id: ExecutionId, signal_id: str, value: literals_pb2.Literal, digest: str) -> Message:
    """A signal has its value; `digest` tells it from others that it may get."""
    order = queue_pb2.SignalSet(signal_id=signal_id, value=value)
    command = queue_pb2.ExecutionCommand(execution_id=id.to_message(), signal_set=order)
    return _message(f"signal_set:{signal_id}:{digest}", id, command)


def child_ended(
    parent: ExecutionId, node_id: str, child: ExecutionId, closure: execution_pb2.ExecutionClosure
) -> Message:
    """What `node_id` of `parent` has started is over. `closure` is the child's, in a terminal phase."""
    outputs_uri, error = closures.result_of(closure)
    order = queue_pb2.ChildEnded(
        node_id=node_id, child=child.to_message(), phase=closure.phase, outputs_uri=outputs_uri, error=error
    )
    command = queue_pb2.ExecutionCommand(execution_id=parent.to_message(), child_ended=order)
    return Message(topic=TOPIC, key=str(parent), id=f"child_ended:{child}", payload=command.SerializeToString())


def forget(id: ExecutionId) -> Message:
    """It is being deleted."""
    return _message("forget", id, queue_pb2.ExecutionCommand(execution_id=id.to_message(), forget=queue_pb2.Forget()))


def _message(kind: str, id: ExecutionId, command: queue_pb2.ExecutionCommand) -> Message:
    return Message(topic=TOPIC, key=str(id), id=f"{kind}:{id}", payload=command.SerializeToString())
