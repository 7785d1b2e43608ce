"""Lists are asked by people who mean harm: what they write never gets into a statement, only beside it."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sailplane_admin import (
    audit,
    catalog_lists,
    description_entities,
    executions,
    launch_plans,
    named_entities,
    node_executions,
    notifications,
    projects,
    quotas,
    retention,
    signals,
    task_executions,
    tasks,
    workflows,
)
from sailplane_admin.paging import page_key
from sailplane_admin.ports import AdminPorts
from sailplane_admin.tables import metadata
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.filter_fields import DATABASE_FIELDS, FIELDS, Entity
from sailplane_core.filters import Function
from sailplane_core.ids import ResourceType
from sailplane_protos.admin import (
    common_pb2,
    description_entity_pb2,
    launch_plan_pb2,
    node_execution_pb2,
    project_pb2,
    signal_pb2,
    task_execution_pb2,
)
from sailplane_protos.datacatalog import datacatalog_pb2
from sailplane_protos.governance import audit_pb2, quotas_pb2, retention_pb2
from sailplane_protos.notification import service_pb2 as notification_pb2
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import Engine, event

from services.admin import execution_requests, registry_requests

STRINGS = 5_000
STATEMENTS_MAX = 3
CALL_S_MAX = 2.0


def attempt() -> task_execution_pb2.TaskExecutionListRequest:
    return task_execution_pb2.TaskExecutionListRequest(node_execution_id=execution_requests.node_id(), limit=3)


def of_attempt() -> node_execution_pb2.NodeExecutionForTaskListRequest:
    request = node_execution_pb2.NodeExecutionForTaskListRequest(limit=3)
    request.task_execution_id.node_execution_id.CopyFrom(execution_requests.node_id())
    request.task_execution_id.task_id.CopyFrom(registry_requests.task_id("double"))
    return request


SCOPE = {"project": registry_requests.PROJECT, "domain": registry_requests.DOMAIN}
VERSIONS = (lambda: registry_requests.versions(limit=3), ("id.project", "id.domain", "id.name"))
OF_EXECUTION = tuple(f"workflow_execution_id.{part}" for part in ("project", "domain", "name"))
OF_NODE = tuple(f"execution_id.{part}" for part in ("project", "domain", "name"))

Endpoint = tuple[Callable[[AdminPorts, Any], Awaitable[Any]], Callable[[], Any], tuple[str, ...], Entity | None]
ENDPOINTS: dict[str, Endpoint] = {
    "ListTasks": (tasks.list_tasks, *VERSIONS, Entity.TASK),
    "ListWorkflows": (workflows.list_workflows, *VERSIONS, Entity.WORKFLOW),
    "ListLaunchPlans": (launch_plans.list_plans, *VERSIONS, Entity.LAUNCH_PLAN),
    "ListExecutions": (executions.list_executions, *VERSIONS, Entity.EXECUTION),
    "ListActiveLaunchPlans": (
        launch_plans.list_active,
        lambda: launch_plan_pb2.ActiveLaunchPlanListRequest(**SCOPE, limit=3),
        ("project", "domain"),
        None,
    ),
    "ListTaskIds": (
        lambda ports, request: named_entities.list_ids(ports, ResourceType.TASK, request),
        lambda: common_pb2.NamedEntityIdentifierListRequest(**SCOPE, limit=3),
        ("project", "domain", "filters"),
        None,
    ),
    "ListNamedEntities": (
        named_entities.list_entities,
        lambda: common_pb2.NamedEntityListRequest(**SCOPE, limit=3, resource_type=ResourceType.TASK),
        ("project", "domain"),
        Entity.NAMED_ENTITY,
    ),
    "ListDescriptionEntities": (
        description_entities.list_descriptions,
        lambda: description_entity_pb2.DescriptionEntityListRequest(
            resource_type=ResourceType.TASK, id=registry_requests.name("a"), limit=3
        ),
        ("id.project", "id.domain", "id.name"),
        Entity.DESCRIPTION_ENTITY,
    ),
    "ListProjects": (projects.list_projects, lambda: project_pb2.ProjectListRequest(limit=3), (), Entity.PROJECT),
    "ListNodeExecutions": (
        node_executions.list_nodes,
        lambda: node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id=execution_requests.execution_id(), limit=3
        ),
        (*OF_EXECUTION, "unique_parent_id"),
        Entity.NODE_EXECUTION,
    ),
    "ListNodeExecutionsForTask": (
        node_executions.list_for_task,
        of_attempt,
        ("task_execution_id.task_id.name", *(f"task_execution_id.node_execution_id.{part}" for part in OF_NODE)),
        Entity.NODE_EXECUTION,
    ),
    "ListTaskExecutions": (
        task_executions.list_attempts,
        attempt,
        ("node_execution_id.node_id", *(f"node_execution_id.{part}" for part in OF_NODE)),
        Entity.TASK_EXECUTION,
    ),
    "ListSignals": (
        signals.list_signals,
        lambda: signal_pb2.SignalListRequest(workflow_execution_id=execution_requests.execution_id(), limit=3),
        OF_EXECUTION,
        Entity.SIGNAL,
    ),
    "ListAuditEvents": (
        audit.list_events,
        lambda: audit_pb2.ListAuditEventsRequest(limit=3),
        ("project", "domain", "principal", "rpc", "code"),
        None,
    ),
    "ListQuotas": (quotas.list_quotas, lambda: quotas_pb2.ListQuotasRequest(limit=3), ("project",), None),
    "ListRetentionPolicies": (
        retention.list_policies,
        lambda: retention_pb2.ListRetentionPoliciesRequest(limit=3),
        ("project",),
        None,
    ),
    "ListDeliveries": (
        notifications.list_deliveries,
        lambda: notification_pb2.ListDeliveriesRequest(limit=3),
        ("project", "domain", "execution"),
        None,
    ),
    "ListDatasets": (
        catalog_lists.list_datasets,
        lambda: datacatalog_pb2.ListDatasetsRequest(),
        ("pagination.token",),
        None,
    ),
    "ListArtifacts": (
        catalog_lists.list_artifacts,
        lambda: datacatalog_pb2.ListArtifactsRequest(dataset=datacatalog_pb2.DatasetID(**SCOPE, name="n", version="v")),
        ("pagination.token", *(f"dataset.{part}" for part in ("project", "domain", "name", "version", "UUID"))),
        None,
    ),
}
"""By RPC: the use case, a good request, where it has names, and what its filters are about."""


class Watch:
    """The SQL log."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __call__(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        self.statements.append(statement)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Of every engine that is made from now on."""
    watch = Watch()
    event.listen(Engine, "before_cursor_execute", watch)
    yield watch
    event.remove(Engine, "before_cursor_execute", watch)


@pytest.fixture
async def store(tmp_path: Path, watch: Watch) -> AsyncIterator[SqlStore]:
    """Watched from its beginning."""
    opened = await SqlStore.open(f"sqlite:///{tmp_path}/admin.db", metadata)
    yield opened
    await opened.close()


ATTACKS = (
    "{m}' OR '1'='1",
    "{m}'; DROP TABLE executions; --",
    '{m}") UNION SELECT spec FROM executions --',
    "{m} DESC, (SELECT 1)",
    "{m}\\'; ATTACH 'x' AS y; --",
    "%{m}%_[a-z]*?" + "%a" * 60,
    "{m}\n\r\t\x00",
    ":{m} ? $1 %({m})s {{}}",
    "{m}" + "ü" * 3000,
    "p1.{m}",
    "-{m}",
    "{m}(((((",
    "{m});eq(id,1",
    "{m}\u202e\ufeff\U0001f4a3",
    "{m}\ud7ff\ue000",
    "{m}'||randomblob(1000000000)||'",
)


def hostile(random: Random, mark: str) -> str:
    """An attack, cut, turned and joined with another; the mark stays in it."""
    text = random.choice(ATTACKS).replace("{m}", mark)
    if random.random() < 0.4:
        text += random.choice(ATTACKS).replace("{m}", mark)
    if random.random() < 0.3:
        text = (
            "".join(chr(random.choice([random.randrange(1, 0xD7FF), random.randrange(32, 127)])) for _ in range(9))
            + text
        )
    return text


def as_filter(random: Random, entity: Entity, text: str) -> str:
    """In any place of a filter."""
    field = random.choice(list(DATABASE_FIELDS | FIELDS[entity]))
    function = random.choice(list(Function))
    return random.choice(
        [
            text,
            f"{function}({field},{text})",
            f"{function}({entity}.{field},{text};{text})",
            f"{function}({text},a)",
            f"{text}({field},a)",
            f"eq({text}.{field},a)",
            f"eq(id,1)+{function}({field},{text})",
        ]
    )


def put(request: Any, path: str, value: str) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        request = getattr(request, parent)
    setattr(request, last, value)


async def test_what_is_written_in_a_request_is_never_part_of_a_statement(ports: AdminPorts, watch: Watch) -> None:
    await execution_requests.register(ports)
    await executions.create(ports, execution_requests.create())
    await page_key(ports)  # which is made with the first list
    random = Random(11)
    outcomes: dict[str, int] = {}
    for number in range(STRINGS):
        use_case, make, names, entity = ENDPOINTS[method := random.choice(list(ENDPOINTS))]
        mark = f"zq{number}x"
        text = hostile(random, mark)
        request = make()
        places = [
            *names,
            *(name for name in ("sort_by.key", "token") if hasattr(request, name.partition(".")[0])),
            *(["filters"] if entity else []),
        ]
        place = random.choice(places)
        put(request, place, as_filter(random, entity, text) if place == "filters" and entity else text)
        watch.statements.clear()
        begun = time.monotonic()
        try:
            await use_case(ports, request)
            outcome = "answered"
        except (InvalidRequest, NotFound) as refusal:
            outcome = type(refusal).__name__
        took_s = time.monotonic() - begun
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert took_s < CALL_S_MAX, (method, place, text)
        assert len(watch.statements) <= STATEMENTS_MAX, (method, watch.statements)
        for statement in watch.statements:
            assert not re.search(r"zq\d+x", statement), (method, place, statement)
    assert min(outcomes.get(name, 0) for name in ("answered", "InvalidRequest", "NotFound")) > 50, outcomes


async def test_the_watch_sees_every_statement(ports: AdminPorts, watch: Watch) -> None:
    watch.statements.clear()
    await tasks.list_tasks(ports, registry_requests.versions(filters="eq(name,zq1x)"))
    assert any("FROM tasks" in statement for statement in watch.statements)
