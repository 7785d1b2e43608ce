"""Which case of a branch is taken: its conditions, evaluated on its inputs.

Numbers are compared as numbers, whole or not; every other value only with one of its own kind. An optional value is
looked into, and None is equal to None and to nothing else.
"""

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_protos.core import condition_pb2, literals_pb2, workflow_pb2

from .failures import Failure, FailureKind

_Comparison = condition_pb2.ComparisonExpression
_OPERATORS: Mapping[int, Callable[[Any, Any], bool]] = {
    _Comparison.EQ: eq,
    _Comparison.NEQ: ne,
    _Comparison.GT: gt,
    _Comparison.GTE: ge,
    _Comparison.LT: lt,
    _Comparison.LTE: le,
}
_NUMBERS = ("integer", "float_value")

MALFORMED = "MalformedBranchUserError"
"""Flyte's code for a branch that cannot be decided."""


class _Incomparable(Exception):
    """A condition cannot be evaluated; the message says why."""


def choose(branch: workflow_pb2.BranchNode, inputs: literals_pb2.LiteralMap) -> str | Failure:
    """The id of the node of the first case whose condition holds, or of the else case; why there is none.

    `inputs` are the branch node's own, by the names that conditions call them.
    """
    if_else = branch.if_else
    try:
        for block in (if_else.case, *if_else.other):
            if _holds(block.condition, inputs):
                return block.then_node.id
    except _Incomparable as error:
        return _failure(MALFORMED, f"a condition cannot be evaluated: {error}")
    match if_else.WhichOneof("default"):
        case "else_node":
            return if_else.else_node.id
        case "error":
            return _failure("UserProvidedError", if_else.error.message)
        case None:
            return _failure(MALFORMED, "no condition holds, and there is no else case")


def _failure(code: str, message: str) -> Failure:
    return Failure(code, message, FailureKind.USER, retryable=False)


def _holds(expression: condition_pb2.BooleanExpression, inputs: literals_pb2.LiteralMap) -> bool:
    """Evaluated as Python would: the right side only if the left one leaves it open."""
    match expression.WhichOneof("expr"):
        case "comparison":
            return _compare(expression.comparison, inputs)
        case "conjunction":
            both = expression.conjunction
            left = _holds(both.left_expression, inputs)
            if left == (both.operator == condition_pb2.ConjunctionExpression.OR):
                return left
            return _holds(both.right_expression, inputs)
        case None:
            raise _Incomparable("it is empty")


def _compare(comparison: condition_pb2.ComparisonExpression, inputs: literals_pb2.LiteralMap) -> bool:
    left, right = _operand(comparison.left_value, inputs), _operand(comparison.right_value, inputs)
    operator = _OPERATORS.get(comparison.operator)
    if operator is None:
        raise _Incomparable(f"operator {comparison.operator} is not known")
    if left is None or right is None:
        if operator not in (eq, ne):
            raise _Incomparable("None is neither greater nor less than anything")
        return operator(left is None, right is None)
    left_kind, right_kind = left.WhichOneof("value"), right.WhichOneof("value")
    if left_kind is None or right_kind is None:
        raise _Incomparable("a value is empty")
    if left_kind != right_kind and not (left_kind in _NUMBERS and right_kind in _NUMBERS):
        raise _Incomparable(f"a value of kind {left_kind} cannot be compared with one of kind {right_kind}")
    return operator(_value(left, left_kind), _value(right, right_kind))


def _operand(operand: condition_pb2.Operand, inputs: literals_pb2.LiteralMap) -> literals_pb2.Primitive | None:
    match operand.WhichOneof("val"):
        case "var":
            if operand.var not in inputs.literals:
                raise _Incomparable(f"there is no input {operand.var!r}")
            return _primitive(operand.var, inputs.literals[operand.var])
        case "scalar":
            return _primitive("a constant", literals_pb2.Literal(scalar=operand.scalar))
        case "primitive":
            # Superseded by `scalar` in the contract, and still what flytekit sends.
            return operand.primitive  # pyright: ignore[reportDeprecated]
        case None:
            raise _Incomparable("one of its sides is empty")


def _primitive(name: str, literal: literals_pb2.Literal) -> literals_pb2.Primitive | None:
    """The primitive in a literal; None for None."""
    while literal.scalar.WhichOneof("value") == "union":
        literal = literal.scalar.union.value
    match literal.scalar.WhichOneof("value"):
        case "primitive":
            return literal.scalar.primitive
        case "none_type":
            return None
        case kind:
            raise _Incomparable(f"{name} is no simple value but {kind or literal.WhichOneof('value') or 'nothing'}")


def _value(primitive: literals_pb2.Primitive, kind: str) -> Any:
    value = getattr(primitive, kind)
    return (value.seconds, value.nanos) if isinstance(value, Timestamp | Duration) else value
