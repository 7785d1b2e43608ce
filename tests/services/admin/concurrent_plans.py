"""Launch plans with a concurrency policy, and an engine that runs their executions as admin's orders say."""

from collections.abc import Sequence

from sailplane_admin import execution_orders, executions, launch_plans, tables
from sailplane_admin.ports import AdminPorts
from sailplane_core.concurrency import CANCEL_OLDEST, QUEUE, REPLACE, SKIP
from sailplane_core.ids import ExecutionId
from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase
from sailplane_core.ports import Message
from sailplane_protos.admin import execution_pb2
from sailplane_protos.propeller import queue_pb2
from sqlalchemy import func, select

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

NAME = "limited"
VERSIONS = {"skip": SKIP, "queue": QUEUE, "oldest": CANCEL_OLDEST, "replace": REPLACE, "none": None}


async def register(ports: AdminPorts, executions_max: int, name: str = NAME) -> None:
    """A version of one launch plan for each behaviour, named like it, and one without a policy."""
    for version, behavior in VERSIONS.items():
        plan = registry.plan(name, version)
        if behavior is not None:
            plan.spec.concurrency_policy.max = executions_max
            plan.spec.concurrency_policy.behavior = behavior
        await launch_plans.create(ports, plan)


def create(
    version: str, name: str, plan: str = NAME, parent: str | None = None
) -> execution_pb2.ExecutionCreateRequest:
    """An execution of a version, started by a node of `parent` if one is named."""
    request = requests.create(name)
    request.spec.launch_plan.CopyFrom(registry.plan_id(plan, version))
    if parent is not None:
        request.spec.metadata.mode = execution_pb2.ExecutionMetadata.CHILD_WORKFLOW
        request.spec.metadata.parent_node_execution.CopyFrom(requests.node_id(name=parent))
    return request


def terminate(name: str, cause: str = "enough") -> execution_pb2.ExecutionTerminateRequest:
    """Ask for an execution's end."""
    return execution_pb2.ExecutionTerminateRequest(id=requests.execution_id(name), cause=cause)


def key(name: str) -> ExecutionId:
    """In the default project."""
    return ExecutionId(registry.PROJECT, registry.DOMAIN, name)


async def phase_of(ports: AdminPorts, name: str) -> ExecutionPhase:
    """As a client reads it."""
    return ExecutionPhase((await executions.get(ports, requests.get(name))).closure.phase)


async def unfinished(ports: AdminPorts) -> int:
    """Executions that are recorded and have not ended."""
    ended = [phase.name for phase in EXECUTION_TERMINAL]
    query = select(func.count()).where(tables.executions.c.phase.not_in(ended))
    return await ports.store.read(lambda connection: connection.execute(query).scalar_one())


class Engine:
    """Knows what admin has ordered, and nothing of its rows."""

    def __init__(self, ports: AdminPorts) -> None:
        self.started: list[str] = []
        self.running: set[str] = set()
        self.leaving: set[str] = set()
        self.most_running = 0
        self._over: set[str] = set()
        self._ports = ports
        self.attach(ports)

    def attach(self, ports: AdminPorts) -> None:
        """Follow the orders of a store that was opened again."""
        self._ports = ports
        ports.store.listen(execution_orders.TOPIC, self._hear)

    def _hear(self, orders: Sequence[Message]) -> None:
        for message in orders:
            order = queue_pb2.ExecutionCommand.FromString(message.payload)
            name = order.execution_id.name
            match order.WhichOneof("command"):
                case "start":
                    assert name not in self.started, "started twice"
                    assert name not in self.leaving, "started although it was aborted"
                    self.started.append(name)
                    self.running.add(name)
                    self.most_running = max(self.most_running, len(self.running))
                case "abort":
                    self.leaving.add(name)
                case other:
                    raise AssertionError(other)

    async def report(self, name: str, phase: ExecutionPhase) -> None:
        """Tell admin how an execution is."""
        await requests.record(self._ports, requests.workflow_event(phase), id=key(name))

    async def end(self, name: str) -> None:
        """What runs succeeds; what was to be aborted, is. Nothing happens to what has ended, or waits."""
        if name in self._over or not self.running | self.leaving >= {name}:
            return
        self._over.add(name)
        self.running.discard(name)
        phase = ExecutionPhase.ABORTED if name in self.leaving else ExecutionPhase.SUCCEEDED
        self.leaving.discard(name)
        await self.report(name, phase)

    async def end_all(self) -> None:
        """Go on until there is nothing to do."""
        while names := sorted((self.running | self.leaving) - self._over):
            for name in names:
                await self.end(name)
