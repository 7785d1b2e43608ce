"""A node's inputs, and a workflow's outputs, from its bindings and what the nodes before it wrote."""

import re
from collections.abc import Iterable, Iterator, Mapping

from sailplane_protos.core import literals_pb2, types_pb2

from .attribute_path import PathFailed, attributes, follow
from .failures import Failure, FailureKind
from .ids import START_NODE_ID

_ARRAY_VAR = re.compile(r"\[(\d+)\]\.(.+)")
"""The old form of a promise to one element of an array node's output: `[3].o0`."""


class UnresolvedBinding(Exception):
    """A binding cannot be resolved. `var` is the input it is for, `failure` what the node fails with."""

    def __init__(self, var: str, why: str, *, attribute: bool = False) -> None:
        self.var = var
        # The user wrote the attribute; a missing output is nobody's fault but the engine's or a skipped branch's.
        self.failure = Failure(
            code="PromiseAttributeResolveError" if attribute else "BindingResolutionFailure",
            message=f"Error binding Var [{var}]: {why}",
            kind=FailureKind.USER if attribute else FailureKind.SYSTEM,
            retryable=False,
        )
        super().__init__(self.failure.message)


def promised_nodes(bindings: Iterable[literals_pb2.Binding]) -> set[str]:
    """The nodes whose outputs the bindings need, as the bindings name them: "" stands for the workflow's inputs."""
    return {promise.node_id for promise in _promises(bindings)}


def entered_outputs(bindings: Iterable[literals_pb2.Binding]) -> set[tuple[str, str]]:
    """The outputs that the bindings take a part of, so that the value must be at hand: node id and variable."""
    found: set[tuple[str, str]] = set()
    for promise in _promises(bindings):
        old = _ARRAY_VAR.fullmatch(promise.var)
        if old or promise.attr_path:
            found.add((promise.node_id, old[2] if old else promise.var))
    return found


def _promises(bindings: Iterable[literals_pb2.Binding]) -> Iterator[types_pb2.OutputReference]:
    waiting = [binding.binding for binding in bindings]
    while waiting:
        data = waiting.pop()
        match data.WhichOneof("value"):
            case "promise":
                yield data.promise
            case "collection":
                waiting.extend(data.collection.bindings)
            case "map":
                waiting.extend(data.map.bindings.values())
            case _:
                pass


def resolve_bindings(
    bindings: Iterable[literals_pb2.Binding],
    outputs: Mapping[str, literals_pb2.LiteralMap],
    declared: Mapping[str, types_pb2.LiteralType] | None = None,
) -> literals_pb2.LiteralMap:
    """The literal of every binding. Raises `UnresolvedBinding`.

    `outputs` holds what each promised node wrote, by node id; the workflow's inputs may stand under "" or
    `start-node`. `declared` are the types of the inputs bound, where the caller knows them: they decide what an
    attribute of a structure becomes (see `literals.literal_of`). Everything else goes through as it is.
    """
    resolved = literals_pb2.LiteralMap()
    for binding in bindings:
        wanted = declared.get(binding.var) if declared is not None else None
        _Resolver(binding.var, outputs).fill(resolved.literals[binding.var], binding.binding, wanted)
    return resolved


class _Resolver:
    """Resolves one binding; `var` is for the error."""

    def __init__(self, var: str, outputs: Mapping[str, literals_pb2.LiteralMap]) -> None:
        self._var = var
        self._outputs = outputs

    def fill(
        self,
        literal: literals_pb2.Literal,
        data: literals_pb2.BindingData,
        declared: types_pb2.LiteralType | None,
    ) -> None:
        """Write into `literal` what `data` stands for."""
        match data.WhichOneof("value"):
            case "scalar":
                literal.scalar.CopyFrom(data.scalar)
            case "promise":
                literal.CopyFrom(self._promised(data.promise, declared))
            case "collection":
                literal.collection.SetInParent()
                element_type = _part(declared, "collection_type")
                for element in data.collection.bindings:
                    self.fill(literal.collection.literals.add(), element, element_type)
            case "map":
                literal.map.SetInParent()
                value_type = _part(declared, "map_value_type")
                for key, element in data.map.bindings.items():
                    self.fill(literal.map.literals[key], element, value_type)
            case "offloaded_metadata":
                literal.offloaded_metadata.CopyFrom(data.offloaded_metadata)
            case None:
                raise UnresolvedBinding(self._var, "it is bound to nothing")

    def _promised(
        self, promise: types_pb2.OutputReference, declared: types_pb2.LiteralType | None
    ) -> literals_pb2.Literal:
        path = attributes(promise.attr_path)
        var = promise.var
        if old := _ARRAY_VAR.fullmatch(var):
            path.insert(0, int(old[1]))
            var = old[2]
        written = self._written(promise.node_id)
        if var not in written.literals:
            source = "the inputs of the workflow" if promise.node_id in ("", START_NODE_ID) else "the outputs of node "
            raise UnresolvedBinding(self._var, f"[{var}] is not among {source}{_named(promise.node_id)}")
        if not path:
            return written.literals[var]
        try:
            return follow(written.literals[var], path, declared)
        except PathFailed as error:
            where = var + "".join(f"[{step!r}]" for step in path)
            raise UnresolvedBinding(
                self._var, f"{where} of node {promise.node_id!r}: {error}", attribute=True
            ) from error

    def _written(self, node_id: str) -> literals_pb2.LiteralMap:
        written = self._outputs.get(node_id)
        if written is None and node_id in ("", START_NODE_ID):
            written = self._outputs.get(START_NODE_ID if node_id == "" else "")
        if written is None:
            raise UnresolvedBinding(self._var, f"node {node_id!r} has no outputs")
        return written


def _named(node_id: str) -> str:
    return "" if node_id in ("", START_NODE_ID) else repr(node_id)


def _part(declared: types_pb2.LiteralType | None, part: str) -> types_pb2.LiteralType | None:
    """The element type of a declared list or map; None when it is something else, or unknown."""
    if declared is None or declared.WhichOneof("type") != part:
        return None
    return declared.collection_type if part == "collection_type" else declared.map_value_type
