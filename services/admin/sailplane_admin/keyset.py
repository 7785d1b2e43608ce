"""Total orders of rows, and the condition that a row comes after another one in them.

A page that begins after a row's sort keys stays where it is when rows before it come or go, and is as quick to find as
the first one where an index has the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sailplane_core.page_tokens import KeyValue
from sqlalchemy import ColumnElement, UnaryExpression, and_, or_, tuple_


@dataclass(frozen=True, slots=True)
class Order:
    """Rows by `keys`, all in one direction. The last key is unique; only the first may be null.

    Null is greater than every value, as PostgreSQL has it, and so Flyte.
    """

    keys: Sequence[ColumnElement[Any]]
    is_descending: bool
    may_be_null: bool = False

    def clauses(self) -> list[UnaryExpression[Any]]:
        """For ORDER BY."""
        clauses = [key.desc() if self.is_descending else key.asc() for key in self.keys]
        if self.may_be_null:  # said to SQLite, which else has null before every value
            clauses[0] = clauses[0].nulls_first() if self.is_descending else clauses[0].nulls_last()
        return clauses

    def after(self, last: Sequence[KeyValue]) -> ColumnElement[bool]:
        """The condition that a row comes after the one with the keys `last`."""
        first = self.keys[0]
        if last[0] is None:
            among_nulls = and_(first.is_(None), self._beyond(self.keys[1:], last[1:]))
            return or_(among_nulls, first.is_not(None)) if self.is_descending else among_nulls
        beyond = self._beyond(self.keys, last)
        return or_(beyond, first.is_(None)) if self.may_be_null and not self.is_descending else beyond

    def _beyond(self, keys: Sequence[ColumnElement[Any]], last: Sequence[KeyValue]) -> ColumnElement[bool]:
        if len(keys) == 1:
            return keys[0] < last[0] if self.is_descending else keys[0] > last[0]
        # The first condition follows from the second; it is there for indexes that have the first key only.
        if self.is_descending:
            return and_(keys[0] <= last[0], tuple_(*keys) < tuple_(*last))
        return and_(keys[0] >= last[0], tuple_(*keys) > tuple_(*last))
