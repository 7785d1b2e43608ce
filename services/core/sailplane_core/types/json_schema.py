"""JSON schemas of dataclasses and models, as flytekit puts them into the metadata of a STRUCT type.

They come from Mashumaro or pydantic (draft 2020-12), or from older flytekit with `definitions` and a `$ref` on top.
A schema that this module does not understand says nothing, and what says nothing forbids nothing.
"""

from collections.abc import Mapping, Sequence

from google.protobuf import struct_pb2

Json = None | bool | float | str | Sequence["Json"] | Mapping[str, "Json"]
Schema = Mapping[str, Json]

_DEPTH_MAX = 64
"""Levels of schema in schema that are compared; what lies deeper is taken to fit."""

_ANYTHING: Schema = {}
"""The schema that says nothing."""


def fits(upstream: struct_pb2.Struct, downstream: struct_pb2.Struct) -> bool:
    """Whether an object that satisfies `upstream` can be read as one of `downstream`.

    That is so when it has every property that the reader requires, and every property known to both is of a type
    that fits: a subclass with more fields may go where its parent is declared. Names of classes play no part.
    """
    return upstream == downstream or _Comparison(_plain(upstream), _plain(downstream)).fits()


def _plain(struct: struct_pb2.Struct) -> Schema:
    return {name: _plain_value(value) for name, value in struct.fields.items()}


def _plain_value(value: struct_pb2.Value) -> Json:
    match value.WhichOneof("kind"):
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _plain(value.struct_value)
        case "list_value":
            return [_plain_value(element) for element in value.list_value.values]
        case _:
            return None


class _Comparison:
    """Two schemas with their own definitions.

    Every pair of parts is compared once; a recursive definition that meets itself is taken to fit.
    """

    def __init__(self, upstream: Schema, downstream: Schema) -> None:
        self._roots = upstream, downstream
        self._known: dict[tuple[int, int], bool] = {}

    def fits(self) -> bool:
        return self._fits(*self._roots, 0)

    def _fits(self, up: Schema, down: Schema, depth: int) -> bool:
        up, down = _follow(up, self._roots[0]), _follow(down, self._roots[1])
        pair = id(up), id(down)
        if depth > _DEPTH_MAX or not up or not down:
            return True
        if pair not in self._known:
            self._known[pair] = True
            self._known[pair] = self._compare(up, down, depth)
        return self._known[pair]

    def _compare(self, up: Schema, down: Schema, depth: int) -> bool:
        targets = _alternatives(down)
        if targets is not None or _alternatives(up) is not None:
            return all(
                any(self._fits(one, target, depth + 1) for target in (targets or [down]))
                for one in (_alternatives(up) or [up])
            )
        return (
            _types_fit(up, down)
            and _values_fit(up, down)
            and self._properties_fit(up, down, depth)
            and self._parts_fit(up, down, depth)
        )

    def _properties_fit(self, up: Schema, down: Schema, depth: int) -> bool:
        have, want = _mapping(up.get("properties")), _mapping(down.get("properties"))
        if have and not all(name in have for name in _texts(down.get("required"))):
            return False
        return all(
            self._fits(_mapping(have[name]), _mapping(want[name]), depth + 1) for name in want.keys() & have.keys()
        )

    def _parts_fit(self, up: Schema, down: Schema, depth: int) -> bool:
        """Elements of arrays, and values of objects that are used as dictionaries."""
        return all(
            self._fits(_mapping(up.get(part)), _mapping(down.get(part)), depth + 1)
            for part in ("items", "additionalProperties")
            if _mapping(up.get(part)) and _mapping(down.get(part))
        )


def _types_fit(up: Schema, down: Schema) -> bool:
    have, want = set(_texts(up.get("type"))), set(_texts(down.get("type")))
    if "number" in want:
        want.add("integer")
    return not have or not want or have <= want


def _values_fit(up: Schema, down: Schema) -> bool:
    """Enums: a reader that knows fewer values than may come cannot read them all."""
    have, want = up.get("enum"), down.get("enum")
    if not isinstance(have, list) or not isinstance(want, list):
        return True
    return all(value in want for value in have)


def _follow(schema: Schema, root: Schema) -> Schema:
    """What a local `$ref` stands for, through chains of them."""
    for _ in range(_DEPTH_MAX):
        ref = _text(schema.get("$ref"))
        if not ref.startswith("#/"):
            return schema
        target: Json = root
        for step in ref.removeprefix("#/").split("/"):
            target = _mapping(target).get(step.replace("~1", "/").replace("~0", "~"))
        schema = _mapping(target)
    return _ANYTHING


def _alternatives(schema: Schema) -> list[Schema] | None:
    for word in ("anyOf", "oneOf"):
        found = schema.get(word)
        if isinstance(found, list) and found:
            return [_mapping(one) for one in found]
    return None


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else _ANYTHING


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Json) -> list[str]:
    """A word or a list of words, as `type` may be either."""
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
