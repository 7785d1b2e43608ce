"""How a database comes to have the tables of the program that opens it."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conformance.conftest import tables
from sailplane_core.errors import InvariantBroken, Refused
from sailplane_runtime.store.migrations import newest_revision, upgrade
from sailplane_runtime.store.revisions import new_revision, schema_differences
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import Column, Integer, MetaData, String, insert, select


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.db"


@pytest.fixture
def url(database: Path) -> str:
    database.parent.mkdir()
    return f"sqlite:///{database}"


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A service's folder with one revision."""
    path = tmp_path / "100% of the migrations"
    new_revision(path, tables()[0], "First tables.")
    return path


def wider() -> MetaData:
    """The tables of the next version: one more column."""
    metadata, accounts, _ = tables()
    accounts.append_column(Column("owner", String, nullable=True))
    accounts.append_column(Column("limit_cents", Integer, nullable=False, server_default="0"))
    return metadata


def columns(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        found = {row[1] for row in connection.execute("PRAGMA table_info(accounts)")}
    connection.close()
    return found


def revision(database: Path) -> str:
    with sqlite3.connect(database) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
    return found


def test_an_empty_database_gets_the_newest_tables(url: str, database: Path, migrations: Path) -> None:
    new_revision(migrations, wider(), "Owners")
    upgrade(url, migrations, wider())
    assert "owner" in columns(database)
    assert revision(database) == "0002"


def test_an_older_database_is_migrated_with_its_rows(url: str, database: Path, migrations: Path) -> None:
    upgrade(url, migrations, tables()[0])
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO accounts VALUES ('a', 1, 5)")
        connection.execute("INSERT INTO entries VALUES (1, 'a')")
    connection.close()
    path = new_revision(migrations, wider(), "Owners")
    copying = path.read_text().replace("schema=None", "recreate='always'")
    path.write_text(copying)  # as SQLite needs it for most changes; here it could have added the columns in place
    assert "recreate" in copying
    upgrade(url, migrations, wider())
    assert {"owner", "limit_cents"} <= columns(database)
    assert revision(database) == "0002"
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT id, balance FROM accounts").fetchall() == [("a", 5)]
        assert connection.execute("SELECT * FROM entries").fetchall() == [(1, "a")]
    connection.close()


def test_a_migration_that_fails_changes_nothing(url: str, database: Path, migrations: Path) -> None:
    upgrade(url, migrations, tables()[0])
    path = new_revision(migrations, wider(), "Owners")
    path.write_text(path.read_text() + "    raise LookupError('on purpose')\n")
    with pytest.raises(LookupError):
        upgrade(url, migrations, wider())
    assert "owner" not in columns(database)
    assert revision(database) == "0001"


def test_a_migration_that_breaks_references_is_undone(url: str, database: Path, migrations: Path) -> None:
    upgrade(url, migrations, tables()[0])
    path = new_revision(migrations, wider(), "Owners")
    path.write_text(path.read_text() + "    op.execute(\"INSERT INTO entries VALUES (1, 'nobody')\")\n")
    with pytest.raises(InvariantBroken, match="refer to nothing"):
        upgrade(url, migrations, wider())
    assert "owner" not in columns(database)


def test_a_database_of_a_newer_version_is_refused(url: str, database: Path, migrations: Path) -> None:
    upgrade(url, migrations, tables()[0])
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    connection.close()
    with pytest.raises(Refused, match="revision 0099"):
        upgrade(url, migrations, tables()[0])


def test_a_database_of_something_else_is_refused(url: str, database: Path, migrations: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    connection.close()
    with pytest.raises(Refused, match="not made by this program"):
        upgrade(url, migrations, tables()[0])


def test_a_file_that_is_no_database_is_not_touched(url: str, database: Path, migrations: Path) -> None:
    database.write_bytes(b"not a database, but long enough to be looked at " * 40)
    before = database.read_bytes()
    with pytest.raises(Refused, match=r"store\.db is not a database, or is damaged"):
        upgrade(url, migrations, tables()[0])
    assert database.read_bytes() == before


def test_alembic_is_not_imported_where_nothing_is_to_migrate(url: str, migrations: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from conformance.conftest import tables;"
        "from sailplane_runtime.store.migrations import upgrade;"
        f"[upgrade({url!r}, Path({str(migrations)!r}), tables()[0]) for _ in range(2)];"
        "sys.exit('alembic' in sys.modules)"
    )
    path = ":".join(path for path in sys.path if path)
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": path}, timeout=60)


def test_revisions_and_metadata_give_the_same_tables(migrations: Path) -> None:
    assert schema_differences(migrations, tables()[0]) == []
    assert any("owner" in difference for difference in schema_differences(migrations, wider()))
    with pytest.raises(ValueError, match="nothing to change"):
        new_revision(migrations, tables()[0], "Nothing")


def test_two_newest_revisions_are_a_mistake(migrations: Path) -> None:
    path = new_revision(migrations, wider(), "Owners")
    path.with_name("0003_other.py").write_text(path.read_text().replace('"0002"', '"0003"'))
    with pytest.raises(ValueError, match="one newest revision"):
        newest_revision(migrations)


async def test_a_store_opens_with_its_migrations(url: str, migrations: Path) -> None:
    metadata, accounts, _ = tables()
    for _ in range(2):
        store = await SqlStore.open(url, metadata, migrations=migrations)
        await store.write(lambda tx: tx.connection.execute(insert(accounts).prefix_with("OR IGNORE").values(id="a")))
        assert await store.read(lambda connection: connection.scalars(select(accounts.c.id)).all()) == ["a"]
        await store.close()
