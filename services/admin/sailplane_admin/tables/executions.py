"""Executions, the nodes they reached, the attempts of their tasks, what those run, and their tags: one row each.

The columns before the messages are what lists filter and sort by; the messages are what replies are made of. Phases
are the names of their enums, as filters give them.
"""

from typing import Any

from sailplane_core.phases import EXECUTION_TERMINAL
from sailplane_runtime.store.times import time_column
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from .base import id_column, metadata
from .registry import ENTITY_NAME_CHARS_MAX, NAME_CHARS_MAX

PHASE_CHARS_MAX = 32
_ENDED = ", ".join(f"'{phase.name}'" for phase in sorted(EXECUTION_TERMINAL))
RUNS = f"plan_name_id IS NOT NULL AND starts_below IS NULL AND phase NOT IN ({_ENDED})"
"""It counts for its launch plan's concurrency, has started and not ended. Queries say it in these words too, or the
database would not see that an index has all they ask for."""
WAITS = "starts_below IS NOT NULL"
RUNS_BY_ITSELF = f"parent_execution_id IS NULL AND phase NOT IN ({_ENDED})"
"""No node has started it, and it has not ended. It counts for its domain's quotas."""


def _execution_key() -> list[Column[Any]]:
    return [
        Column("execution_project", String(NAME_CHARS_MAX), nullable=False),
        Column("execution_domain", String(NAME_CHARS_MAX), nullable=False),
        Column("execution_name", String(63), nullable=False),
    ]


def _change() -> Column[Any]:
    """What a watcher resumes by: no two rows of one execution, its nodes and attempts have the same."""
    comment = "number of its last change among those of the execution"
    return Column("change", BigInteger, nullable=False, server_default=text("0"), comment=comment)


def _course() -> list[Column[Any]]:
    """How far it has come."""
    return [
        Column("phase", String(PHASE_CHARS_MAX), nullable=False, comment="name of the enum; events move it"),
        time_column("started_at_us"),
        Column("duration_us", BigInteger, comment="from start to end; set with a terminal phase"),
        Column("error_kind", String(16), comment="USER or SYSTEM; set with a failure"),
        Column("error_code", String(NAME_CHARS_MAX)),
    ]


_SCOPE = ("execution_project", "execution_domain")

executions = Table(
    "executions",
    metadata,
    id_column(),
    *_execution_key(),
    Column("launch_plan_id", ForeignKey("launch_plans.id")),
    Column("workflow_id", ForeignKey("workflows.id")),
    Column("task_id", ForeignKey("tasks.id"), comment="of a single task's execution"),
    Column("launch_entity", String(16), nullable=False, comment="LAUNCH_PLAN or TASK"),
    Column("launch_plan_name", String(ENTITY_NAME_CHARS_MAX), comment="a copy, for lists of its executions"),
    Column("workflow_name", String(ENTITY_NAME_CHARS_MAX), comment="a copy likewise"),
    *_course(),
    time_column("execution_created_at_us", nullable=False),
    time_column("execution_updated_at_us", nullable=False),
    Column("abort_cause", Text),
    Column("mode", Integer, nullable=False, comment="admin.ExecutionMetadata.ExecutionMode"),
    Column("state", Integer, nullable=False, comment="admin.ExecutionState"),
    Column("cluster", String(NAME_CHARS_MAX), nullable=False),
    Column("user", String(NAME_CHARS_MAX), nullable=False, comment="who started it"),
    Column("source_execution_id", Integer, comment="the execution it relaunches or recovers"),
    Column("parent_execution_id", Integer, comment="the execution of the node that started it"),
    Column("parent_node_id", String(64), comment="that node, which may not be recorded yet"),
    Column("inputs_uri", Text, nullable=False, comment="complete, as the engine gets them"),
    Column("user_inputs_uri", Text, nullable=False, comment="as the caller gave them"),
    Column("plan_name_id", Integer, comment="the named entity of its launch plan, if it counts for its concurrency"),
    Column("starts_below", Integer, comment="it waits until fewer than this many run; NULL once it is to run"),
    Column("start_order", LargeBinary, comment="propeller.ExecutionCommand, for when it starts; NULL likewise"),
    _change(),
    Column("last_change", BigInteger, nullable=False, server_default=text("0"), comment="the last number given out"),
    Column("spec", LargeBinary, nullable=False, comment="admin.ExecutionSpec; never changes"),
    Column("closure", LargeBinary, nullable=False, comment="admin.ExecutionClosure"),
    UniqueConstraint("execution_project", "execution_domain", "execution_name", name="executions_name"),
    Index("executions_by_age", "execution_project", "execution_domain", "state", "execution_created_at_us"),
    *(
        Index(f"executions_by_{column}", *_SCOPE, "state", column, "execution_created_at_us")
        for column in ("phase", "workflow_name", "launch_plan_name", "user")
    ),
    Index(
        "executions_running",
        *_SCOPE,
        "parent_execution_id",
        sqlite_where=text(RUNS_BY_ITSELF),
        postgresql_where=text(RUNS_BY_ITSELF),
    ),
    Index("executions_of_workflow", "workflow_id"),
    Index("executions_of_launch_plan", "launch_plan_id"),
    Index(
        "executions_of_parent",
        "parent_execution_id",
        sqlite_where=text("parent_execution_id IS NOT NULL"),
        postgresql_where=text("parent_execution_id IS NOT NULL"),
    ),
    Index(
        "executions_of_source",
        "source_execution_id",
        sqlite_where=text("source_execution_id IS NOT NULL"),
        postgresql_where=text("source_execution_id IS NOT NULL"),
    ),
    Index("executions_that_run", "plan_name_id", sqlite_where=text(RUNS), postgresql_where=text(RUNS)),
    Index("executions_that_wait", "plan_name_id", "id", sqlite_where=text(WAITS), postgresql_where=text(WAITS)),
)

node_executions = Table(
    "node_executions",
    metadata,
    id_column(),
    *_execution_key(),
    Column("node_id", String(64), nullable=False, comment="unique in the execution"),
    Column("parent_id", ForeignKey("node_executions.id"), comment="the node it lies in"),
    *_course(),
    time_column("node_execution_created_at_us", nullable=False),
    time_column("node_execution_updated_at_us", nullable=False),
    Column("input_uri", Text, nullable=False),
    Column("cache_status", String(32)),
    _change(),
    Column("metadata", LargeBinary, nullable=False, comment="admin.NodeExecutionMetaData"),
    Column("closure", LargeBinary, nullable=False, comment="admin.NodeExecutionClosure"),
    Column("dynamic_workflow", LargeBinary, comment="admin.DynamicWorkflowNodeMetadata, once it has generated one"),
    UniqueConstraint("execution_project", "execution_domain", "execution_name", "node_id", name="node_executions_node"),
    Index("node_executions_by_change", "execution_project", "execution_domain", "execution_name", "change"),
    Index("node_executions_of_parent", "parent_id"),
)

task_executions = Table(
    "task_executions",
    metadata,
    id_column(),
    Column("project", String(NAME_CHARS_MAX), nullable=False),
    Column("domain", String(NAME_CHARS_MAX), nullable=False),
    Column("name", String(ENTITY_NAME_CHARS_MAX), nullable=False),
    Column("version", String(NAME_CHARS_MAX), nullable=False),
    *_execution_key(),
    Column("node_id", String(64), nullable=False),
    Column("retry_attempt", Integer, nullable=False),
    *_course(),
    Column("phase_version", Integer, nullable=False),
    time_column("task_execution_created_at_us", nullable=False),
    time_column("task_execution_updated_at_us", nullable=False),
    Column("input_uri", Text, nullable=False),
    _change(),
    Column("closure", LargeBinary, nullable=False, comment="admin.TaskExecutionClosure"),
    Index("task_executions_by_change", "execution_project", "execution_domain", "execution_name", "change"),
    UniqueConstraint(
        "execution_project",
        "execution_domain",
        "execution_name",
        "node_id",
        "retry_attempt",
        "project",
        "domain",
        "name",
        "version",
        name="task_executions_attempt",
    ),
)

external_resources = Table(
    "external_resources",
    metadata,
    Column("task_execution_id", ForeignKey("task_executions.id"), primary_key=True, comment="whose attempt it is"),
    Column("item", BigInteger, primary_key=True, autoincrement=False, comment="of a map: which element"),
    Column("retry_attempt", BigInteger, primary_key=True, autoincrement=False, comment="which attempt of that element"),
    Column("resource", LargeBinary, nullable=False, comment="event.ExternalResourceInfo"),
)

execution_tags = Table(
    "execution_tags",
    metadata,
    id_column(),
    *_execution_key(),
    Column("key", String(NAME_CHARS_MAX), nullable=False),
    Column("value", String(NAME_CHARS_MAX), nullable=False, comment="'' for a plain tag"),
    Index("execution_tags_of_execution", "execution_project", "execution_domain", "execution_name"),
    Index("execution_tags_by_key", "key", "value"),
)

signals = Table(
    "signals",
    metadata,
    id_column(),
    *_execution_key(),
    Column("signal_id", String(255), nullable=False, comment="chosen by the author of the workflow"),
    Column("type", LargeBinary, nullable=False, comment="core.LiteralType; never changes"),
    Column("value", LargeBinary, comment="core.Literal, once somebody has given it"),
    time_column("created_at_us", nullable=False, comment="when its gate asked for it"),
    time_column("updated_at_us", nullable=False, comment="when it was last given a value"),
    UniqueConstraint("execution_project", "execution_domain", "execution_name", "signal_id", name="signals_id"),
)
