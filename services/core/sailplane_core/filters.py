"""What list requests may ask for: filters and an order. `page_tokens` has the pages.

A filter is text such as `eq(phase,RUNNING)+value_in(workflow.name,a;b)`: expressions joined by `+`, all of which must
hold, with values joined by `;`. There is no escape for the two. This module reads and checks it against the tables of
`filter_fields`; turning it into a query is the business of whoever has the rows.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sailplane_protos.admin import common_pb2

from .errors import InvalidRequest
from .filter_fields import DATABASE_FIELDS, FIELDS, JOINS, RENAMED, Entity, FieldType

VALUES_MAX = 1000
"""Most values of one `value_in`."""
EXPRESSIONS_MAX = 50
DURATION_S_MAX = 2**33
"""Some 270 years, about as much as Go's durations hold."""

Value = str | int | datetime | timedelta

_EXPRESSION = re.compile(r"([^(]+)\(([^,]+),\s?(.+)\)", re.DOTALL)
"""Flyte's pattern, except that values may hold commas and brackets."""
_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_GO_DURATION = re.compile(rf"[+-]?(?:{_GO_PART.pattern})+")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Function(StrEnum):
    """How a field is compared. The names are the ones on the wire."""

    CONTAINS = "contains"
    """The value occurs in the field, taken literally."""
    NOT_LIKE = "not_like"
    """The field does not match the value, in which the caller puts `%` for any text."""
    GREATER_THAN = "gt"
    GREATER_THAN_OR_EQUAL = "gte"
    LESS_THAN = "lt"
    LESS_THAN_OR_EQUAL = "lte"
    EQUAL = "eq"
    NOT_EQUAL = "ne"
    VALUE_IN = "value_in"
    VALUE_NOT_IN = "value_not_in"


REPEATED = frozenset({Function.VALUE_IN, Function.VALUE_NOT_IN})
"""These take one or more values, the others exactly one."""
TEXTUAL = frozenset({Function.CONTAINS, Function.NOT_LIKE})
"""These compare text, so that they need a field of text."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. `values` are of the field's type: text, whole numbers, UTC times or lengths of time."""

    entity: Entity
    field: str
    function: Function
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class SortBy:
    """The order of a list."""

    entity: Entity
    field: str
    descending: bool


def parse_filters(primary: Entity, text: str) -> tuple[Filter, ...]:
    """The conditions in a request's `filters`, for an endpoint that lists `primary`. Raises `InvalidRequest`."""
    if not text:
        return ()
    expressions = text.split("+")
    if len(expressions) > EXPRESSIONS_MAX:
        raise InvalidRequest.invalid("filters", f"more than {EXPRESSIONS_MAX} expressions")
    return tuple(_parse_expression(primary, expression) for expression in expressions)


def parse_sort(primary: Entity, sort: common_pb2.Sort | None) -> SortBy | None:
    """The order a request asks for, None if it asks for none. Raises `InvalidRequest`."""
    if sort is None:
        return None
    named, field = _split(primary, sort.key)
    entity, field = RENAMED.get((named, field), (named, field))
    if entity is not primary or field not in _known_fields(entity):
        raise InvalidRequest(f"invalid sort key '{sort.key}'")
    if sort.direction not in common_pb2.Sort.Direction.values():
        raise InvalidRequest(f"invalid sort order specified: {sort.direction}")
    return SortBy(entity, field, descending=sort.direction == common_pb2.Sort.DESCENDING)


def _parse_expression(primary: Entity, expression: str) -> Filter:
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None:
        raise InvalidRequest.invalid("filters", f"{expression[:100]!r} is not of the form function(field,value)")
    name, key, raw = match[1].strip().lower(), match[2].strip(), match[3]
    if name not in set(Function):
        raise InvalidRequest(f"unrecognized filter function: {match[1][:40]}")
    function = Function(name)
    named, field = _split(primary, key)
    if named is not primary and named not in JOINS[primary]:
        raise InvalidRequest(f"'{named}' entity is not allowed in filters")
    entity, field = RENAMED.get((named, field), (named, field))
    kind = _known_fields(entity).get(field)
    if kind is None:
        raise InvalidRequest(f"'{entity}.{field}' is invalid filter")
    return Filter(entity, field, function, _values(function, key, kind, raw))


def _split(primary: Entity, key: str) -> tuple[Entity, str]:
    """Entity and field of a key, `field` or `entity.field`."""
    prefix, dot, field = key.rpartition(".")
    if not dot:
        return primary, field
    if prefix not in set(Entity):
        raise InvalidRequest(f"'{prefix[:40]}' entity is not allowed in filters")
    return Entity(prefix), field


def _known_fields(entity: Entity) -> dict[str, FieldType]:
    return DATABASE_FIELDS | FIELDS[entity]


def _values(function: Function, key: str, kind: FieldType, raw: str) -> tuple[Value, ...]:
    texts = raw.split(";")
    if function not in REPEATED and len(texts) > 1:
        raise InvalidRequest(f"invalid value for filters: {function} of {key} takes a single value")
    if len(texts) > VALUES_MAX:
        raise InvalidRequest(f"invalid value for filters: more than {VALUES_MAX} values for {key}")
    if function in TEXTUAL and kind is not FieldType.TEXT:
        raise InvalidRequest(f"invalid value for filters: {function} needs a field of text, {key} is none")
    return tuple(_PARSERS[kind](key, text) for text in texts)


def _text(key: str, text: str) -> str:
    if "\0" in text:
        raise InvalidRequest(f"invalid value for filters: {key} must not contain NUL")
    return text


def _integer(key: str, text: str) -> int:
    """A 64-bit number."""
    stripped = text.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", stripped):
        raise InvalidRequest(f"invalid value for filters: {key} is a whole number, {text[:40]!r} is none")
    return int(stripped)


def _time(key: str, text: str) -> datetime:
    """RFC 3339, or anything of ISO 8601; without an offset it is UTC."""
    try:
        at = datetime.fromisoformat(text.strip())
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"invalid value for filters: {key} is a time, {text[:40]!r} is none") from error


def _duration(key: str, text: str) -> timedelta:
    """Seconds, or Go's form such as `1h15m30.5s`."""
    try:
        seconds = _seconds(text.strip())
        if abs(seconds) <= DURATION_S_MAX:  # false for what is not a number
            return timedelta(seconds=seconds)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"Failed to parse duration [{text[:40]}] for {key}") from error
    raise InvalidRequest(f"Failed to parse duration [{text[:40]}] for {key}")


def _seconds(text: str) -> float:
    if _GO_DURATION.fullmatch(text):
        total = sum(float(number) * _UNIT_S[unit] for number, unit in _GO_PART.findall(text))
        return -total if text.startswith("-") else total
    return float(text)


_PARSERS: dict[FieldType, Callable[[str, str], Value]] = {
    FieldType.TEXT: _text,
    FieldType.INTEGER: _integer,
    FieldType.TIME: _time,
    FieldType.DURATION: _duration,
}
