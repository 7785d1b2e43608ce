"""Running a task on its own: a workflow and a launch plan are made around it, once for each version."""

from dataclasses import replace

from sailplane_core.errors import NotFound
from sailplane_core.ids import EntityId, ResourceType
from sailplane_core.launch import single_task_workflow
from sailplane_core.naming import GENERATED_PREFIX
from sailplane_protos.admin import common_pb2, launch_plan_pb2, workflow_pb2
from sailplane_runtime.store.port import Transaction

from . import launch_plans, tables, tasks, workflows
from .ports import AdminPorts
from .registration import write_once


async def launch_plan_of(ports: AdminPorts, task_id: EntityId) -> launch_plan_pb2.LaunchPlan:
    """The plan that runs this task, registered now if it is not yet. Not to be changed by the caller.

    Raises `NotFound` when the task is not registered.
    """
    plan_id = replace(task_id, kind=ResourceType.LAUNCH_PLAN, name=GENERATED_PREFIX + task_id.name)
    try:
        return await launch_plans.load(ports, plan_id)
    except NotFound:
        await _register(ports, task_id, plan_id)
    return await launch_plans.load(ports, plan_id)


async def _register(ports: AdminPorts, task_id: EntityId, plan_id: EntityId) -> None:
    task = await tasks.load(ports, task_id)
    template, _ = single_task_workflow(task.closure.compiled_task.template)
    now_us = tables.time_us(ports.clock.now())
    spec = workflow_pb2.WorkflowSpec(template=template)
    prepared = await workflows.prepare(ports, EntityId.of(template.id), spec, now_us)

    def change(transaction: Transaction) -> None:
        connection = transaction.connection
        if launch_plans.is_registered(connection, plan_id):
            return
        generated = common_pb2.SYSTEM_GENERATED
        row_id = workflows.insert_prepared(connection, prepared, now_us, generated)
        launch_plans.insert_plan(connection, prepared.plan, row_id, now_us, is_implicit=False, name_state=generated)

    await write_once(ports.store, change)
