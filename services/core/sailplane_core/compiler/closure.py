"""A workflow with everything it needs to run, in one message."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.core import compiler_pb2, workflow_pb2

from ..errors import CompileFailed, Problem
from ..ids import EntityId
from . import bounds, nested, problems
from .interfaces import Library
from .requirements import required_entities
from .workflow import compile_one


def compile_workflow(
    id: EntityId,
    template: workflow_pb2.WorkflowTemplate,
    sub_workflows: Sequence[workflow_pb2.WorkflowTemplate],
    tasks: Mapping[EntityId, compiler_pb2.CompiledTask],
    launch_plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan],
    *,
    nodes_max: int = bounds.NODES_MAX,
    may_be_empty: bool = False,
) -> compiler_pb2.CompiledWorkflowClosure:
    """Compile the workflow under `id`, with every sub-workflow listed and every task referred to.

    `tasks` and `launch_plans` must hold what `required_entities` named, as far as it exists. Launch plans do not
    become part of the closure: Flyte's clients fetch them one by one. A workflow without nodes is a mistake unless it
    `may_be_empty`. Raises `CompileFailed` with all problems found, but for limits and recursion, beyond which nothing
    else is looked at.
    """
    entity = f"workflow {id}"
    _raise_if_any(entity, bounds.exceeded(str(id), template, sub_workflows, nodes_max))
    found: list[Problem] = []
    listed = nested.index(id, sub_workflows, found)
    found += nested.check(id, template, listed)
    _raise_if_any(entity, found)

    library = Library(tasks, launch_plans, listed)
    if not template.nodes and not may_be_empty:
        found.append(problems.no_nodes(id.name))
    primary = compile_one(id, template, library, found)
    compiled: list[compiler_pb2.CompiledWorkflow] = []
    for sub_id, sub in listed.items():
        found_inside: list[Problem] = [] if sub.nodes else [problems.no_nodes(sub_id.name)]
        compiled.append(compile_one(sub_id, sub, library, found_inside))
        found.extend(replace(problem, node_id=f"{sub_id.name}/{problem.node_id}") for problem in found_inside)
    _raise_if_any(entity, found)
    needed = required_entities(template, listed.values())
    closure = compiler_pb2.CompiledWorkflowClosure(
        primary=primary, sub_workflows=compiled, tasks=[tasks[task] for task in needed.tasks]
    )
    if not bounds.is_readable(closure):
        _raise_if_any(entity, [problems.unreadable(id.name)])
    return closure


def _raise_if_any(entity: str, found: Sequence[Problem]) -> None:
    if found:
        raise CompileFailed(entity, found)
