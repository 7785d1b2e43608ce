"""Dynamic tasks: the job that one leaves instead of outputs, compiled into a workflow that can be walked.

The workflow's outputs are those that the task declares. It has no inputs: the task knew their values when it wrote the
job, and bound them where they are needed. Its nodes keep the ids that the task gave them.
"""

from collections.abc import Mapping
from dataclasses import replace

from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.core import compiler_pb2, dynamic_job_pb2, interface_pb2, tasks_pb2, workflow_pb2

from .compiler import NODES_MAX, Requirements, compile_task, compile_workflow, required_entities
from .errors import CompileFailed, Problem
from .ids import EntityId, ExecutionId, ResourceType, pod_name


def workflow_id(execution: ExecutionId, node_id: str, attempt: int) -> EntityId:
    """The id of the workflow that an attempt of a dynamic task generated, `node_id` being unique in the execution.

    Flyte names it alike, but with a random version; this one is the same whenever it is compiled again.
    """
    version = pod_name(execution, node_id, attempt)
    return EntityId(ResourceType.WORKFLOW, execution.project, execution.domain, f"dynamic_{node_id}", version)


def required_by(job: dynamic_job_pb2.DynamicJobSpec) -> Requirements:
    """What the job refers to and does not bring along: launch plans always, tasks that are registered already."""
    needed = required_entities(_template(job, interface_pb2.TypedInterface()), job.subworkflows)
    brought = {_task_id(template) for template in job.tasks}
    return Requirements(tuple(task for task in needed.tasks if task not in brought), needed.launch_plans)


def compile_dynamic(
    id: EntityId,
    job: dynamic_job_pb2.DynamicJobSpec,
    interface: interface_pb2.TypedInterface,
    tasks: Mapping[EntityId, compiler_pb2.CompiledTask],
    launch_plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan],
    *,
    nodes_max: int = NODES_MAX,
) -> compiler_pb2.CompiledWorkflowClosure:
    """Compile what a dynamic task of this interface asks for, as workflow `id`; it may have outputs and no nodes.

    `tasks` and `launch_plans` must hold what `required_by` named, as far as it exists. Raises `CompileFailed` with all
    problems found, in the tasks first.
    """
    found: list[Problem] = []
    brought: dict[EntityId, compiler_pb2.CompiledTask] = {}
    for template in job.tasks:
        task_id = _task_id(template)
        try:
            compiled = compile_task(task_id, template)
        except CompileFailed as error:
            found.extend(Problem(one.code, f"{task_id.name}/{one.node_id}", one.description) for one in error.found)
            continue
        if brought.setdefault(task_id, compiled) != compiled:
            why = f"Task {task_id} is listed twice, with different contents."
            found.append(Problem("ValueCollision", task_id.name, why))
    if found:
        raise CompileFailed(f"workflow {id}", found)
    template = _template(job, interface)
    known = {**tasks, **brought}
    return compile_workflow(id, template, job.subworkflows, known, launch_plans, nodes_max=nodes_max, may_be_empty=True)


def _template(
    job: dynamic_job_pb2.DynamicJobSpec, interface: interface_pb2.TypedInterface
) -> workflow_pb2.WorkflowTemplate:
    outputs_only = interface_pb2.TypedInterface(outputs=interface.outputs)
    return workflow_pb2.WorkflowTemplate(nodes=job.nodes, outputs=job.outputs, interface=outputs_only)


def _task_id(template: tasks_pb2.TaskTemplate) -> EntityId:
    return replace(EntityId.of(template.id), kind=ResourceType.TASK)
