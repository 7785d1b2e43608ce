"""What must be loaded before a workflow can be compiled."""

from collections.abc import Iterable
from dataclasses import dataclass

from sailplane_protos.core import workflow_pb2

from ..ids import EntityId
from . import walk


@dataclass(frozen=True, slots=True)
class Requirements:
    """The entities that a workflow refers to, each once, in order of their ids."""

    tasks: tuple[EntityId, ...]
    launch_plans: tuple[EntityId, ...]


def required_entities(
    template: workflow_pb2.WorkflowTemplate, sub_workflows: Iterable[workflow_pb2.WorkflowTemplate] = ()
) -> Requirements:
    """What the workflow and its listed sub-workflows refer to: in nodes, branches, array nodes and failure nodes.

    References that are empty are left to the compiler, which says where they stand.
    """
    tasks: set[EntityId] = set()
    launch_plans: set[EntityId] = set()
    for workflow in (template, *sub_workflows):
        for node in walk.all_nodes(workflow):
            task, launch_plan = walk.task_id(node), walk.launch_plan_id(node)
            if task:
                tasks.add(task)
            if launch_plan:
                launch_plans.add(launch_plan)
    return Requirements(tuple(sorted(tasks)), tuple(sorted(launch_plans)))
