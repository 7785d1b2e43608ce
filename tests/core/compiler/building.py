"""Workflows, tasks and nodes in a line each."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from core.types.samples import value
from sailplane_core.compiler import compile_workflow
from sailplane_core.errors import CompileFailed, Problem
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.core import (
    compiler_pb2,
    condition_pb2,
    interface_pb2,
    literals_pb2,
    tasks_pb2,
    types_pb2,
    workflow_pb2,
)

Types = Mapping[str, types_pb2.LiteralType]
Data = literals_pb2.BindingData
Node = workflow_pb2.Node


def task_id(name: str) -> EntityId:
    """A task of the test project."""
    return EntityId(ResourceType.TASK, "p", "development", name, "1")


def workflow_id(name: str) -> EntityId:
    """A workflow of the test project."""
    return EntityId(ResourceType.WORKFLOW, "p", "development", name, "1")


def plan_id(name: str) -> EntityId:
    """A launch plan of the test project."""
    return EntityId(ResourceType.LAUNCH_PLAN, "p", "development", name, "1")


def variables(types: Types) -> interface_pb2.VariableMap:
    """Variables of these types."""
    return interface_pb2.VariableMap(
        variables={name: interface_pb2.Variable(type=one, description=name) for name, one in types.items()}
    )


def interface(inputs: Types, outputs: Types) -> interface_pb2.TypedInterface:
    """What is taken and what is given."""
    return interface_pb2.TypedInterface(inputs=variables(inputs), outputs=variables(outputs))


def tasks(**interfaces: tuple[Types, Types]) -> dict[EntityId, compiler_pb2.CompiledTask]:
    """Compiled tasks by name, each with its inputs and outputs."""
    result: dict[EntityId, compiler_pb2.CompiledTask] = {}
    for name, (inputs, outputs) in interfaces.items():
        template = tasks_pb2.TaskTemplate(id=task_id(name).to_message(), interface=interface(inputs, outputs))
        result[task_id(name)] = compiler_pb2.CompiledTask(template=template)
    return result


def launch_plan(
    name: str, inputs: Types, outputs: Types, defaults: Mapping[str, object] | None = None
) -> dict[EntityId, launch_plan_pb2.LaunchPlan]:
    """A launch plan; inputs with a default are not required."""
    plan = launch_plan_pb2.LaunchPlan(id=plan_id(name).to_message())
    for one, literal_type in inputs.items():
        parameter = plan.closure.expected_inputs.parameters[one]
        parameter.var.type.CopyFrom(literal_type)
        if defaults and one in defaults:
            parameter.default.CopyFrom(value(defaults[one]))
        else:
            parameter.required = True
    plan.closure.expected_outputs.CopyFrom(variables(outputs))
    return {plan_id(name): plan}


def promise(reference: str, *path: str | int) -> Data:
    """`n0.x` is output `x` of node `n0`, `.x` is input `x` of the workflow; then attributes."""
    node_id, _, variable = reference.partition(".")
    steps = [
        types_pb2.PromiseAttribute(**{"int_value" if isinstance(step, int) else "string_value": step}) for step in path
    ]
    return Data(promise=types_pb2.OutputReference(node_id=node_id, var=variable, attr_path=steps))


def data(bound: object) -> Data:
    """A promise as it is; literals, lists and dicts of both otherwise; a string with a dot is a promise."""
    if isinstance(bound, Data):
        return bound
    if isinstance(bound, literals_pb2.Literal):
        return Data(scalar=bound.scalar)
    if isinstance(bound, str) and "." in bound:
        return promise(bound)
    if isinstance(bound, Mapping):
        parts = {name: data(one) for name, one in bound.items()}
        return Data(map=literals_pb2.BindingDataMap(bindings=parts))
    if isinstance(bound, Sequence) and not isinstance(bound, str):
        return Data(collection=literals_pb2.BindingDataCollection(bindings=[data(one) for one in bound]))
    return Data(scalar=value(bound).scalar)


def bindings(bound: Mapping[str, object]) -> list[literals_pb2.Binding]:
    """What is bound to what."""
    return [literals_pb2.Binding(var=name, binding=data(one)) for name, one in bound.items()]


def node(id: str, after: Sequence[str] = (), aliases: Mapping[str, str] | None = None, **bound: object) -> Node:
    """A node that runs nothing yet."""
    renamed = [workflow_pb2.Alias(var=name, alias=alias) for name, alias in (aliases or {}).items()]
    return Node(id=id, upstream_node_ids=after, inputs=bindings(bound), output_aliases=renamed)


def run(
    id: str, task: str, after: Sequence[str] = (), aliases: Mapping[str, str] | None = None, **bound: object
) -> Node:
    """A node that runs a task."""
    result = node(id, after, aliases, **bound)
    result.task_node.reference_id.CopyFrom(task_id(task).to_message())
    return result


def sub(id: str, workflow: str, **bound: object) -> Node:
    """A node that runs a sub-workflow."""
    result = node(id, **bound)
    result.workflow_node.sub_workflow_ref.CopyFrom(workflow_id(workflow).to_message())
    return result


def launch(id: str, plan: str, **bound: object) -> Node:
    """A node that runs a launch plan."""
    result = node(id, **bound)
    result.workflow_node.launchplan_ref.CopyFrom(plan_id(plan).to_message())
    return result


def array(id: str, inner: Node, bound: Mapping[str, object], **fields: Any) -> Node:
    """A node that runs another one over lists."""
    result = node(id, **bound)
    result.array_node.CopyFrom(workflow_pb2.ArrayNode(node=inner, **fields))
    return result


def equals(variable: str, right: object) -> condition_pb2.BooleanExpression:
    """`variable == right`."""
    left = condition_pb2.Operand(var=variable)
    literal = condition_pb2.Operand(primitive=value(right).scalar.primitive)
    return condition_pb2.BooleanExpression(
        comparison=condition_pb2.ComparisonExpression(left_value=left, right_value=literal)
    )


def branch(
    id: str,
    bound: Mapping[str, object],
    *cases: tuple[condition_pb2.BooleanExpression | None, Node | None],
    otherwise: Node | str | None = None,
) -> Node:
    """A branch: cases of condition and node, and an else node or an error message."""
    result = node(id, **bound)
    result.branch_node.SetInParent()
    if_else = result.branch_node.if_else
    blocks = [workflow_pb2.IfBlock(condition=condition, then_node=then) for condition, then in cases]
    if blocks:
        if_else.case.CopyFrom(blocks[0])
        if_else.other.extend(blocks[1:])
    if isinstance(otherwise, str):
        if_else.error.message = otherwise
    elif otherwise is not None:
        if_else.else_node.CopyFrom(otherwise)
    return result


def gate(id: str, condition: Any, **bound: object) -> Node:
    """A node that waits."""
    result = node(id, **bound)
    if condition is not None:
        kind = {"ApproveCondition": "approve", "SignalCondition": "signal", "SleepCondition": "sleep"}
        result.gate_node.CopyFrom(workflow_pb2.GateNode(**{kind[type(condition).__name__]: condition}))
    else:
        result.gate_node.SetInParent()
    return result


def workflow(
    *nodes: Node,
    name: str = "wf",
    inputs: Types | None = None,
    outputs: Types | None = None,
    bound: Mapping[str, object] | None = None,
    on_failure: Node | None = None,
) -> workflow_pb2.WorkflowTemplate:
    """A workflow as clients write it; `bound` is what its outputs are bound to."""
    return workflow_pb2.WorkflowTemplate(
        id=workflow_id(name).to_message(),
        interface=interface(inputs or {}, outputs or {}),
        nodes=nodes,
        outputs=bindings(bound or {}),
        failure_node=on_failure,
    )


def compiled(
    template: workflow_pb2.WorkflowTemplate,
    known: Mapping[EntityId, compiler_pb2.CompiledTask],
    subs: Sequence[workflow_pb2.WorkflowTemplate] = (),
    plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan] | None = None,
    **options: Any,
) -> compiler_pb2.CompiledWorkflowClosure:
    """What the compiler makes of it."""
    return compile_workflow(EntityId.of(template.id), template, subs, known, plans or {}, **options)


def found(
    template: workflow_pb2.WorkflowTemplate,
    known: Mapping[EntityId, compiler_pb2.CompiledTask],
    subs: Sequence[workflow_pb2.WorkflowTemplate] = (),
    plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan] | None = None,
    **options: Any,
) -> set[tuple[str, str]]:
    """What the compiler complains of: code and node."""
    return {(problem.code, problem.node_id) for problem in problems(template, known, subs, plans, **options)}


def problems(
    template: workflow_pb2.WorkflowTemplate,
    known: Mapping[EntityId, compiler_pb2.CompiledTask],
    subs: Sequence[workflow_pb2.WorkflowTemplate] = (),
    plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan] | None = None,
    **options: Any,
) -> Sequence[Problem]:
    """What the compiler complains of, in full."""
    with pytest.raises(CompileFailed) as failure:
        compiled(template, known, subs, plans, **options)
    return failure.value.found


def upstream(one: compiler_pb2.CompiledWorkflow) -> dict[str, list[str]]:
    """Who waits for whom."""
    return {node_id: list(ids.ids) for node_id, ids in one.connections.upstream.items()}


def downstream(one: compiler_pb2.CompiledWorkflow) -> dict[str, list[str]]:
    """Who is waited for by whom."""
    return {node_id: list(ids.ids) for node_id, ids in one.connections.downstream.items()}
