"""AuditService, and how the other services' calls get into the record."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from sailplane_core.audit import about
from sailplane_core.errors import SailplaneError
from sailplane_protos.governance import audit_pb2 as pb
from sailplane_protos.governance import audit_pb2_grpc
from sailplane_runtime.grpc_errors import status_of

from .. import audit
from ..audit import Audit
from ..ports import AdminPorts

Kind = TypeVar("Kind", bound=type)
Method = Callable[[Any, Any, Any], Awaitable[Any]]

READS = ("Get", "List", "Watch", "Tail", "Preview")
REPORTS = {"CreateWorkflowEvent", "CreateNodeEvent", "CreateTaskEvent"}
"""What engines tell of executions: nobody's doing."""


class AuditHandlers(audit_pb2_grpc.AuditServiceServicer):
    """The handlers."""

    def __init__(self, ports: AdminPorts) -> None:
        self.ports = ports

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, context: Any) -> pb.ListAuditEventsResponse:
        """Who has done what."""
        return await audit.list_events(self.ports, request)


def audited(handlers: Kind, record: Audit) -> Kind:
    """The same handlers, but that calls which would change something are recorded, also those that are refused."""
    methods = {
        name: _recorded(name, method, record)
        for name, method in inspect.getmembers(handlers, inspect.iscoroutinefunction)
        if name[0].isupper() and not name.startswith(READS) and name not in REPORTS
    }
    return cast("Kind", type(handlers.__name__, (handlers,), methods))


def _recorded(name: str, method: Method, record: Audit) -> Method:
    async def recorded(self: Any, request: Any, context: Any) -> Any:
        begun, reply, code = time.perf_counter(), None, "INTERNAL"
        try:
            reply = await method(self, request, context)
            code = "OK"
        except SailplaneError as error:
            code = status_of(error, request, as_flyte=False).code.name
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        finally:
            given = dict(context.invocation_metadata() or ())
            request_id = str(given.get("x-request-id", ""))
            seconds = time.perf_counter() - begun
            record.record(name, about(request, reply), code, seconds, context.peer() or "", request_id)
        return reply

    return recorded
