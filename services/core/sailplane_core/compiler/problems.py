"""What the compiler may find, each with Flyte's word for it (`flytepropeller/pkg/compiler/errors`, 1.16).

`node_id` is where it was found; within a sub-workflow it is `<workflow name>/<node id>`. Problems of size are ours.
"""

from collections.abc import Iterable, Sequence

from sailplane_protos.core import types_pb2

from ..errors import Problem
from ..types import describe


def value_required(node_id: str, field: str) -> Problem:
    """A field that must be set is not."""
    return Problem("ValueRequired", node_id, f"{field} is missing.")


def invalid_value(node_id: str, field: str, why: str) -> Problem:
    """A field is set to what it must not be."""
    return Problem("InvalidValue", node_id, f"{field} is invalid: {why}.")


def unrecognized_value(node_id: str, field: str, why: str) -> Problem:
    """A text that should have a certain form has another."""
    return Problem("UnrecognizedValue", node_id, f"{field} is not understood: {why}.")


def no_nodes(workflow: str) -> Problem:
    """A workflow without nodes."""
    return Problem("NoNodesFound", workflow, f"Workflow {workflow} has no nodes.")


def duplicate_id(node_id: str, why: str) -> Problem:
    """Two nodes go by one id, or a node by a reserved one. (Flyte lets both pass.)"""
    return Problem("DuplicateId", node_id, why)


def invalid_node_id(node_id: str) -> Problem:
    """A node id that cannot be part of a path: results lie below it. (Flyte lets it pass.)"""
    why = "An id has at most 255 characters, none of them a slash or a control character, and is not '.' or '..'."
    return Problem("InvalidNodeId", node_id, why)


def duplicate_alias(node_id: str, alias: str) -> Problem:
    """An output is renamed twice, or two outputs are given one name."""
    return Problem("DuplicateAlias", node_id, f"Output alias {alias!r} is used more than once.")


def value_collision(workflow: str) -> Problem:
    """Two different workflows are listed under one id."""
    return Problem("ValueCollision", workflow, f"Workflow {workflow} is listed twice, with different contents.")


def node_not_found(node_id: str, reference: str) -> Problem:
    """A binding or an upstream id names a node that is not in this workflow."""
    return Problem("NodeReferenceNotFound", node_id, f"There is no node {reference!r} in this workflow.")


def task_not_found(node_id: str, task: str) -> Problem:
    """A node runs a task that is not registered."""
    return Problem("TaskReferenceNotFound", node_id, f"Task {task} is not registered.")


def workflow_not_found(node_id: str, workflow: str) -> Problem:
    """A node runs a launch plan that is not registered, or a sub-workflow that is not listed."""
    return Problem("WorkflowReferenceNotFound", node_id, f"{workflow} is not registered, or not listed.")


def variable_not_found(node_id: str, owner: str, variable: str) -> Problem:
    """An input or output is named that `owner` does not have."""
    return Problem("VariableNameNotFound", node_id, f"Node {owner!r} has no variable {variable!r}.")


def not_bound(node_id: str, variable: str) -> Problem:
    """An input, or an output of the workflow, that must have a value has none."""
    return Problem("ParameterNotBound", node_id, f"{variable!r} is not bound.")


def bound_twice(node_id: str, variable: str) -> Problem:
    """Two bindings for one input."""
    return Problem("ParameterBoundMoreThanOnce", node_id, f"{variable!r} is bound more than once.")


def mismatching_types(node_id: str, what: str, found: types_pb2.LiteralType, wanted: types_pb2.LiteralType) -> Problem:
    """A value of one type where another is declared."""
    return Problem(
        "MismatchingTypes", node_id, f"{what} is of type {describe(found)}, which does not fit {describe(wanted)}."
    )


def mismatching_bindings(node_id: str, variable: str, shape: str, wanted: types_pb2.LiteralType) -> Problem:
    """A list or a map is bound where the type is neither."""
    return Problem("MismatchingBindings", node_id, f"{variable!r} is bound to a {shape}, but is {describe(wanted)}.")


def ambiguous_union(node_id: str, variable: str, wanted: types_pb2.LiteralType) -> Problem:
    """What is bound fits more than one alternative of a union."""
    return Problem(
        "AmbiguousBindingUnionValue", node_id, f"What {variable!r} is bound to fits {describe(wanted)} in several ways."
    )


def incompatible_union(node_id: str, variable: str, wanted: types_pb2.LiteralType) -> Problem:
    """What is bound fits no alternative of a union."""
    return Problem(
        "IncompatibleBindingUnionValue",
        node_id,
        f"What {variable!r} is bound to fits no alternative of {describe(wanted)}.",
    )


def illegal_enum_value(node_id: str, variable: str, wanted: types_pb2.LiteralType) -> Problem:
    """A text that is none of an enum's values."""
    return Problem("IllegalEnumValue", node_id, f"{variable!r} is bound to no value of {describe(wanted)}.")


def field_not_found(node_id: str, source: str, found: types_pb2.LiteralType, field: str) -> Problem:
    """An attribute is taken of a value whose type does not have it."""
    return Problem("FieldNotFound", node_id, f"{source} is of type {describe(found)}, which has no {field}.")


def no_condition(node_id: str) -> Problem:
    """A case of a branch without a condition."""
    return Problem("BranchNodeHasNoCondition", node_id, "A case of the branch has no condition.")


def no_default(node_id: str) -> Problem:
    """A branch without an else."""
    return Problem("BranchNodeHasNoDefault", node_id, "The branch has neither an else node nor an error instead.")


def no_then_node(node_id: str) -> Problem:
    """A case of a branch without a node."""
    return Problem("BranchNodeIdNotFound", node_id, "A case of the branch has no node.")


def no_gate_condition(node_id: str) -> Problem:
    """A gate that waits for nothing."""
    return Problem("NoConditionFound", node_id, "The gate has no condition.")


def cycle(node_id: str, path: Sequence[str]) -> Problem:
    """Nodes that wait for each other."""
    return Problem("CycleDetected", node_id, f"These nodes wait for each other: {_arrows(path)}.")


def recursive_workflow(node_id: str, path: Sequence[str]) -> Problem:
    """A workflow that contains itself. A launch plan node may start it again, a sub-workflow node may not."""
    return Problem("CycleDetected", node_id, f"These workflows contain each other: {_arrows(path)}.")


def too_many_nodes(workflow: str, count: int, limit: int) -> Problem:
    """More nodes than an execution may have."""
    return Problem("TooManyNodes", workflow, f"Workflow {workflow} has {count} nodes, at most {limit} are allowed.")


def nested_too_deep(node_id: str, what: str, limit: int) -> Problem:
    """More levels within one another than can be followed."""
    return Problem("NestedTooDeep", node_id, f"{what} nest deeper than {limit} levels.")


def unreadable(where: str) -> Problem:
    """Messages within messages, of whatever kinds, that no client could parse."""
    return Problem("NestedTooDeep", where, "Something nests deeper than what protobuf can read back.")


_STEPS_SHOWN_MAX = 20


def _arrows(path: Iterable[str]) -> str:
    steps = list(path)
    if len(steps) > _STEPS_SHOWN_MAX:
        half = _STEPS_SHOWN_MAX // 2
        steps = [*steps[:half], "…", *steps[-half:]]
    return " > ".join(steps)
