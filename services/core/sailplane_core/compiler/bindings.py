"""Bindings: every input bound once, to something that fits its type."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sailplane_protos.core import literals_pb2, types_pb2

from ..errors import InvalidRequest, Problem
from ..types import accepts, castable, is_none, is_optional, type_of, variants
from . import problems, walk
from .interfaces import Outputs

Sources = Mapping[str, Outputs | None]
"""Node id to what it gives. None: the node is there, but what it gives could not be found out."""

_INDEXED_VARIABLE = re.compile(r"\[(\d+)\]\.(.+)")
"""`[2].x`: element 2 of output `x`, an older way of saying it than attribute paths."""


def check(
    node_id: str,
    bindings: Iterable[literals_pb2.Binding],
    inputs: Mapping[str, types_pb2.LiteralType],
    sources: Sources,
) -> list[Problem]:
    """What is wrong with the bindings of a node that takes `inputs`. Optional inputs may be left unbound."""
    found: list[Problem] = []
    bound: set[str] = set()
    for binding in bindings:
        if binding.var not in inputs:
            found.append(problems.variable_not_found(node_id, node_id, binding.var))
        elif binding.var in bound:
            found.append(problems.bound_twice(node_id, binding.var))
        else:
            sink = _Sink(node_id, binding.var, sources)
            found.extend(sink.check(binding.binding, inputs[binding.var]))
        bound.add(binding.var)
    missing = [name for name, wanted in inputs.items() if name not in bound and not is_optional(wanted)]
    found.extend(problems.not_bound(node_id, name) for name in sorted(missing))
    return found


def resolve(
    node_id: str, bindings: Iterable[literals_pb2.Binding], sources: Sources, found: list[Problem]
) -> dict[str, types_pb2.LiteralType | None]:
    """The types of what is bound, for a node that takes whatever it is given: a branch, a gate that passes it on."""
    result: dict[str, types_pb2.LiteralType | None] = {}
    for binding in bindings:
        if binding.var in result:
            found.append(problems.bound_twice(node_id, binding.var))
        else:
            result[binding.var] = _Sink(node_id, binding.var, sources).resolve(binding.binding, found)
    return result


@dataclass(frozen=True, slots=True)
class _Sink:
    """One input of one node, and where its value may come from."""

    node_id: str
    variable: str
    sources: Sources

    def check(self, data: literals_pb2.BindingData, wanted: types_pb2.LiteralType) -> list[Problem]:
        match data.WhichOneof("value"):
            case "scalar":
                return self._check_literal(literals_pb2.Literal(scalar=data.scalar), wanted)
            case "offloaded_metadata":
                return self._check_literal(literals_pb2.Literal(offloaded_metadata=data.offloaded_metadata), wanted)
            case "promise":
                return self._check_promise(data.promise, wanted)
            case "collection" | "map" as shape:
                return self._check_parts(data, shape, wanted)
            case None:
                return [problems.value_required(self.node_id, f"The binding of {self.variable!r}")]

    def resolve(self, data: literals_pb2.BindingData, found: list[Problem]) -> types_pb2.LiteralType | None:
        """The type of what is bound, None if it cannot be known."""
        match data.WhichOneof("value"):
            case "promise":
                return self._source_type(data.promise, found)
            case "scalar" | "offloaded_metadata":
                literal = literals_pb2.Literal(scalar=data.scalar)
                if data.HasField("offloaded_metadata"):
                    literal = literals_pb2.Literal(offloaded_metadata=data.offloaded_metadata)
                return self._literal_type(literal, found)
            case "collection" | "map" as shape:
                part = _one_type([self.resolve(part, found) for part in walk.inner_data(data)])
                if part is None:
                    return None
                is_list = shape == "collection"
                return types_pb2.LiteralType(
                    collection_type=part if is_list else None, map_value_type=None if is_list else part
                )
            case None:
                found.append(problems.value_required(self.node_id, f"The binding of {self.variable!r}"))
                return None

    def _check_literal(self, literal: literals_pb2.Literal, wanted: types_pb2.LiteralType) -> list[Problem]:
        found: list[Problem] = []
        own = self._literal_type(literal, found)
        if own is None or accepts(wanted, literal):
            return found
        what = f"The value of {self.variable!r}"
        if not castable(own, wanted):
            return [problems.mismatching_types(self.node_id, what, own, wanted)]
        if any(variant.HasField("enum_type") for variant in variants(wanted)):
            return [problems.illegal_enum_value(self.node_id, self.variable, wanted)]
        return [problems.unrecognized_value(self.node_id, what, "it is not of the type that it names")]

    def _literal_type(self, literal: literals_pb2.Literal, found: list[Problem]) -> types_pb2.LiteralType | None:
        try:
            return type_of(literal)
        except InvalidRequest as error:
            found.append(problems.unrecognized_value(self.node_id, f"The value of {self.variable!r}", str(error)))
            return None

    def _check_promise(self, promise: types_pb2.OutputReference, wanted: types_pb2.LiteralType) -> list[Problem]:
        found: list[Problem] = []
        source = self._source_type(promise, found)
        if source is not None and not castable(source, wanted):
            what = f"{_name(promise)}, bound to {self.variable!r},"
            found.append(problems.mismatching_types(self.node_id, what, source, wanted))
        return found

    def _check_parts(self, data: literals_pb2.BindingData, shape: str, wanted: types_pb2.LiteralType) -> list[Problem]:
        match wanted.WhichOneof("type"):
            case "union_type":
                fitting = sum(not self.check(data, variant) for variant in wanted.union_type.variants)
                if fitting == 1:
                    return []
                report = problems.ambiguous_union if fitting else problems.incompatible_union
                return [report(self.node_id, self.variable, wanted)]
            case "collection_type" if shape == "collection":
                element = wanted.collection_type
            case "map_value_type" if shape == "map":
                element = wanted.map_value_type
            case _:
                return [problems.mismatching_bindings(self.node_id, self.variable, shape, wanted)]
        return [problem for part in walk.inner_data(data) for problem in self.check(part, element)]

    def _source_type(self, promise: types_pb2.OutputReference, found: list[Problem]) -> types_pb2.LiteralType | None:
        """The type of what is promised, None if it cannot be known: unknown nodes are reported with the edges."""
        outputs = self.sources.get(promise.node_id)
        if outputs is None:
            return None
        indexed = _INDEXED_VARIABLE.fullmatch(promise.var)
        variable = indexed[2] if indexed else promise.var
        if variable not in outputs:
            found.append(problems.variable_not_found(self.node_id, promise.node_id, variable))
            return None
        source = outputs[variable]
        steps = [types_pb2.PromiseAttribute(int_value=0)] if indexed else []
        for step in (*steps, *promise.attr_path):
            if source is None:
                return None
            inner, is_known = _attribute(source, step)
            if not is_known:
                found.append(problems.field_not_found(self.node_id, _name(promise), source, _step_text(step)))
            source = inner
        return source


def _one_type(parts: Iterable[types_pb2.LiteralType | None]) -> types_pb2.LiteralType | None:
    """The type of elements of these types; None if one of them is not known."""
    distinct: list[types_pb2.LiteralType] = []
    for part in parts:
        if part is None:
            return None
        if part not in distinct:
            distinct.append(part)
    if len(distinct) > 1:
        return types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=distinct))
    return distinct[0] if distinct else types_pb2.LiteralType(simple=types_pb2.NONE)


def _attribute(
    source: types_pb2.LiteralType, step: types_pb2.PromiseAttribute
) -> tuple[types_pb2.LiteralType | None, bool]:
    """The type of an element or field, None if only the value will tell; and whether there can be one.

    Where a structure's fields are not described, Flyte takes a field to be of the structure's own type, and so refuses
    most uses of it.
    """
    is_index = step.WhichOneof("value") == "int_value"
    match source.WhichOneof("type"):
        case "collection_type":
            return (source.collection_type, True) if is_index else (None, False)
        case "map_value_type":
            return source.map_value_type, True
        case "union_type":
            present = [variant for variant in source.union_type.variants if not is_none(variant)]
            return _attribute(present[0], step) if len(present) == 1 else (None, True)
        case "simple" if source.simple == types_pb2.STRUCT:
            fields = source.structure.dataclass_type
            if not fields:
                return None, True
            return (fields[step.string_value], True) if step.string_value in fields else (None, False)
        case _:
            return None, False


def _name(promise: types_pb2.OutputReference) -> str:
    steps = "".join(f".{_step_text(step)}" for step in promise.attr_path)
    return f"{promise.node_id}.{promise.var}{steps}"


def _step_text(step: types_pb2.PromiseAttribute) -> str:
    return str(step.int_value) if step.WhichOneof("value") == "int_value" else step.string_value
