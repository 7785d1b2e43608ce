"""Arrays: how many items there are, what each gets, how many must succeed, and what comes out.

Every input that is a list of elements is taken apart; `bound_inputs` go whole to every item, as does what is no list.
"""

import math
import struct
from collections.abc import Iterable, Sequence

from sailplane_protos.core import literals_pb2, workflow_pb2

from .failures import Failure, FailureKind


def size(array: workflow_pb2.ArrayNode, inputs: literals_pb2.LiteralMap, items_max: int) -> int | Failure:
    """The number of items: the length of the lists, 1 if there are none; why it cannot be told."""
    lengths = {name: len(elements) for name, elements in _taken_apart(array, inputs).items()}
    if not lengths:
        return 1
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in sorted(lengths.items()))
        return _failure("InvalidArrayLength", f"the lists differ in length ({shown})")
    length = next(iter(lengths.values()))
    if length > items_max:
        return _failure("ArrayTooLarge", f"the array has {length} items, and at most {items_max} are allowed")
    return length


def inputs_of(array: workflow_pb2.ArrayNode, inputs: literals_pb2.LiteralMap, index: int) -> literals_pb2.LiteralMap:
    """What one item gets."""
    taken_apart = _taken_apart(array, inputs)
    result = literals_pb2.LiteralMap()
    for name, literal in inputs.literals.items():
        source = taken_apart[name][index] if name in taken_apart else literal
        result.literals[name].CopyFrom(source)
    return result


def successes_needed(array: workflow_pb2.ArrayNode, items: int) -> int:
    """How many of the items must succeed for the array to succeed: all, unless it says otherwise."""
    match array.WhichOneof("success_criteria"):
        case "min_successes":
            return min(items, array.min_successes)
        case "min_success_ratio":
            return _least_reaching(array.min_success_ratio, items)
        case None:
            return items


def gathered(outputs: Sequence[literals_pb2.LiteralMap | None], names: Iterable[str]) -> literals_pb2.LiteralMap:
    """The array's outputs: one list for each of the names, with None for items that have failed (given as None)."""
    result = literals_pb2.LiteralMap()
    for name in names:
        collection = result.literals[name].collection
        collection.SetInParent()
        for item in outputs:
            literal = collection.literals.add()
            if item is not None and name in item.literals:
                literal.CopyFrom(item.literals[name])
            else:
                literal.scalar.none_type.SetInParent()
    return result


def _least_reaching(ratio: float, items: int) -> int:
    """The least number whose ratio to all items is at least `ratio`, as precisely as the contract's 24 bits can tell.

    0.1 is stored as a little more than that; counted exactly, 2 of 10 items would have to succeed.
    """
    needed = math.ceil(ratio * items)
    if needed > 0:
        (below,) = struct.unpack("f", struct.pack("f", (needed - 1) / items))
        return needed - 1 if below >= ratio else needed
    return needed


def _taken_apart(
    array: workflow_pb2.ArrayNode, inputs: literals_pb2.LiteralMap
) -> dict[str, Sequence[literals_pb2.Literal]]:
    """The inputs whose elements go to one item each. An optional list is looked into."""
    found: dict[str, Sequence[literals_pb2.Literal]] = {}
    for name, literal in inputs.literals.items():
        while literal.scalar.WhichOneof("value") == "union":
            literal = literal.scalar.union.value
        if literal.WhichOneof("value") == "collection" and name not in array.bound_inputs:
            found[name] = literal.collection.literals
    return found


def _failure(code: str, message: str) -> Failure:
    return Failure(code, message, FailureKind.USER, retryable=False)
