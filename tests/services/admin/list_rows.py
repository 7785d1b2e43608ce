"""Rows straight into the tables, for tests of lists: as many and as odd as one likes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sailplane_admin.ports import AdminPorts
from sailplane_protos.admin import common_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Table, insert

from services.admin import registry_requests as registry

EXECUTION: dict[str, Any] = {
    "execution_project": registry.PROJECT,
    "execution_domain": registry.DOMAIN,
    "launch_entity": "LAUNCH_PLAN",
    "phase": "SUCCEEDED",
    "started_at_us": None,
    "duration_us": None,
    "error_kind": None,
    "error_code": None,
    "execution_created_at_us": 0,
    "execution_updated_at_us": 0,
    "abort_cause": None,
    "mode": 0,
    "state": 0,
    "cluster": "",
    "user": "",
    "inputs_uri": "",
    "user_inputs_uri": "",
    "spec": b"",
    "closure": b"",
}
"""A row of an execution, but for its name."""


async def put(ports: AdminPorts, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert them. All have the same columns."""

    def change(transaction: Transaction) -> None:
        transaction.connection.execute(insert(table), rows)

    if rows:
        await ports.store.write(change)


def executions(limit: int = 10, **more: Any) -> common_pb2.ResourceListRequest:
    """Of the default project."""
    return common_pb2.ResourceListRequest(id=registry.name(), limit=limit, **more)
