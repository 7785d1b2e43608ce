"""From `futures.pb` in the blob store to the closure beside it."""

from pathlib import Path

import pytest
from core.compiler.building import interface
from core.test_dynamic import TO_INT, X, integer, job, task
from core.types.samples import INT
from sailplane_core import dynamic as core
from sailplane_core.compiler import compile_task
from sailplane_core.errors import InvalidRequest, InvariantBroken, NotFound, Unavailable
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import EntityId, ResourceType
from sailplane_core.layout import Layout
from sailplane_propeller import dynamic
from sailplane_propeller.ports import PropellerSettings
from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.core import compiler_pb2, dynamic_job_pb2, interface_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.threads import INLINE_BYTES_MAX

ID = core.workflow_id(X, "n0", 0)
GRAPH_BYTES_MAX = PropellerSettings().graph_bytes_max
PLAN = EntityId(ResourceType.LAUNCH_PLAN, "p", "development", "plan", "1")


class Admin:
    """What is registered; `fails` is raised instead of answering."""

    def __init__(self) -> None:
        self.tasks: dict[EntityId, compiler_pb2.CompiledTask] = {}
        self.plans: dict[EntityId, launch_plan_pb2.LaunchPlan] = {}
        self.fails: Exception | None = None

    async def get_task(self, id: EntityId) -> compiler_pb2.CompiledTask:
        """A registered task."""
        if self.fails:
            raise self.fails
        if id not in self.tasks:
            raise NotFound("TASK", str(id))
        return self.tasks[id]

    async def get_launch_plan(self, id: EntityId) -> launch_plan_pb2.LaunchPlan:
        """A registered launch plan."""
        if self.fails:
            raise self.fails
        if id not in self.plans:
            raise NotFound("LAUNCH_PLAN", str(id))
        return self.plans[id]


class Node:
    """A dynamic node whose task has left a job."""

    def __init__(self, directory: Path) -> None:
        clock = SystemClock()
        self.blobs = FileBlobs(directory, UrlSigner(b"k" * 32), clock)
        self.layout = Layout(self.blobs.uri("").rstrip("/"), self.blobs.uri("raw"), X)
        self.admin = Admin()

    async def leave(self, written: dynamic_job_pb2.DynamicJobSpec | bytes) -> None:
        """What the task does last."""
        data = written if isinstance(written, bytes) else written.SerializeToString()
        await self.blobs.put(self.layout.futures_uri("n0", 0), data)

    async def build(
        self, declared: interface_pb2.TypedInterface = TO_INT, job_bytes_max: int = GRAPH_BYTES_MAX
    ) -> compiler_pb2.CompiledWorkflowClosure | Failure:
        """What the engine does next."""
        job_uri, closure_uri = self.layout.futures_uri("n0", 0), self.layout.dynamic_closure_uri("n0", 0)
        return await dynamic.build(self.blobs, self.admin, ID, declared, job_uri, closure_uri, job_bytes_max)

    async def refusal(self, job_bytes_max: int = GRAPH_BYTES_MAX) -> str:
        """Why the job cannot be walked: always the user's fault, and nothing is stored."""
        failure = await self.build(job_bytes_max=job_bytes_max)
        assert isinstance(failure, Failure)
        assert (failure.code, failure.kind) == ("DynamicWorkflowBuildFailed", FailureKind.USER)
        assert not failure.retryable
        with pytest.raises(NotFound):
            await self.blobs.head(self.layout.dynamic_closure_uri("n0", 0))
        return failure.message


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node of an execution that is under way."""
    return Node(tmp_path / "blobs")


async def test_a_job_becomes_a_stored_closure_and_again_the_same(node: Node) -> None:
    written = job(d0=integer(1))
    written.tasks.append(task())
    await node.leave(written)
    built = await node.build()
    assert isinstance(built, compiler_pb2.CompiledWorkflowClosure)
    assert EntityId.of(built.primary.template.id) == ID
    assert await dynamic.load(node.blobs, node.layout.dynamic_closure_uri("n0", 0)) == built
    assert await node.build() == built


async def test_a_large_job_is_built_like_a_small_one(node: Node) -> None:
    written = job(**{f"d{index}": integer(index) for index in range(1000)})
    written.tasks.append(task())
    assert written.ByteSize() > INLINE_BYTES_MAX
    await node.leave(written)
    built = await node.build()
    assert isinstance(built, compiler_pb2.CompiledWorkflowClosure)
    assert len(built.primary.template.nodes) == 1002
    written.nodes[500].id = "d501"
    await node.leave(written)
    again = await node.build()
    assert isinstance(again, Failure)
    assert "DuplicateId, Node Id: d501" in again.message


async def test_what_the_task_wrote_in_the_closures_place_is_not_used(node: Node) -> None:
    written = job(d0=integer(1))
    written.tasks.append(task())
    await node.leave(written)
    forged = compiler_pb2.CompiledWorkflowClosure(tasks=[compiler_pb2.CompiledTask(template=task("forged"))])
    uri = node.layout.dynamic_closure_uri("n0", 0)
    await node.blobs.put(uri, forged.SerializeToString())
    built = await node.build()
    assert await dynamic.load(node.blobs, uri) == built != forged


async def test_registered_tasks_and_launch_plans_are_fetched(node: Node) -> None:
    written = job(d0=integer(1))
    written.nodes.add(id="d1").workflow_node.launchplan_ref.CopyFrom(PLAN.to_message())
    await node.leave(written)
    message = await node.refusal()
    assert "TaskReferenceNotFound, Node Id: d0" in message
    assert "WorkflowReferenceNotFound, Node Id: d1" in message
    assert "plan" in message
    id = EntityId.of(task().id)
    node.admin.tasks[id] = compile_task(id, task())
    node.admin.plans[PLAN] = launch_plan_pb2.LaunchPlan()
    assert isinstance(await node.build(), compiler_pb2.CompiledWorkflowClosure)


async def test_an_id_that_cannot_be_registered_is_the_users_mistake(node: Node) -> None:
    await node.leave(job(d0=integer(1)))
    node.admin.fails = InvalidRequest("missing version")
    assert "TaskReferenceNotFound" in await node.refusal()


async def test_admin_being_away_is_nobodys_mistake(node: Node) -> None:
    await node.leave(job(d0=integer(1)))
    node.admin.fails = Unavailable("admin")
    with pytest.raises(Unavailable):
        await node.build()


async def test_what_is_not_a_job_is_refused(node: Node) -> None:
    assert "futures.pb" in await node.refusal()
    await node.leave(b"\xff\xff")
    assert "not a core.DynamicJobSpec" in await node.refusal()


async def test_a_job_larger_than_the_limit_is_refused(node: Node) -> None:
    written = job(d0=integer(1))
    written.tasks.append(task())
    await node.leave(written)
    size = len(written.SerializeToString())
    assert "more than" in await node.refusal(job_bytes_max=size - 1)
    assert not isinstance(await node.build(job_bytes_max=size), Failure)


async def test_outputs_must_be_those_of_the_task(node: Node) -> None:
    written = job(d0=integer(1))
    written.tasks.append(task())
    await node.leave(written)
    built = await node.build(interface({}, {"o0": INT, "o1": INT}))
    assert isinstance(built, Failure)
    assert "'o1'" in built.message


@pytest.mark.parametrize("damage", [b"\xff\xff", None])
async def test_a_closure_that_is_walked_and_gone_is_a_broken_invariant(node: Node, damage: bytes | None) -> None:
    uri = node.layout.dynamic_closure_uri("n0", 0)
    if damage is not None:
        await node.blobs.put(uri, damage)
    with pytest.raises(InvariantBroken, match="dynamic_compiled"):
        await dynamic.load(node.blobs, uri)
