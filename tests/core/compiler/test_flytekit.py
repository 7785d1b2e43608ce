"""What stock flytekit writes compiles, and what comes out is what stock flytekit reads."""

from collections import OrderedDict
from typing import Any

import pytest
from core.compiler import flytekit_workflows as programs
from core.compiler.building import interface, upstream
from core.types.samples import INT
from flyteidl.admin import launch_plan_pb2 as flyte_launch_plan_pb2
from flyteidl.core import compiler_pb2 as flyte_compiler_pb2
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.models.admin.workflow import WorkflowSpec
from flytekit.models.core.compiler import CompiledWorkflowClosure
from flytekit.models.launch_plan import LaunchPlan as LaunchPlanModel
from flytekit.models.launch_plan import LaunchPlanSpec
from flytekit.models.task import TaskSpec
from flytekit.remote.entities import FlyteWorkflow
from flytekit.tools.translator import get_serializable
from sailplane_core.compiler import compile_task, compile_workflow, required_entities
from sailplane_core.ids import END_NODE_ID, START_NODE_ID, EntityId
from sailplane_protos.admin import launch_plan_pb2, workflow_pb2
from sailplane_protos.core import compiler_pb2, tasks_pb2

SETTINGS = SerializationSettings(
    project="p", domain="development", version="1", image_config=ImageConfig(Image("default", "example.org/image", "1"))
)


class Registry:
    """What a control plane would hold after everything that a workflow needs was registered."""

    def __init__(self, program: Any) -> None:
        entities: OrderedDict[Any, Any] = OrderedDict()
        get_serializable(entities, SETTINGS, program)
        self.tasks: dict[EntityId, compiler_pb2.CompiledTask] = {}
        self.plans: dict[EntityId, launch_plan_pb2.LaunchPlan] = {}
        self.specs: dict[EntityId, workflow_pb2.WorkflowSpec] = {}
        for model in entities.values():
            match model:
                case TaskSpec():
                    template = tasks_pb2.TaskTemplate.FromString(model.template.to_flyte_idl().SerializeToString())
                    id = EntityId.of(template.id)
                    self.tasks[id] = compile_task(id, template)
                case WorkflowSpec():
                    spec = workflow_pb2.WorkflowSpec.FromString(model.to_flyte_idl().SerializeToString())
                    self.specs[EntityId.of(spec.template.id)] = spec
                case LaunchPlanModel():
                    plan = launch_plan_pb2.LaunchPlan.FromString(model.to_flyte_idl().SerializeToString())
                    self.plans[EntityId.of(plan.id)] = self._with_closure(plan)
                case _:
                    pass
        elsewhere = tasks_pb2.TaskTemplate(interface=interface({"a": INT}, {"o0": INT}))
        self._elsewhere = elsewhere
        self.id = next(reversed(self.specs))

    def _with_closure(self, plan: launch_plan_pb2.LaunchPlan) -> launch_plan_pb2.LaunchPlan:
        """The launch plan as admin completes it."""
        template = self.specs[EntityId.of(plan.spec.workflow_id)].template
        for name, variable in template.interface.inputs.variables.items():
            parameters = plan.closure.expected_inputs.parameters
            if name in plan.spec.default_inputs.parameters:
                parameters[name].CopyFrom(plan.spec.default_inputs.parameters[name])
            elif name not in plan.spec.fixed_inputs.literals:
                parameters[name].var.CopyFrom(variable)
                parameters[name].required = True
        plan.closure.expected_outputs.CopyFrom(template.interface.outputs)
        return plan

    def compile(self) -> compiler_pb2.CompiledWorkflowClosure:
        """The workflow, compiled with what it asks for."""
        spec = self.specs[self.id]
        needed = required_entities(spec.template, spec.sub_workflows)
        tasks = {id: self.tasks.get(id) or compile_task(id, self._elsewhere) for id in needed.tasks}
        plans = {id: self.plans[id] for id in needed.launch_plans}
        return compile_workflow(self.id, spec.template, spec.sub_workflows, tasks, plans)

    def read_back(self, closure: compiler_pb2.CompiledWorkflowClosure) -> FlyteWorkflow:
        """The closure as flytekit's remote client takes it apart."""
        theirs = flyte_compiler_pb2.CompiledWorkflowClosure.FromString(closure.SerializeToString())
        specs: dict[Any, LaunchPlanSpec] = {}
        for plan in self.plans.values():
            model = LaunchPlanModel.from_flyte_idl(
                flyte_launch_plan_pb2.LaunchPlan.FromString(plan.SerializeToString())
            )
            specs[model.id] = model.spec
        return FlyteWorkflow.promote_from_closure(CompiledWorkflowClosure.from_flyte_idl(theirs), specs)


@pytest.mark.parametrize("program", programs.WORKFLOWS, ids=lambda program: program.name.rpartition(".")[2])
def test_every_way_of_writing_a_workflow_compiles_and_is_read_back(program: Any) -> None:
    registry = Registry(program)
    closure = registry.compile()
    written = registry.specs[registry.id].template
    assert [node.id for node in closure.primary.template.nodes] == [
        START_NODE_ID,
        END_NODE_ID,
        *(node.id for node in written.nodes),
    ]
    for compiled in (closure.primary, *closure.sub_workflows):
        ids = {node.id for node in compiled.template.nodes}
        assert set(compiled.connections.downstream) == ids - {END_NODE_ID}
        assert set(compiled.connections.upstream) >= ids - {START_NODE_ID}
    remote = registry.read_back(closure)
    failure_nodes = [written.failure_node.id] if written.HasField("failure_node") else []
    assert [node.id for node in remote.flyte_nodes] == [*(node.id for node in written.nodes), *failure_nodes]
    assert set(remote.interface.outputs) == set(written.interface.outputs.variables)


def test_order_without_data_is_kept() -> None:
    assert upstream(Registry(programs.in_order).compile().primary) == {
        "n0": [START_NODE_ID],
        "n1": ["n0"],
        "n2": ["n1"],
        END_NODE_ID: ["n2"],
    }


def test_sub_workflows_come_with_the_closure_each_once() -> None:
    closure = Registry(programs.with_sub).compile()
    names = [sub.template.id.name.rpartition(".")[2] for sub in closure.sub_workflows]
    assert sorted(names) == ["chain", "fan_out"]
    assert {task.template.id.name.rpartition(".")[2] for task in closure.tasks} == {"add", "inc", "total"}


def test_cases_are_known_by_the_branch_that_they_are_in() -> None:
    primary = Registry(programs.choice).compile().primary
    branch = next(node for node in primary.template.nodes if node.HasField("branch_node"))
    if_else = branch.branch_node.if_else
    assert [if_else.case.then_node.id, if_else.other[0].then_node.id, if_else.else_node.id] == [
        f"{branch.id}-n0",
        f"{branch.id}-n1",
        f"{branch.id}-n2",
    ]
    assert if_else.else_node.branch_node.if_else.case.then_node.id == f"{branch.id}-n2-n0"
    # The second case takes a field of a node that the branch itself has no binding for.
    assert upstream(primary)[branch.id] == ["n0", "n1", START_NODE_ID]


def test_a_mistake_that_flytekit_lets_pass_is_found() -> None:
    registry = Registry(programs.fan_out)
    elements = registry.specs[registry.id].template.nodes[-1].inputs[0].binding.collection.bindings
    elements[3].scalar.primitive.string_value = "seven"
    with pytest.raises(Exception, match="MismatchingTypes, Node Id: n3"):
        registry.compile()
