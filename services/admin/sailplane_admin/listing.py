"""Lists: the filters, order and page that a request asks for, as one SELECT.

What can be filtered by is `sailplane_core.filter_fields`; a `Listing` says in which columns it is kept. Values are
always bound parameters. Other entities than the listed one are asked by sub-select, so that a row is listed once
however many of them match, and the database may begin with either side.

    listing = Listing(Entity.TASK, table=tables.tasks, fields={Entity.TASK: fields_of(tables.tasks)})
    asked = await page_request(ports, "ListTasks", request)
    page = list_page(connection, listing, columns, scope, asked, filters=request.filters)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sailplane_core.errors import InvalidRequest
from sailplane_core.filter_fields import DATABASE_FIELDS, FIELDS, OPAQUE, Entity
from sailplane_core.filters import Filter, Function, SortBy, Value, parse_filters, parse_sort
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    String,
    Table,
    Text,
    and_,
    cast,
    func,
    null,
    select,
    tuple_,
)

from .keyset import Order
from .paging import Page, PageRequest
from .tables import duration_us, time_us
from .text_matching import contains, not_like

Fields = Mapping[str, ColumnElement[Any]]
"""By the name on the wire, the column. A time in microseconds since the epoch, a duration in microseconds."""

VALUES_MAX = 10_000
"""Of all filters together: SQLite takes 32,766 parameters."""
PATTERN_CHARS_MAX = 1_000
SORTED_CHARS_MAX = 255
"""Of a text without a limit, this much decides where its row comes in a list."""

NO_NUMBER: ColumnElement[Any] = cast(null(), BigInteger)
"""A field of Flyte's that never has a value here: a number or a time."""
NO_TEXT: ColumnElement[Any] = cast(null(), String)


@dataclass(frozen=True, slots=True)
class Join:
    """How rows of another entity belong to the listed ones: `here` has the value that they have in `there`.

    Either is one column, or as many on both sides, which an index on all of them serves.
    """

    here: ColumnElement[Any] | Sequence[ColumnElement[Any]]
    there: ColumnElement[Any] | Sequence[ColumnElement[Any]]

    def where(self, wanted: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
        """The condition that a row which meets all of `wanted` belongs to the listed one."""
        here = self.here if isinstance(self.here, ColumnElement) else tuple_(*self.here)
        there = (self.there,) if isinstance(self.there, ColumnElement) else self.there
        return here.in_(select(*there).where(and_(*wanted)))


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a list is kept.

    `fields` has the listed entity and those its filters may name. Those whose columns are in another table are in
    `joins` too. `order` is the order when none is asked for, ascending; none of its columns is null, and the last one
    is unique and breaks ties in every other order too.
    """

    entity: Entity
    table: Table
    fields: Mapping[Entity, Fields]
    joins: Mapping[Entity, Join] = field(default_factory=dict[Entity, Join])
    order: Sequence[ColumnElement[Any]] = ()
    """Empty for the order of row numbers."""
    copies: Mapping[tuple[Entity, str], ColumnElement[Any]] = field(
        default_factory=dict[tuple[Entity, str], ColumnElement[Any]]
    )
    """Fields of joined entities, each listed row having one at most, that `table` has too."""

    @property
    def default_order(self) -> Sequence[ColumnElement[Any]]:
        """`order`, or the row number."""
        return self.order or (self.table.c.id,)


def fields_of(entity: Entity, table: Table, **kept_elsewhere: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """The columns that are called like the fields of an entity, those with a unit (`created_at_us`) included."""
    found: dict[str, ColumnElement[Any]] = {}
    for name in (*DATABASE_FIELDS, *FIELDS[entity]):
        for column in (name, f"{name}_us"):
            if column in table.c:
                found[name] = table.c[column]
    found |= dict.fromkeys(OPAQUE.get(entity, ()), NO_TEXT) | {"deleted_at": NO_NUMBER} | kept_elsewhere
    if "updated_at" not in found:  # such rows never change
        found["updated_at"] = found["created_at"]
    return found


def list_page(
    connection: Connection,
    listing: Listing,
    columns: Sequence[ColumnElement[Any]],
    scope: Sequence[ColumnElement[bool]],
    asked: PageRequest,
    *,
    filters: str = "",
) -> Page:
    """The rows of `scope` that `filters` leaves, in the order and on the page asked for, with these columns.

    `filters` is the request's own text where it has one, or what takes its place. Raises `InvalidRequest` with Flyte's
    texts.
    """
    parsed = parse_filters(listing.entity, filters)
    order = _order(listing, parse_sort(listing.entity, asked.sort_by))
    offset, last = asked.start(len(order.keys))
    row_id = listing.table.c.id
    keys = [key.label(f"sort_key_{index}") for index, key in enumerate(order.keys)]
    chosen = select(row_id, *keys).where(*scope, *_conditions(listing, parsed)).order_by(*order.clauses())
    if last:
        chosen = chosen.where(order.after(last))
    if offset:
        chosen = chosen.offset(offset)
    # Whole messages are read for the chosen rows only: sorting would carry them all along.
    ids = chosen.limit(asked.rows_max).subquery("chosen")
    found = [ids.c[key.name] for key in keys]
    ordered = replace(order, keys=found).clauses()
    shown: list[ColumnElement[Any]] = [*columns, *found]
    query = select(*shown).join_from(ids, listing.table, row_id == ids.c.id).order_by(*ordered)
    with connection.execute(query) as rows:
        return asked.page(rows, lambda row: tuple(row)[-len(found) :])


def names_field(filters: str, entity: Entity, name: str) -> bool:
    """Whether a filter is about this field: some lists hide rows unless asked for them."""
    return any(condition.field == name for condition in parse_filters(entity, filters))


def _order(listing: Listing, sort: SortBy | None) -> Order:
    if sort is None:
        return Order(listing.default_order, is_descending=False)
    column = listing.fields[listing.entity].get(sort.field)
    if column is None:
        raise InvalidRequest(f"invalid sort key '{sort.field}'")
    tie_breaker = listing.default_order[-1]
    if column is tie_breaker:
        return Order([column], sort.descending)
    may_be_null = not isinstance(column, Column) or bool(column.nullable)
    if isinstance(column.type, Text):  # of any length, which a token cannot have
        column = func.substr(column, 1, SORTED_CHARS_MAX)
    return Order([column, tie_breaker], sort.descending, may_be_null)


def _conditions(listing: Listing, filters: Sequence[Filter]) -> list[ColumnElement[bool]]:
    if sum(len(condition.values) for condition in filters) > VALUES_MAX:
        raise InvalidRequest.invalid("filters", f"more than {VALUES_MAX} values")
    conditions: list[ColumnElement[bool]] = []
    by_entity: dict[Entity, list[ColumnElement[bool]]] = {}
    for condition in filters:
        column = listing.fields.get(condition.entity, {}).get(condition.field)
        if column is None:
            raise InvalidRequest(f"'{condition.entity}.{condition.field}' is invalid filter")
        values = [_stored(value) for value in condition.values]
        copy = listing.copies.get((condition.entity, condition.field))
        if copy is None:
            by_entity.setdefault(condition.entity, []).append(_COMPARISONS[condition.function](column, values))
        else:
            conditions.append(_COMPARISONS[condition.function](copy, values))
    for entity, wanted in by_entity.items():
        join = listing.joins.get(entity)
        if join is None:
            conditions += wanted
        else:
            conditions.append(join.where(wanted))
    return conditions


def _stored(value: Value) -> str | int:
    """A filter's value as columns have it."""
    if isinstance(value, datetime):
        return time_us(value)
    if isinstance(value, timedelta):
        return duration_us(value)
    return value


def _bounded(text: str) -> str:
    if len(text) > PATTERN_CHARS_MAX:
        raise InvalidRequest.invalid("filters", f"a text to look for has at most {PATTERN_CHARS_MAX} characters")
    return text


_Comparison = Callable[[ColumnElement[Any], Sequence[Any]], ColumnElement[bool]]

_COMPARISONS: dict[Function, _Comparison] = {
    Function.CONTAINS: lambda column, values: contains(column, _bounded(values[0])),
    Function.NOT_LIKE: lambda column, values: not_like(column, _bounded(values[0])),
    Function.GREATER_THAN: lambda column, values: column > values[0],
    Function.GREATER_THAN_OR_EQUAL: lambda column, values: column >= values[0],
    Function.LESS_THAN: lambda column, values: column < values[0],
    Function.LESS_THAN_OR_EQUAL: lambda column, values: column <= values[0],
    Function.EQUAL: lambda column, values: column == values[0],
    Function.NOT_EQUAL: lambda column, values: column != values[0],
    Function.VALUE_IN: lambda column, values: column.in_(values),
    Function.VALUE_NOT_IN: lambda column, values: column.not_in(values),
}
