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


async def launch_plan_of(
    ports: AdminPorts, task_id: EntityId
) -> tuple[launch_plan_pb2.LaunchPlan, workflows.Prepared | None]:
    """The plan that runs this task, not to be changed by the caller, and what to `register` before it is run.

    That is None when it is registered already. Raises `NotFound` when the task is not registered.
    """
    plan_id = replace(task_id, kind=ResourceType.LAUNCH_PLAN, name=GENERATED_PREFIX + task_id.name)
    try:
        return await launch_plans.load(ports, plan_id), None
    except NotFound:
        prepared = await _prepare(ports, task_id)
    return prepared.plan, prepared


async def _prepare(ports: AdminPorts, task_id: EntityId) -> workflows.Prepared:
    task = await tasks.load(ports, task_id)
    template, _ = single_task_workflow(task.closure.compiled_task.template)
    spec = workflow_pb2.WorkflowSpec(template=template)
    return await workflows.prepare(ports, EntityId.of(template.id), spec, tables.time_us(ports.clock.now()))


async def register(ports: AdminPorts, prepared: workflows.Prepared) -> None:
    """Register a workflow and plan made around a task, unless somebody has."""
    now_us = tables.time_us(ports.clock.now())

    def change(transaction: Transaction) -> None:
        connection = transaction.connection
        if launch_plans.is_registered(connection, EntityId.of(prepared.plan.id)):
            return
        generated = common_pb2.SYSTEM_GENERATED
        row_id = workflows.insert_prepared(connection, prepared, now_us, generated)
        launch_plans.insert_plan(connection, prepared.plan, row_id, now_us, is_implicit=False, name_state=generated)

    await write_once(ports.store, change)
