"""PropellerService: what operators can ask the engine about itself. Everything is read from the tables."""

import base64
import binascii
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.ids import ExecutionId, pod_name
from sailplane_core.machine import NodeKind, NodeState
from sailplane_core.machine.report import execution_error, timestamp
from sailplane_core.phases import NodePhase
from sailplane_protos.core import identifier_pb2
from sailplane_protos.propeller import service_pb2
from sqlalchemy import Connection, RowMapping, select

from . import records
from .logs import Logs
from .ports import PropellerPorts
from .tables import executions, nodes

PAGE_DEFAULT = 100
PAGE_MAX = 1000
OFFSET_DIGITS_MAX = 9


class Inspection:
    """The handlers. Drain is not offered: in one process there is nobody to hand executions to."""

    def __init__(self, ports: PropellerPorts) -> None:
        self._ports = ports
        self._logs = Logs(ports)

    async def GetExecutionState(
        self, request: service_pb2.GetExecutionStateRequest, context: Any
    ) -> service_pb2.ExecutionState:
        """The machine state of one execution."""
        id = _execution_id(request.id)
        after, limit = _decode_token(request.token), _page_size(request.limit)
        answer = await self._ports.store.read(lambda connection: _state(connection, id, after, limit))
        if not request.token:
            for message in await self._ports.store.pending(records.COMMANDS_TOPIC, str(id)):
                command = records.read_command(message)
                answer.commands.add(
                    command_id=message.id, kind=type(command).__name__, node_id=command.node_id, attempt=command.attempt
                )
        return answer

    async def ListParked(self, request: service_pb2.ListParkedRequest, context: Any) -> service_pb2.ListParkedResponse:
        """The quarantined executions, the latest first."""
        return await self._ports.store.read(lambda connection: _parked_page(connection, request))

    async def ReadLog(self, request: service_pb2.ReadLogRequest, context: Any) -> AsyncIterator[service_pb2.LogChunk]:
        """What a Pod has written."""
        for field in ("namespace", "pod_name"):
            if not getattr(request, field):
                raise InvalidRequest.missing(field)
        if request.offset < 0:
            raise InvalidRequest.invalid("offset", "it is below 0")
        chunks = self._logs.read(request.namespace, request.pod_name, request.offset, follow=request.follow)
        async for chunk in chunks:
            yield service_pb2.LogChunk(data=chunk)


def _state(connection: Connection, id: ExecutionId, after: str, limit: int) -> service_pb2.ExecutionState:
    row = connection.execute(select(executions).where(executions.c.id == str(id))).mappings().one_or_none()
    if row is None:
        raise NotFound("execution", str(id))
    query = select(nodes).where(nodes.c.execution_id == str(id), nodes.c.id > after).order_by(nodes.c.id)
    page = connection.execute(query.limit(limit + 1)).mappings().all()
    answer = service_pb2.ExecutionState(id=id.to_message(), phase=row["phase"], version=row["version"])
    answer.nodes.extend(_readable(id, found) for found in page[:limit])
    if len(page) > limit:
        answer.token = _encode_token(page[limit - 1]["id"])
    if row["parked_at"] is not None and not after:
        answer.parked.CopyFrom(_parked(row))
    return answer


def _readable(execution: ExecutionId, row: RowMapping) -> service_pb2.NodeState:
    """A node; of one whose row makes no sense, which is why its execution is parked, as much as can be told."""
    try:
        return _node_message(execution, records.node_state(row))
    except (ValueError, TypeError, KeyError) as error:
        message = service_pb2.NodeState(node_id=row["id"], parent_node_id=str(row["scope"]), phase="UNREADABLE")
        message.error.code, message.error.message = "UnreadableRow", repr(error)
        return message


def _node_message(execution: ExecutionId, node: NodeState) -> service_pb2.NodeState:
    message = service_pb2.NodeState(
        node_id=node.id,
        spec_node_id=node.spec_id,
        parent_node_id=node.scope,
        kind=node.kind.value,
        phase=NodePhase(node.phase).name,
        attempt=node.attempt,
        user_failures=node.user_failures,
        system_failures=node.system_failures,
        pod_name=pod_name(execution, node.id, node.attempt) if node.kind is NodeKind.TASK else "",
        outputs_uri=node.outputs_uri,
        queued_at=_timestamp(node.queued_at),
        started_at=_timestamp(node.started_at),
        ended_at=_timestamp(node.ended_at),
    )
    if node.failure is not None:
        message.error.CopyFrom(execution_error(node.failure))
    return message


def _parked_page(connection: Connection, request: service_pb2.ListParkedRequest) -> service_pb2.ListParkedResponse:
    limit, offset = _page_size(request.limit), _decode_token(request.token) or "0"
    if not offset.isdecimal() or len(offset) > OFFSET_DIGITS_MAX:
        raise InvalidRequest.invalid("token")
    query = select(executions).where(executions.c.parked_at.is_not(None))
    if request.project:
        query = query.where(executions.c.id.startswith(f"{request.project}/", autoescape=True))
    if request.domain:
        query = query.where(executions.c.id.contains(f"/{request.domain}/", autoescape=True))
    query = query.order_by(executions.c.parked_at.desc(), executions.c.id).offset(int(offset)).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    answer = service_pb2.ListParkedResponse(parked=[_parked(row) for row in rows[:limit]])
    if len(rows) > limit:
        answer.token = _encode_token(str(int(offset) + limit))
    return answer


def _parked(row: RowMapping) -> service_pb2.Parked:
    return service_pb2.Parked(
        id=ExecutionId.parse(row["id"]).to_message(),
        reason=row["parked_reason"],
        evidence=row["parked_evidence"],
        parked_at=_timestamp(records.utc(row["parked_at"])),
    )


def _execution_id(message: identifier_pb2.WorkflowExecutionIdentifier) -> ExecutionId:
    for field in ("project", "domain", "name"):
        if not getattr(message, field):
            raise InvalidRequest.missing(f"id.{field}")
    return ExecutionId.of(message)


def _page_size(limit: int) -> int:
    return min(limit or PAGE_DEFAULT, PAGE_MAX)


def _encode_token(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode()


def _decode_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest.invalid("token") from error


def _timestamp(at: datetime | None) -> Timestamp | None:
    return None if at is None else timestamp(at)
