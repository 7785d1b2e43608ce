"""The tables of admin: the registry, executions and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "description_entities",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("resource_type", sa.Integer(), nullable=False, comment="core.ResourceType"),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=265), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("short_description", sa.String(length=255), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.LargeBinary(), nullable=False, comment="admin.DescriptionEntity"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "resource_type", "project", "domain", "name", "version", name="description_entities_version"
        ),
    )
    op.create_table(
        "execution_tags",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_project", sa.String(length=255), nullable=False),
        sa.Column("execution_domain", sa.String(length=255), nullable=False),
        sa.Column("execution_name", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False, comment="'' for a plain tag"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("execution_tags", schema=None) as batch_op:
        batch_op.create_index("execution_tags_by_key", ["key", "value"], unique=False)
        batch_op.create_index(
            "execution_tags_of_execution", ["execution_project", "execution_domain", "execution_name"], unique=False
        )

    op.create_table(
        "named_entities",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("resource_type", sa.Integer(), nullable=False, comment="core.ResourceType"),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=265), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False, comment="admin.NamedEntityState"),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False, comment="when the first version was registered"),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("resource_type", "project", "domain", "name", name="named_entities_name"),
    )
    op.create_table(
        "node_executions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_project", sa.String(length=255), nullable=False),
        sa.Column("execution_domain", sa.String(length=255), nullable=False),
        sa.Column("execution_name", sa.String(length=63), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False, comment="unique in the execution"),
        sa.Column(
            "parent_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="the node it lies in",
        ),
        sa.Column("phase", sa.String(length=32), nullable=False, comment="name of the enum; events move it"),
        sa.Column("started_at_us", sa.BigInteger(), nullable=True),
        sa.Column(
            "duration_us", sa.BigInteger(), nullable=True, comment="from start to end; set with a terminal phase"
        ),
        sa.Column("error_kind", sa.String(length=16), nullable=True, comment="USER or SYSTEM; set with a failure"),
        sa.Column("error_code", sa.String(length=255), nullable=True),
        sa.Column("node_execution_created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("node_execution_updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("input_uri", sa.Text(), nullable=False),
        sa.Column("cache_status", sa.String(length=32), nullable=True),
        sa.Column("metadata", sa.LargeBinary(), nullable=False, comment="admin.NodeExecutionMetaData"),
        sa.Column("closure", sa.LargeBinary(), nullable=False, comment="admin.NodeExecutionClosure"),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["node_executions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "execution_project", "execution_domain", "execution_name", "node_id", name="node_executions_node"
        ),
    )
    with op.batch_alter_table("node_executions", schema=None) as batch_op:
        batch_op.create_index("node_executions_of_parent", ["parent_id"], unique=False)

    op.create_table(
        "outbox",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="the order of sending"
        ),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column(
            "key", sa.String(length=255), nullable=False, comment="what the message is about; its order is kept per key"
        ),
        sa.Column("id", sa.String(length=512), nullable=False, comment="derived from what the message says"),
        sa.Column("payload", sa.LargeBinary(), nullable=False, comment="a serialised protobuf envelope"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("identifier", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False, comment="admin.Project.ProjectState"),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("project", sa.LargeBinary(), nullable=False, comment="admin.Project, without domains"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("identifier"),
    )
    op.create_table(
        "task_executions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=265), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("execution_project", sa.String(length=255), nullable=False),
        sa.Column("execution_domain", sa.String(length=255), nullable=False),
        sa.Column("execution_name", sa.String(length=63), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("retry_attempt", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=32), nullable=False, comment="name of the enum; events move it"),
        sa.Column("started_at_us", sa.BigInteger(), nullable=True),
        sa.Column(
            "duration_us", sa.BigInteger(), nullable=True, comment="from start to end; set with a terminal phase"
        ),
        sa.Column("error_kind", sa.String(length=16), nullable=True, comment="USER or SYSTEM; set with a failure"),
        sa.Column("error_code", sa.String(length=255), nullable=True),
        sa.Column("phase_version", sa.Integer(), nullable=False),
        sa.Column("task_execution_created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("task_execution_updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("input_uri", sa.Text(), nullable=False),
        sa.Column("closure", sa.LargeBinary(), nullable=False, comment="admin.TaskExecutionClosure"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
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
    op.create_table(
        "tasks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=265), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("short_description", sa.String(length=255), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.LargeBinary(), nullable=False, comment="admin.Task"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project", "domain", "name", "version", name="tasks_version"),
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index("tasks_by_age", ["project", "domain", "created_at_us"], unique=False)
        batch_op.create_index("tasks_of_name_by_age", ["project", "domain", "name", "created_at_us"], unique=False)

    op.create_table(
        "workflows",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=265), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("short_description", sa.String(length=255), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "listed", sa.LargeBinary(), nullable=False, comment="admin.Workflow with nothing compiled but the interface"
        ),
        sa.Column("workflow", sa.LargeBinary(), nullable=False, comment="admin.Workflow"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project", "domain", "name", "version", name="workflows_version"),
    )
    with op.batch_alter_table("workflows", schema=None) as batch_op:
        batch_op.create_index("workflows_by_age", ["project", "domain", "created_at_us"], unique=False)
        batch_op.create_index("workflows_of_name_by_age", ["project", "domain", "name", "created_at_us"], unique=False)

    op.create_table(
        "launch_plans",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=265), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("workflow_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False, comment="admin.LaunchPlanState; UpdateLaunchPlan writes it"),
        sa.Column("schedule_type", sa.String(length=8), nullable=False, comment="NONE, CRON or RATE"),
        sa.Column(
            "is_implicit",
            sa.Boolean(),
            nullable=False,
            comment="made with its workflow; the first explicit one replaces it",
        ),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "plan",
            sa.LargeBinary(),
            nullable=False,
            comment="admin.LaunchPlan; state and times are those of the columns",
        ),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflows.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project", "domain", "name", "version", name="launch_plans_version"),
    )
    with op.batch_alter_table("launch_plans", schema=None) as batch_op:
        batch_op.create_index(
            "launch_plans_active",
            ["project", "domain", "name"],
            unique=True,
            sqlite_where=sa.text("state = 1"),
            postgresql_where=sa.text("state = 1"),
        )
        batch_op.create_index("launch_plans_by_age", ["project", "domain", "created_at_us"], unique=False)
        batch_op.create_index(
            "launch_plans_of_name_by_age", ["project", "domain", "name", "created_at_us"], unique=False
        )
        batch_op.create_index("launch_plans_of_workflow", ["workflow_id"], unique=False)

    op.create_table(
        "executions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_project", sa.String(length=255), nullable=False),
        sa.Column("execution_domain", sa.String(length=255), nullable=False),
        sa.Column("execution_name", sa.String(length=63), nullable=False),
        sa.Column("launch_plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("workflow_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "task_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="of a single task's execution",
        ),
        sa.Column("launch_entity", sa.String(length=16), nullable=False, comment="LAUNCH_PLAN or TASK"),
        sa.Column("phase", sa.String(length=32), nullable=False, comment="name of the enum; events move it"),
        sa.Column("started_at_us", sa.BigInteger(), nullable=True),
        sa.Column(
            "duration_us", sa.BigInteger(), nullable=True, comment="from start to end; set with a terminal phase"
        ),
        sa.Column("error_kind", sa.String(length=16), nullable=True, comment="USER or SYSTEM; set with a failure"),
        sa.Column("error_code", sa.String(length=255), nullable=True),
        sa.Column("execution_created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("execution_updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("abort_cause", sa.Text(), nullable=True),
        sa.Column("mode", sa.Integer(), nullable=False, comment="admin.ExecutionMetadata.ExecutionMode"),
        sa.Column("state", sa.Integer(), nullable=False, comment="admin.ExecutionState"),
        sa.Column("cluster", sa.String(length=255), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False, comment="who started it"),
        sa.Column(
            "source_execution_id", sa.Integer(), nullable=True, comment="the execution it relaunches or recovers"
        ),
        sa.Column("parent_node_execution_id", sa.Integer(), nullable=True, comment="the node that started it"),
        sa.Column("inputs_uri", sa.Text(), nullable=False, comment="complete, as the engine gets them"),
        sa.Column("user_inputs_uri", sa.Text(), nullable=False, comment="as the caller gave them"),
        sa.Column("spec", sa.LargeBinary(), nullable=False, comment="admin.ExecutionSpec; never changes"),
        sa.Column("closure", sa.LargeBinary(), nullable=False, comment="admin.ExecutionClosure"),
        sa.ForeignKeyConstraint(
            ["launch_plan_id"],
            ["launch_plans.id"],
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.id"],
        ),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflows.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("execution_project", "execution_domain", "execution_name", name="executions_name"),
    )
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.create_index(
            "executions_by_age",
            ["execution_project", "execution_domain", "state", "execution_created_at_us"],
            unique=False,
        )
        batch_op.create_index("executions_of_launch_plan", ["launch_plan_id"], unique=False)
        batch_op.create_index("executions_of_workflow", ["workflow_id"], unique=False)
