"""Jobs of dynamic tasks, those of stock flytekit among them, become workflows."""

import random
from pathlib import Path
from typing import Any

import pytest
from core import flytekit_dynamics as dynamics
from core.compiler.building import interface, upstream
from core.compiler.test_flytekit import Registry
from core.types.samples import INT, STR
from flytekit.models.literals import LiteralMap
from sailplane_core import dynamic
from sailplane_core.compiler import compile_task, required_entities
from sailplane_core.errors import CompileFailed
from sailplane_core.ids import END_NODE_ID, START_NODE_ID, EntityId, ExecutionId, ResourceType
from sailplane_core.plan import Closure
from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.core import compiler_pb2, dynamic_job_pb2, literals_pb2, tasks_pb2, workflow_pb2

X = ExecutionId("p", "development", "x")
ID = dynamic.workflow_id(X, "n0", 0)
TO_INT = interface({}, {"o0": INT})


def task(name: str = "t") -> tasks_pb2.TaskTemplate:
    """A task that gives a number for a number."""
    template = tasks_pb2.TaskTemplate(interface=interface({"a": INT}, {"o0": INT}))
    template.id.CopyFrom(EntityId(ResourceType.TASK, "p", "development", name, "1").to_message())
    template.container.image = "example.org/image"
    template.container.args.append("run")
    return template


def integer(value: int) -> literals_pb2.BindingData:
    """A number that is known."""
    primitive = literals_pb2.Primitive(integer=value)
    return literals_pb2.BindingData(scalar=literals_pb2.Scalar(primitive=primitive))


def promise(node_id: str, var: str = "o0") -> literals_pb2.BindingData:
    """An output of a node."""
    data = literals_pb2.BindingData()
    data.promise.node_id, data.promise.var = node_id, var
    return data


def job(**nodes: literals_pb2.BindingData) -> dynamic_job_pb2.DynamicJobSpec:
    """Nodes of task `t`, each with what is bound to it; the last one gives the job's output."""
    made = dynamic_job_pb2.DynamicJobSpec()
    for node_id, data in nodes.items():
        node = made.nodes.add(id=node_id, inputs=[literals_pb2.Binding(var="a", binding=data)])
        node.task_node.reference_id.CopyFrom(task().id)
    made.outputs.add(var="o0", binding=promise(list(nodes)[-1]))
    return made


@pytest.mark.parametrize(
    ("program", "inputs"), dynamics.DYNAMICS, ids=lambda one: getattr(one, "name", "").rpartition(".")[2]
)
def test_what_flytekit_writes_compiles_alone(program: Any, inputs: dict[str, Any], tmp_path: Path) -> None:
    written = dynamics.job_of(program, inputs, tmp_path)
    needed = dynamic.required_by(written)
    assert needed.tasks == ()
    plans = Registry(dynamics.programs.launched).plans if needed.launch_plans else {}
    closure = dynamic.compile_dynamic(ID, written, dynamics.interface_of(program), {}, plans)
    template = closure.primary.template
    assert [node.id for node in template.nodes] == [START_NODE_ID, END_NODE_ID, *(node.id for node in written.nodes)]
    assert template.interface.outputs == dynamics.interface_of(program).outputs
    assert list(template.outputs) == list(written.outputs)
    # Everything that a walk of it will ask for is there.
    indexed = Closure(closure)
    for graph in (indexed.primary, *(indexed.graph(id) for id in indexed.sub_workflows)):
        for id in required_entities(graph.template).tasks:
            assert id in indexed.tasks
    # And stock flytekit can show it.
    registry = Registry(dynamics.programs.launched)
    remote = registry.read_back(closure)
    assert [node.id for node in remote.flyte_nodes] == [node.id for node in written.nodes]


def test_a_dynamic_of_flytekit_without_nodes_leaves_outputs_and_no_job(tmp_path: Path) -> None:
    assert isinstance(dynamics.run(dynamics.nothing, {"n": 3}, tmp_path), LiteralMap)


def test_a_job_without_nodes_has_outputs() -> None:
    written = dynamic_job_pb2.DynamicJobSpec(outputs=[literals_pb2.Binding(var="o0", binding=integer(3))])
    closure = dynamic.compile_dynamic(ID, written, TO_INT, {}, {})
    assert [node.id for node in closure.primary.template.nodes] == [START_NODE_ID, END_NODE_ID]
    assert closure.primary.template.outputs[0].binding == integer(3)
    assert list(closure.primary.connections.downstream[START_NODE_ID].ids) == [END_NODE_ID]


def test_launch_plans_and_tasks_that_are_registered_are_asked_for(tmp_path: Path) -> None:
    written = dynamics.job_of(dynamics.with_plans, {"a": 1}, tmp_path)
    names = [plan.name for plan in dynamic.required_by(written).launch_plans]
    assert names == ["core.compiler.chain_plan", "core.compiler.fan_out_fixed"]
    missing_task = job(n0=integer(1))
    assert dynamic.required_by(missing_task).tasks == (EntityId.of(task().id),)
    missing_task.tasks.append(task())
    assert dynamic.required_by(missing_task).tasks == ()


def test_a_registered_task_comes_with_the_closure() -> None:
    id = EntityId.of(task().id)
    closure = dynamic.compile_dynamic(ID, job(n0=integer(1)), TO_INT, {id: compile_task(id, task())}, {})
    assert [EntityId.of(one.template.id) for one in closure.tasks] == [id]


def test_nodes_may_be_listed_in_any_order() -> None:
    written = job(d0=integer(1), d1=promise("d0"), d2=promise("d1"))
    written.tasks.append(task())
    nodes = list(written.nodes)
    random.Random(1).shuffle(nodes)
    assert [node.id for node in nodes] != ["d0", "d1", "d2"]
    del written.nodes[:]
    written.nodes.extend(nodes)
    closure = dynamic.compile_dynamic(ID, written, TO_INT, {}, {})
    assert upstream(closure.primary) == {"d0": [START_NODE_ID], "d1": ["d0"], "d2": ["d1"], END_NODE_ID: ["d2"]}


def test_the_id_is_the_same_whenever_it_is_made_and_another_for_each_attempt() -> None:
    assert dynamic.workflow_id(X, "n0", 0) == ID
    assert (ID.project, ID.domain, ID.name, ID.kind) == ("p", "development", "dynamic_n0", ResourceType.WORKFLOW)
    others = {
        dynamic.workflow_id(X, "n0", 1),
        dynamic.workflow_id(X, "n1", 0),
        dynamic.workflow_id(ExecutionId("p", "development", "y"), "n0", 0),
    }
    assert len({ID, *others}) == 4


def wrong_type(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    written.nodes[0].inputs[0].binding.scalar.primitive.string_value = "seven"


def lost_output(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    del written.outputs[:]


def unknown_node(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    written.outputs[0].binding.promise.node_id = "elsewhere"


def an_input_of_its_own(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    written.nodes[0].inputs[0].binding.promise.var = "n"


def unknown_plan(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    node = workflow_pb2.Node(id="d9")
    node.workflow_node.launchplan_ref.name = "lost"
    written.nodes.append(node)


def unknown_task(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    written.nodes[0].task_node.reference_id.name = "lost"


def bad_task(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    written.tasks[0].container.image = ""


def two_tasks_of_one_name(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    written.tasks.append(task())
    written.tasks[-1].container.image = "example.org/other"


def two_nodes_of_one_name(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    written.nodes.append(written.nodes[0])


def cycle(written: dynamic_job_pb2.DynamicJobSpec) -> None:
    written.nodes[0].inputs[0].binding.CopyFrom(promise("d0"))


@pytest.mark.parametrize(
    ("spoil", "code", "where"),
    [
        (wrong_type, "MismatchingTypes", "d0"),
        (lost_output, "ParameterNotBound", END_NODE_ID),
        (unknown_node, "NodeReferenceNotFound", END_NODE_ID),
        (an_input_of_its_own, "VariableNameNotFound", "d0"),
        (unknown_plan, "WorkflowReferenceNotFound", "d9"),
        (unknown_task, "TaskReferenceNotFound", "d0"),
        (bad_task, "ValueRequired", "t/container"),
        (two_tasks_of_one_name, "ValueCollision", "t"),
        (two_nodes_of_one_name, "DuplicateId", "d0"),
        (cycle, "CycleDetected", "d0"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_mistake_is_named(spoil: Any, code: str, where: str) -> None:
    written = job(d0=integer(1))
    written.tasks.append(task())
    dynamic.compile_dynamic(ID, written, TO_INT, {}, {})
    spoil(written)
    with pytest.raises(CompileFailed) as caught:
        dynamic.compile_dynamic(ID, written, TO_INT, {}, {})
    assert (code, where) in [(problem.code, problem.node_id) for problem in caught.value.found]


def test_outputs_are_those_that_the_task_declares() -> None:
    written = job(d0=integer(1))
    written.tasks.append(task())
    with pytest.raises(CompileFailed, match="MismatchingTypes, Node Id: end-node"):
        dynamic.compile_dynamic(ID, written, interface({}, {"o0": STR}), {}, {})


def test_more_nodes_than_allowed_are_refused() -> None:
    written = job(**{f"d{i}": integer(i) for i in range(5)})
    written.tasks.append(task())
    assert dynamic.compile_dynamic(ID, written, TO_INT, {}, {}, nodes_max=5)
    with pytest.raises(CompileFailed, match="TooManyNodes"):
        dynamic.compile_dynamic(ID, written, TO_INT, {}, {}, nodes_max=4)


def test_a_launch_plan_is_checked_against_what_is_bound(tmp_path: Path) -> None:
    written = dynamics.job_of(dynamics.with_plans, {"a": 1}, tmp_path)
    plans: dict[EntityId, launch_plan_pb2.LaunchPlan] = Registry(dynamics.programs.launched).plans
    fixed = next(id for id in plans if id.name == "core.compiler.fan_out_fixed")
    plans[fixed].closure.expected_inputs.parameters["more"].required = True
    plans[fixed].closure.expected_inputs.parameters["more"].var.type.CopyFrom(INT)
    with pytest.raises(CompileFailed, match="ParameterNotBound"):
        dynamic.compile_dynamic(ID, written, dynamics.interface_of(dynamics.with_plans), {}, plans)


def test_the_same_job_gives_the_same_bytes(tmp_path: Path) -> None:
    written = dynamics.job_of(dynamics.with_workflow, {"a": 1}, tmp_path)

    def compiled() -> compiler_pb2.CompiledWorkflowClosure:
        return dynamic.compile_dynamic(ID, written, dynamics.interface_of(dynamics.with_workflow), {}, {})

    assert compiled().SerializeToString(deterministic=True) == compiled().SerializeToString(deterministic=True)
