"""What a branch compares to choose a case."""

from collections.abc import Mapping

from sailplane_protos.core import condition_pb2, literals_pb2, types_pb2, workflow_pb2

from ..errors import InvalidRequest, Problem
from ..types import castable, type_of, variants
from . import problems


def check(
    node_id: str, block: workflow_pb2.IfBlock, bound: Mapping[str, types_pb2.LiteralType | None]
) -> list[Problem]:
    """What is wrong with a case's condition. `bound` has the types of the branch node's own bindings."""
    if not block.HasField("condition"):
        return [problems.no_condition(node_id)]
    found: list[Problem] = []
    stack = [block.condition]
    while stack:
        expression = stack.pop()
        match expression.WhichOneof("expr"):
            case "comparison":
                found.extend(_check_comparison(node_id, expression.comparison, bound))
            case "conjunction":
                stack += [expression.conjunction.right_expression, expression.conjunction.left_expression]
            case None:
                found.append(problems.no_condition(node_id))
    return found


def _check_comparison(
    node_id: str,
    comparison: condition_pb2.ComparisonExpression,
    bound: Mapping[str, types_pb2.LiteralType | None],
) -> list[Problem]:
    """Both sides must be of types one of which fits the other, or numbers. (For Flyte numbers must be of one type.)"""
    found: list[Problem] = []
    left = _operand_type(node_id, "The left side of a comparison", comparison.left_value, bound, found)
    right = _operand_type(node_id, "The right side of a comparison", comparison.right_value, bound, found)
    if left is not None and right is not None and not _are_comparable(left, right):
        found.append(problems.mismatching_types(node_id, "The right side of a comparison", right, left))
    return found


def _are_comparable(left: types_pb2.LiteralType, right: types_pb2.LiteralType) -> bool:
    return castable(left, right) or castable(right, left) or (_may_be_number(left) and _may_be_number(right))


def _may_be_number(one: types_pb2.LiteralType) -> bool:
    return any(
        variant.WhichOneof("type") == "simple" and variant.simple in (types_pb2.INTEGER, types_pb2.FLOAT)
        for variant in variants(one)
    )


def _operand_type(
    node_id: str,
    side: str,
    operand: condition_pb2.Operand,
    bound: Mapping[str, types_pb2.LiteralType | None],
    found: list[Problem],
) -> types_pb2.LiteralType | None:
    match operand.WhichOneof("val"):
        case "var":
            if operand.var not in bound:
                found.append(problems.variable_not_found(node_id, node_id, operand.var))
            return bound.get(operand.var)
        case "scalar":
            scalar = operand.scalar
        case "primitive":
            # Superseded by `scalar` in the contract, and still what flytekit sends.
            scalar = literals_pb2.Scalar(primitive=operand.primitive)  # pyright: ignore[reportDeprecated]
        case None:
            found.append(problems.value_required(node_id, side))
            return None
    try:
        return type_of(literals_pb2.Literal(scalar=scalar))
    except InvalidRequest as error:
        found.append(problems.unrecognized_value(node_id, side, str(error)))
        return None
