"""Path templates of `google.api.http`, and which of many a path is meant for.

A template is literals, `*` for one segment, `**` for all that are left, and variables `{field.path}` or
`{field.path=shelves/*}`, which bind what their part of the template matches to a field of the request. Segments are
compared and bound after percent-decoding, one by one, so that a name may contain an encoded slash.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from sailplane_core.errors import InvalidRequest

T = TypeVar("T")

ONE = "*"
REST = "**"

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PIECE = re.compile(r"/(?:\{(?P<field>[A-Za-z_][\w.]*)(?:=(?P<inner>[^{}]*))?\}|(?P<plain>[^/{}:]+))")


@dataclass(frozen=True, slots=True)
class Variable:
    """A field of the request, by the names on the way to it, and the segments of the path that are its value."""

    field: tuple[str, ...]
    first: int
    end: int | None
    """None: all that are left."""


@dataclass(frozen=True, slots=True)
class Template:
    """A path template, read."""

    segments: tuple[str, ...]
    variables: tuple[Variable, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Raises `ValueError` for what is no template, or has a `:verb`, or `**` elsewhere than at the end."""
        segments: list[str] = []
        variables: list[Variable] = []
        at = 0
        while at < len(text):
            piece = _PIECE.match(text, at)
            if piece is None:
                raise ValueError(f"{text!r} is no path template that this gateway knows, from character {at} on")
            first = len(segments)
            if piece["field"] is None:
                segments.append(piece["plain"])
            else:
                segments += (piece["inner"] or ONE).split("/")
                end = None if segments[-1] == REST else len(segments)
                variables.append(Variable(tuple(piece["field"].split(".")), first, end))
            at = piece.end()
        if not segments or "" in segments or REST in segments[:-1]:
            raise ValueError(f"{text!r} is no path template that this gateway knows")
        return cls(tuple(segments), tuple(variables))

    def bind(self, segments: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
        """Each variable's field with its value, from a path that this template matches."""
        for variable in self.variables:
            yield variable.field, "/".join(segments[variable.first : variable.end])


class _Place(Generic[T]):
    """Where one may be on the way through a path: what may follow, and what is to be found here, by verb."""

    def __init__(self) -> None:
        self.literals: dict[str, _Place[T]] = {}
        self.one: _Place[T] | None = None
        self.here: dict[str, T] = {}
        self.rest: dict[str, T] = {}


class Routes(Generic[T]):
    """Things by template and verb. A literal goes before `*`, and `*` before `**`."""

    def __init__(self) -> None:
        self._root: _Place[T] = _Place()

    def add(self, template: Template, verb: str, thing: T) -> None:
        """Raises `ValueError` when there is something at these already."""
        place = self._root
        *before, last = template.segments
        for segment in before if last == REST else template.segments:
            if segment == ONE:
                place.one = place.one or _Place()
                place = place.one
            else:
                place = place.literals.setdefault(segment, _Place())
        things = place.rest if last == REST else place.here
        if things.setdefault(verb, thing) is not thing:
            raise ValueError(f"{verb} /{'/'.join(template.segments)} is bound twice")

    def find(self, segments: Sequence[str]) -> Mapping[str, T]:
        """What this path may mean, by verb; empty when nothing."""
        found: dict[str, T] = {}
        for things in _matches(self._root, segments, 0):
            found = {**things, **found}
        return found


def _matches(place: _Place[T], segments: Sequence[str], at: int) -> Iterator[Mapping[str, T]]:
    if at == len(segments):
        yield place.here
    else:
        following = place.literals.get(segments[at])
        if following is not None:
            yield from _matches(following, segments, at + 1)
        if place.one is not None:
            yield from _matches(place.one, segments, at + 1)
    yield place.rest


def segments_of(raw_path: str) -> list[str]:
    """The segments of a path as it was sent, each decoded. Raises `InvalidRequest` for a broken escape."""
    return [decoded(segment, "the path") for segment in raw_path.removeprefix("/").split("/")]


def decoded(text: str, where: str) -> str:
    """`text` without its percent-encoding. Raises `InvalidRequest` for what is no encoding of UTF-8."""
    if "%" not in text:
        return text
    if _BROKEN_ESCAPE.search(text):
        raise InvalidRequest(f"{where} has a % that two hexadecimal digits do not follow")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{where} has percent-encoded bytes that are no UTF-8") from None
