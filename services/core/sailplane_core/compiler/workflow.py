"""One workflow, without what is inside its sub-workflows."""

from sailplane_protos.core import compiler_pb2, workflow_pb2

from ..errors import Problem
from ..ids import END_NODE_ID, START_NODE_ID, EntityId
from . import bindings, edges, naming, problems
from .interfaces import Library, types_of
from .nodes import NodeChecker


def compile_one(
    id: EntityId, template: workflow_pb2.WorkflowTemplate, library: Library, found: list[Problem]
) -> compiler_pb2.CompiledWorkflow:
    """Check one workflow and lay its graph. The result may be used only if nothing was added to `found`."""
    prepared = naming.prepare(template, found)
    prepared.id.CopyFrom(id.to_message())
    _check_interface(prepared, found)
    graph = edges.connect(prepared, found)
    nodes = {node.id: node for node in prepared.nodes}
    order, cycles = edges.sort(nodes, graph)
    found.extend(problems.cycle(cycle[0], cycle) for cycle in cycles)

    checker = NodeChecker(library, types_of(prepared.interface.inputs), found)
    for node_id in order:
        if node_id not in (START_NODE_ID, END_NODE_ID):
            checker.check(nodes[node_id])
    if prepared.HasField("failure_node"):
        checker.check(prepared.failure_node)
    outputs = types_of(prepared.interface.outputs)
    found += bindings.check(END_NODE_ID, prepared.outputs, outputs, checker.outputs)
    return compiler_pb2.CompiledWorkflow(template=prepared, connections=graph.to_message())


def _check_interface(template: workflow_pb2.WorkflowTemplate, found: list[Problem]) -> None:
    for direction, types in (
        ("input", types_of(template.interface.inputs)),
        ("output", types_of(template.interface.outputs)),
    ):
        found.extend(
            problems.value_required(START_NODE_ID, f"The type of {direction} {name!r}")
            for name in sorted(types)
            if types[name].WhichOneof("type") is None
        )
