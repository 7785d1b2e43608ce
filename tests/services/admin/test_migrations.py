"""Admin's tables in a database: created at once or revision by revision, they are the same."""

import shutil
from pathlib import Path

import sailplane_admin
from sailplane_admin import projects
from sailplane_admin.ports import AdminPorts
from sailplane_admin.tables import metadata
from sailplane_protos.admin import project_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.migrations import migrate
from sailplane_runtime.store.revisions import schema_differences
from sailplane_runtime.store.sql import SqlStore
from sailplane_runtime.store.sqlite import transaction, writing_engine
from sqlalchemy import Connection

MIGRATIONS = Path(sailplane_admin.__file__).parent / "migrations"


def test_the_revisions_give_the_tables_of_the_code() -> None:
    assert schema_differences(MIGRATIONS, metadata) == []


async def test_a_database_is_opened_again_with_what_it_held(ports: AdminPorts, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    for _ in range(2):
        store = await SqlStore.open(url, metadata, migrations=MIGRATIONS)
        reopened = AdminPorts(store, ports.blobs, ManualClock())
        await projects.ensure_defaults(reopened)
        listed = await projects.list_projects(reopened, project_pb2.ProjectListRequest())
        assert [project.id for project in listed.projects] == ["flytesnacks"]
        await store.close()


def test_children_of_an_older_database_keep_their_parents(tmp_path: Path) -> None:
    older = up_to("0002", tmp_path)
    with writing_engine(f"sqlite:///{tmp_path}/old.db").connect() as connection:
        migrate(connection, older, metadata)
        with transaction(connection, immediate=True):
            parent = blank(connection, "executions", execution_name="parent")
            node = blank(connection, "node_executions", execution_name="parent", node_id="n0")
            blank(connection, "executions", execution_name="child", parent_node_execution_id=node)
        migrate(connection, MIGRATIONS, metadata)
        columns = "execution_name, parent_execution_id, parent_node_id"
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM executions").all()
    assert rows == [("parent", None, None), ("child", parent, "n0")]


def test_signals_of_an_older_database_are_as_old_as_their_executions(tmp_path: Path) -> None:
    older = up_to("0006", tmp_path)
    with writing_engine(f"sqlite:///{tmp_path}/old.db").connect() as connection:
        migrate(connection, older, metadata)
        with transaction(connection, immediate=True):
            blank(connection, "executions", execution_name="x", execution_created_at_us=7)
            blank(connection, "signals", execution_name="x", signal_id="ok")
            blank(connection, "signals", execution_name="gone", signal_id="ok")
        migrate(connection, MIGRATIONS, metadata)
        rows = connection.exec_driver_sql("SELECT execution_name, created_at_us, updated_at_us FROM signals").all()
    assert rows == [("x", 7, 7), ("gone", 0, 0)]


def test_executions_of_an_older_database_count_for_their_launch_plans(tmp_path: Path) -> None:
    older = up_to("0011", tmp_path)
    with writing_engine(f"sqlite:///{tmp_path}/old.db").connect() as connection:
        migrate(connection, older, metadata)
        with transaction(connection, immediate=True):
            workflow = blank(connection, "workflows")
            plan = blank(connection, "launch_plans", name="plan", workflow_id=workflow)
            blank(connection, "named_entities", resource_type=2, name="plan")
            name = blank(connection, "named_entities", resource_type=3, name="plan")
            of_plan: dict[str, int | str] = {"launch_plan_id": plan, "launch_entity": "LAUNCH_PLAN"}
            blank(connection, "executions", execution_name="runs", phase="RUNNING", **of_plan)
            blank(connection, "executions", execution_name="ended", phase="FAILED", **of_plan)
            blank(connection, "executions", execution_name="task", phase="RUNNING", launch_entity="TASK")
        migrate(connection, MIGRATIONS, metadata)
        rows = connection.exec_driver_sql("SELECT execution_name, plan_name_id FROM executions").all()
    assert rows == [("runs", name), ("ended", None), ("task", None)]


def test_what_an_older_database_has_is_numbered_so_that_watchers_are_told_of_it(tmp_path: Path) -> None:
    older = up_to("0015", tmp_path)
    with writing_engine(f"sqlite:///{tmp_path}/old.db").connect() as connection:
        migrate(connection, older, metadata)
        with transaction(connection, immediate=True):
            for name in ("x", "y", "new"):
                blank(connection, "executions", execution_name=name)
            for name, node in (("x", "n0"), ("y", "n0"), ("x", "n1")):
                blank(connection, "node_executions", execution_name=name, node_id=node)
            for attempt in (0, 1):
                blank(connection, "task_executions", execution_name="x", node_id="n1", retry_attempt=attempt)
        migrate(connection, MIGRATIONS, metadata)
        rows = connection.exec_driver_sql("SELECT execution_name, change, last_change FROM executions").all()
        nodes = connection.exec_driver_sql("SELECT execution_name, change FROM node_executions ORDER BY id").all()
        attempts = connection.exec_driver_sql("SELECT execution_name, change FROM task_executions ORDER BY id").all()
    assert rows == [("x", 5, 5), ("y", 2, 2), ("new", 1, 1)]
    assert nodes == [("x", 1), ("y", 1), ("x", 2)]
    assert attempts == [("x", 3), ("x", 4)]


def up_to(revision: str, tmp_path: Path) -> Path:
    """The migrations as they were when this revision was the newest."""
    older = tmp_path / "older"
    (older / "versions").mkdir(parents=True)
    shutil.copy(MIGRATIONS / "env.py", older)
    for file in (MIGRATIONS / "versions").glob("*.py"):
        if file.name[:4] <= revision:
            shutil.copy(file, older / "versions")
    return older


def blank(connection: Connection, table: str, **values: int | str) -> int:
    """A row with nothing in the columns that must have something, except these values; its id."""
    required = [row.name for row in connection.exec_driver_sql(f"PRAGMA table_info({table})") if row.notnull]
    row = dict.fromkeys(required, "") | values
    row.pop("id", None)
    into, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    statement = f"INSERT INTO {table} ({into}) VALUES ({marks}) RETURNING id"
    return connection.exec_driver_sql(statement, tuple(row.values())).scalar_one()
