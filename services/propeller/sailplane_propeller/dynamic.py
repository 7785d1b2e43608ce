"""Dynamic nodes: from the job that a task left in the blob store to the stored workflow that is walked for it."""

from typing import Protocol

from google.protobuf.message import DecodeError
from sailplane_core import dynamic
from sailplane_core.compiler import Requirements
from sailplane_core.errors import CompileFailed, InvalidRequest, InvariantBroken, NotFound
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import EntityId
from sailplane_core.ports import BlobStore
from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.core import compiler_pb2, dynamic_job_pb2, interface_pb2
from sailplane_runtime.threads import inline_or_thread


class Registry(Protocol):
    """What is registered, which a job may refer to: admin."""

    async def get_task(self, id: EntityId) -> compiler_pb2.CompiledTask:
        """The task. Raises `NotFound`, `InvalidRequest` for an id that cannot be, `Unavailable`."""
        ...

    async def get_launch_plan(self, id: EntityId) -> launch_plan_pb2.LaunchPlan:
        """The launch plan with what it expects and gives. Raises the same."""
        ...


async def build(
    blobs: BlobStore,
    registry: Registry,
    id: EntityId,
    interface: interface_pb2.TypedInterface,
    job_uri: str,
    closure_uri: str,
    job_bytes_max: int,
) -> compiler_pb2.CompiledWorkflowClosure | Failure:
    """Compile the job at `job_uri` as workflow `id`, and store the closure; what is wrong with it is the user's fault.

    `interface` is that of the dynamic task, and `job_bytes_max` what its job may have. Doing it again stores the same
    closure again: what is stored already is not trusted, because the task's own code could have written it. Raises
    `Unavailable`.
    """
    job = await _job_at(blobs, job_uri, job_bytes_max)
    if isinstance(job, Failure):
        return job
    size_bytes = job.ByteSize()
    needed = await inline_or_thread(size_bytes, lambda: dynamic.required_by(job))
    tasks, plans = await _registered(registry, needed)

    def compiled() -> compiler_pb2.CompiledWorkflowClosure:
        return dynamic.compile_dynamic(id, job, interface, tasks, plans)

    try:
        closure = await inline_or_thread(size_bytes, compiled)
    except CompileFailed as error:
        return _failure(str(error))
    await blobs.put(closure_uri, closure.SerializeToString())
    return closure


async def load(blobs: BlobStore, closure_uri: str) -> compiler_pb2.CompiledWorkflowClosure:
    """The closure that `build` stored. Raises `InvariantBroken` if it is gone or damaged, `Unavailable`."""
    try:
        return compiler_pb2.CompiledWorkflowClosure.FromString(await blobs.get(closure_uri))
    except (NotFound, DecodeError) as error:
        raise InvariantBroken(f"{closure_uri}, a generated workflow that is walked, cannot be read: {error}") from error


async def _job_at(blobs: BlobStore, uri: str, bytes_max: int) -> dynamic_job_pb2.DynamicJobSpec | Failure:
    try:
        data = await blobs.get(uri, bytes_max=bytes_max + 1)
    except NotFound:
        return _failure(f"there is no {uri} any more")
    if len(data) > bytes_max:
        return _failure(f"futures.pb has more than {bytes_max} bytes")
    try:
        return dynamic_job_pb2.DynamicJobSpec.FromString(data)
    except DecodeError:
        return _failure(f"futures.pb ({len(data)} bytes) is not a core.DynamicJobSpec")


async def _registered(
    registry: Registry, needed: Requirements
) -> tuple[dict[EntityId, compiler_pb2.CompiledTask], dict[EntityId, launch_plan_pb2.LaunchPlan]]:
    """What the job refers to, as far as it exists: the compiler says what is missing, and where."""
    tasks: dict[EntityId, compiler_pb2.CompiledTask] = {}
    plans: dict[EntityId, launch_plan_pb2.LaunchPlan] = {}
    for id in needed.tasks:
        try:
            tasks[id] = await registry.get_task(id)
        except (NotFound, InvalidRequest):
            continue
    for id in needed.launch_plans:
        try:
            plans[id] = await registry.get_launch_plan(id)
        except (NotFound, InvalidRequest):
            continue
    return tasks, plans


def _failure(message: str) -> Failure:
    return Failure("DynamicWorkflowBuildFailed", message, FailureKind.USER, retryable=False)
