"""Texts looked for in columns, alike on every database: upper and lower case differ, and so do characters with accents.

LIKE on SQLite would take `a` for `A`, and what SQLite has instead PostgreSQL does not know.
"""

from typing import Any

from sqlalchemy import Boolean, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """The condition that `text` is in the column's value. No character of it has a meaning."""
    return _Contains(column, text)


def not_like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """The condition that the whole value does not match. `%` in a pattern is any text, `_` any one character."""
    return _NotLike(column, pattern, _glob(pattern))


def _glob(pattern: str) -> str:
    """A LIKE pattern as a GLOB pattern."""
    escaped = "".join(f"[{character}]" if character in "*?[" else character for character in pattern)
    return escaped.replace("%", "*").replace("_", "?")


class _Contains(FunctionElement[bool]):
    """Of a column and a text."""

    name = "contains"
    type = Boolean()
    inherit_cache = True


class _NotLike(FunctionElement[bool]):
    """Of a column, a LIKE pattern and the same as a GLOB pattern. Only the one that is written is bound."""

    name = "not_like"
    type = Boolean()
    inherit_cache = True


@compiles(_Contains, "sqlite")
def _contains_on_sqlite(element: _Contains, compiler: SQLCompiler, **options: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **options)}) > 0)"


@compiles(_Contains, "postgresql")
def _contains_on_postgresql(element: _Contains, compiler: SQLCompiler, **options: Any) -> str:
    return f"(strpos({compiler.process(element.clauses, **options)}) > 0)"


@compiles(_NotLike, "sqlite")
def _not_like_on_sqlite(element: _NotLike, compiler: SQLCompiler, **options: Any) -> str:
    column, _, glob = element.clauses
    return f"({compiler.process(column, **options)} NOT GLOB {compiler.process(glob, **options)})"


@compiles(_NotLike, "postgresql")
def _not_like_on_postgresql(element: _NotLike, compiler: SQLCompiler, **options: Any) -> str:
    column, like, _ = element.clauses
    # Without an ESCAPE a backslash would be no character but the sign of one.
    return f"({compiler.process(column, **options)} NOT LIKE {compiler.process(like, **options)} ESCAPE '')"
