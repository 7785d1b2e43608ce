"""Changes of an execution, its nodes and attempts are numbered."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

KEY = ("execution_project", "execution_domain", "execution_name")
COMMENT = "number of its last change among those of the execution"

_NUMBER_NODES = """
    UPDATE node_executions SET change = numbered.number FROM (
        SELECT id, row_number() OVER (
            PARTITION BY execution_project, execution_domain, execution_name ORDER BY id
        ) AS number FROM node_executions
    ) AS numbered WHERE node_executions.id = numbered.id
"""
_NUMBER_TASKS = """
    UPDATE task_executions SET change = numbered.number + (
        SELECT count(*) FROM node_executions AS node
        WHERE node.execution_project = task_executions.execution_project
            AND node.execution_domain = task_executions.execution_domain
            AND node.execution_name = task_executions.execution_name
    ) FROM (
        SELECT id, row_number() OVER (
            PARTITION BY execution_project, execution_domain, execution_name ORDER BY id
        ) AS number FROM task_executions
    ) AS numbered WHERE task_executions.id = numbered.id
"""
_NUMBER_EXECUTIONS = """
    UPDATE executions SET change = 1 + (
        SELECT count(*) FROM node_executions AS node
        WHERE node.execution_project = executions.execution_project
            AND node.execution_domain = executions.execution_domain
            AND node.execution_name = executions.execution_name
    ) + (
        SELECT count(*) FROM task_executions AS attempt
        WHERE attempt.execution_project = executions.execution_project
            AND attempt.execution_domain = executions.execution_domain
            AND attempt.execution_name = executions.execution_name
    )
"""


def upgrade() -> None:
    for table in ("executions", "node_executions", "task_executions"):
        _add(table, "change", COMMENT)
    _add("executions", "last_change", "the last number given out")
    for statement in (_NUMBER_NODES, _NUMBER_TASKS, _NUMBER_EXECUTIONS, "UPDATE executions SET last_change = change"):
        op.execute(statement)
    op.create_index("node_executions_by_change", "node_executions", [*KEY, "change"])
    op.create_index("task_executions_by_change", "task_executions", [*KEY, "change"])


def _add(table: str, name: str, comment: str) -> None:
    column = sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"), comment=comment)
    op.add_column(table, column)
