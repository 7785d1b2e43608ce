"""Admin's tables in a database: created at once or revision by revision, they are the same."""

from pathlib import Path

import sailplane_admin
from sailplane_admin import projects
from sailplane_admin.ports import AdminPorts
from sailplane_admin.tables import metadata
from sailplane_protos.admin import project_pb2
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.revisions import schema_differences
from sailplane_runtime.store.sql import SqlStore

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
