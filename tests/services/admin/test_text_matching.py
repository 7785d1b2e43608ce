"""Texts are looked for alike on every database, and what is looked for is a parameter on each."""

from typing import Any

import pytest
from sailplane_admin.text_matching import contains, not_like
from sqlalchemy import Column, Dialect, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.dialects import postgresql, sqlite

TEXTS = ("abc", "aBc", "a_c", "a%c", "a*c", "a?c", "[abc]", "a\\c", "\\%", "é", "")
KEPT = Table("kept", MetaData(), Column("text", String))


def written(condition: Any, dialect: Dialect) -> tuple[str, list[Any]]:
    compiled = select(KEPT.c.text).where(condition).compile(dialect=dialect)
    return str(compiled).partition("WHERE ")[2], list(compiled.params.values())


@pytest.mark.parametrize(
    ("condition", "on_sqlite", "on_postgresql"),
    [
        (
            contains(KEPT.c.text, "a%"),
            ("(instr(kept.text, ?) > 0) = 1", ["a%"]),
            ("(strpos(kept.text, %(contains_1)s::VARCHAR) > 0)", ["a%"]),
        ),
        (
            not_like(KEPT.c.text, "*_%"),
            ("(kept.text NOT GLOB ?) = 1", ["[*]?*"]),
            ("(kept.text NOT LIKE %(not_like_1)s::VARCHAR ESCAPE '')", ["*_%"]),
        ),
    ],
)
def test_each_database_gets_what_it_knows(
    condition: Any, on_sqlite: tuple[str, list[Any]], on_postgresql: tuple[str, list[Any]]
) -> None:
    assert written(condition, sqlite.dialect()) == on_sqlite
    found, values = written(condition, postgresql.psycopg.dialect())
    assert (found, values) == on_postgresql


@pytest.mark.parametrize(
    ("condition", "texts"),
    [
        (contains(KEPT.c.text, "B"), ["aBc"]),
        (contains(KEPT.c.text, "_"), ["a_c"]),
        (contains(KEPT.c.text, "%"), ["a%c", "\\%"]),
        (contains(KEPT.c.text, "\\"), ["a\\c", "\\%"]),
        (contains(KEPT.c.text, ""), list(TEXTS)),
        (not_like(KEPT.c.text, "a_c"), ["[abc]", "\\%", "é", ""]),
        (not_like(KEPT.c.text, "a%"), ["[abc]", "\\%", "é", ""]),
        (not_like(KEPT.c.text, "A%"), list(TEXTS)),
        (not_like(KEPT.c.text, "\\%"), [text for text in TEXTS if text != "\\%"]),
        (not_like(KEPT.c.text, "a*c"), [text for text in TEXTS if text != "a*c"]),
        (not_like(KEPT.c.text, "a?c"), [text for text in TEXTS if text != "a?c"]),
        (not_like(KEPT.c.text, "[abc]"), [text for text in TEXTS if text != "[abc]"]),
        (not_like(KEPT.c.text, "_"), [text for text in TEXTS if text != "é"]),
    ],
)
def test_a_text_is_found_by_its_characters(condition: Any, texts: list[str]) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        KEPT.create(connection)
        connection.execute(insert(KEPT), [{"text": text} for text in (*TEXTS, None)])
        assert connection.scalars(select(KEPT.c.text).where(condition)).all() == texts
    engine.dispose()
