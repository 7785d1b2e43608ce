"""Projects, and the registered versions of tasks, workflows and launch plans: one row each.

Besides the columns that lists filter and sort by, a row has the whole message as it is served, so that reading one is
a single indexed read. It stands last: SQLite then finds the other columns without walking through it.
"""

from typing import Any

from sailplane_core.naming import GENERATED_PREFIX
from sailplane_runtime.store.times import time_column
from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)

from .base import id_column, metadata

NAME_CHARS_MAX = 255
ENTITY_NAME_CHARS_MAX = NAME_CHARS_MAX + len(GENERATED_PREFIX)
"""A task's name, with what the workflow around it has in front of it."""
ACTIVE = 1
"""admin.LaunchPlanState.ACTIVE"""


def _named() -> list[Column[Any]]:
    return [
        Column("project", String(NAME_CHARS_MAX), nullable=False),
        Column("domain", String(NAME_CHARS_MAX), nullable=False),
        Column("name", String(ENTITY_NAME_CHARS_MAX), nullable=False),
    ]


def _version_key() -> list[Column[Any]]:
    return [*_named(), Column("version", String(NAME_CHARS_MAX), nullable=False)]


projects = Table(
    "projects",
    metadata,
    id_column(),
    Column("identifier", String(63), nullable=False, unique=True),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("description", String(300), nullable=False),
    Column("state", Integer, nullable=False, comment="admin.Project.ProjectState"),
    time_column("created_at_us", nullable=False),
    time_column("updated_at_us", nullable=False),
    Column("project", LargeBinary, nullable=False, comment="admin.Project, without domains"),
)

tasks = Table(
    "tasks",
    metadata,
    id_column(),
    *_version_key(),
    Column("type", String(NAME_CHARS_MAX), nullable=False),
    Column("short_description", String(NAME_CHARS_MAX), nullable=False),
    time_column("created_at_us", nullable=False),
    Column("task", LargeBinary, nullable=False, comment="admin.Task"),
    UniqueConstraint("project", "domain", "name", "version", name="tasks_version"),
    Index("tasks_by_age", "project", "domain", "created_at_us"),
    Index("tasks_of_name_by_age", "project", "domain", "name", "created_at_us"),
)

workflows = Table(
    "workflows",
    metadata,
    id_column(),
    *_version_key(),
    Column("short_description", String(NAME_CHARS_MAX), nullable=False),
    time_column("created_at_us", nullable=False),
    Column("listed", LargeBinary, nullable=False, comment="admin.Workflow with nothing compiled but the interface"),
    Column("workflow", LargeBinary, nullable=False, comment="admin.Workflow"),
    UniqueConstraint("project", "domain", "name", "version", name="workflows_version"),
    Index("workflows_by_age", "project", "domain", "created_at_us"),
    Index("workflows_of_name_by_age", "project", "domain", "name", "created_at_us"),
)

launch_plans = Table(
    "launch_plans",
    metadata,
    id_column(),
    *_version_key(),
    Column("workflow_id", ForeignKey("workflows.id"), nullable=False),
    Column("state", Integer, nullable=False, comment="admin.LaunchPlanState; UpdateLaunchPlan writes it"),
    Column("schedule_type", String(8), nullable=False, comment="NONE, CRON or RATE"),
    Column(
        "is_implicit", Boolean, nullable=False, comment="made with its workflow; the first explicit one replaces it"
    ),
    time_column("created_at_us", nullable=False),
    time_column("updated_at_us", nullable=False),
    Column("plan", LargeBinary, nullable=False, comment="admin.LaunchPlan; state and times are those of the columns"),
    UniqueConstraint("project", "domain", "name", "version", name="launch_plans_version"),
    Index("launch_plans_by_age", "project", "domain", "created_at_us"),
    Index("launch_plans_of_name_by_age", "project", "domain", "name", "created_at_us"),
    Index("launch_plans_of_workflow", "workflow_id"),
    Index(
        "launch_plans_active",
        "project",
        "domain",
        "name",
        unique=True,
        sqlite_where=text(f"state = {ACTIVE}"),
        postgresql_where=text(f"state = {ACTIVE}"),
    ),
)

named_entities = Table(
    "named_entities",
    metadata,
    id_column(),
    Column("resource_type", Integer, nullable=False, comment="core.ResourceType"),
    *_named(),
    Column("description", String(300), nullable=False),
    Column("state", Integer, nullable=False, comment="admin.NamedEntityState"),
    time_column("created_at_us", nullable=False, comment="when the first version was registered"),
    time_column("updated_at_us", nullable=False),
    UniqueConstraint("resource_type", "project", "domain", "name", name="named_entities_name"),
)

description_entities = Table(
    "description_entities",
    metadata,
    id_column(),
    Column("resource_type", Integer, nullable=False, comment="core.ResourceType"),
    *_version_key(),
    Column("short_description", String(NAME_CHARS_MAX), nullable=False),
    time_column("created_at_us", nullable=False),
    Column("description", LargeBinary, nullable=False, comment="admin.DescriptionEntity"),
    UniqueConstraint("resource_type", "project", "domain", "name", "version", name="description_entities_version"),
)

attributes = Table(
    "attributes",
    metadata,
    id_column(),
    Column("resource_type", Integer, nullable=False, comment="admin.MatchableResource"),
    Column("project", String(NAME_CHARS_MAX), nullable=False, comment="empty for all, as what follows"),
    Column("domain", String(NAME_CHARS_MAX), nullable=False),
    Column("workflow", String(NAME_CHARS_MAX), nullable=False),
    Column("launch_plan", String(NAME_CHARS_MAX), nullable=False),
    time_column("updated_at_us", nullable=False),
    Column("attributes", LargeBinary, nullable=False, comment="admin.MatchingAttributes"),
    UniqueConstraint("project", "domain", "workflow", "launch_plan", "resource_type", name="attributes_place"),
)
