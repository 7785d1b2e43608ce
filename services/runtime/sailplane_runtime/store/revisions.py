"""For developers: write the next revision of a service's tables, and prove that the revisions give those tables.

    python -m sailplane_runtime.store.revisions sailplane_admin.tables services/admin/sailplane_admin/migrations "…"

The module named first has the `metadata`. The new file is `versions/NNNN_what_it_does.py`; read it before you
keep it, and run `ruff format`.
"""

import argparse
import importlib
import re
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations.ops import UpgradeOps
from sqlalchemy import Connection, MetaData, inspect

from .migrations import migrate, newest_revision
from .sqlite import transaction, writing_engine
from .tables import VERSION_TABLE, outbox_table

ENVIRONMENT = """\"\"\"Alembic's entry.\"\"\"

from sailplane_runtime.store.migrations import run_environment

run_environment()
"""

REVISION = '''"""{message}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down_revision!r}


def upgrade() -> None:
    {upgrade}
'''


def new_revision(script_location: Path, metadata: MetaData, message: str) -> Path:
    """Write the revision that leads from the newest one to `metadata`, and give its path.

    Creates the folder with its `env.py` for the first one. Raises ValueError when there is nothing to change.
    """
    outbox_table(metadata)
    versions = script_location / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    if not (script_location / "env.py").exists():
        (script_location / "env.py").write_text(ENVIRONMENT, encoding="utf-8")
    down = newest_revision(script_location)[0] if any(versions.glob("*.py")) else None
    with _scratch_database() as connection:
        if down is not None:
            migrate(connection, script_location, metadata)
        context = MigrationContext.configure(connection, opts={"render_as_batch": True, "compare_type": True})
        operations = cast("UpgradeOps", produce_migrations(context, metadata).upgrade_ops)
        if operations.is_empty():
            raise ValueError("the tables are what the revisions give: nothing to change")
        body = render_python_code(operations, render_as_batch=True)
    revision = f"{int(down or 0) + 1:04}"
    slug = re.sub(r"\W+", "_", message.lower()).strip("_")
    path = versions / f"{revision}_{slug}.py"
    text = REVISION.format(message=message.rstrip("."), revision=revision, down_revision=down, upgrade=body)
    path.write_text(re.sub(r"^ *# ###.*\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    return path


def schema_differences(script_location: Path, metadata: MetaData) -> list[str]:
    """What differs between a database made by running every revision and one made from `metadata`. Empty is right."""
    outbox_table(metadata)
    with _scratch_database() as connection:
        migrate(connection, script_location, metadata)
        by_revisions = _describe(connection)
    with _scratch_database() as connection:
        with transaction(connection, immediate=True):
            metadata.create_all(connection)
        by_metadata = _describe(connection)
    return [
        f"{name}: revisions give {by_revisions.get(name)}, metadata gives {by_metadata.get(name)}"
        for name in sorted(by_revisions.keys() | by_metadata.keys())
        if by_revisions.get(name) != by_metadata.get(name)
    ]


def _describe(connection: Connection) -> dict[str, str]:
    """Every column, key, index and constraint by name, as text that can be compared."""
    inspector = inspect(connection)
    found: dict[str, str] = {}
    aspects: dict[str, Callable[[str], Any]] = {
        "primary key": lambda table: [inspector.get_pk_constraint(table)],
        "column": inspector.get_columns,
        "index": inspector.get_indexes,
        "foreign key": inspector.get_foreign_keys,
        "unique": inspector.get_unique_constraints,
        "check": inspector.get_check_constraints,
    }
    for table in inspector.get_table_names():
        if table == VERSION_TABLE:
            continue
        for aspect, describe in aspects.items():
            for entry in describe(table):
                columns = entry.get("constrained_columns") or entry.get("column_names") or ()
                name = entry.get("name") or ",".join(columns)
                found[f"{table} {aspect} {name}"] = _as_text(entry)
    return found


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return "{" + ", ".join(f"{key}: {_as_text(entry)}" for key, entry in sorted(entries)) + "}"
    return str(value)


@contextmanager
def _scratch_database() -> Generator[Connection]:
    with (
        tempfile.TemporaryDirectory(prefix="sailplane-schema-") as directory,
        writing_engine(f"sqlite:///{directory}/scratch.db").connect() as connection,
    ):
        yield connection


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", help="the module that has the metadata")
    parser.add_argument("migrations", type=Path, help="the service's folder of revisions")
    parser.add_argument("message", help="what the revision does, in a few words")
    options = parser.parse_args()
    metadata = importlib.import_module(options.module).metadata
    sys.stdout.write(f"{new_revision(options.migrations, metadata, options.message)}\n")


if __name__ == "__main__":
    main()
