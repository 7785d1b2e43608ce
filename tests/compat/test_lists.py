"""Stock flytekit turns pages: it hands tokens back as it got them, and makes none up."""

from compat.plane import Plane
from compat.runs import Runs
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.clients.helpers import iterate_node_executions
from flytekit.models.common import NamedEntityIdentifier
from flytekit.remote import FlyteRemote


def client_of(plane: Plane) -> SynchronousFlyteClient:
    remote: FlyteRemote = plane.remote()
    return remote.client


def test_ids_and_versions_come_page_by_page(runs: Runs) -> None:
    client = client_of(runs.plane)
    whole, end = client.list_task_ids_paginated("flytesnacks", "development", limit=1000)
    assert end == ""
    names: list[str] = []
    versions: list[str] = []
    token = ""
    while True:
        page, token = client.list_task_ids_paginated("flytesnacks", "development", limit=2, token=token)
        names += [one.name for one in page]
        if not token:
            break
        assert not token.isdigit()
    assert names == [one.name for one in whole]
    while True:
        id = NamedEntityIdentifier("flytesnacks", "development", names[0])
        tasks, token = client.list_tasks_paginated(id, limit=1, token=token)
        versions += [task.id.version for task in tasks]
        if not token:
            break
    assert versions
    assert len(set(versions)) == len(versions)


def test_the_nodes_of_an_execution_come_page_by_page(runs: Runs) -> None:
    done = runs.run("basics.ordered", {})
    client = client_of(runs.plane)
    nodes = list(iterate_node_executions(client, workflow_execution_identifier=done.id))
    assert len(nodes) > 2
    found: list[str] = []
    token = ""
    while True:
        page, token = client.list_node_executions(done.id, limit=1, token=token)
        found += [node.id.node_id for node in page]
        if not token:
            break
    assert sorted(found) == sorted(node.id.node_id for node in nodes)
