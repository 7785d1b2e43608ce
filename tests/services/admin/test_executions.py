"""Starting, reading, listing and ending executions."""

import asyncio

import pytest
from sailplane_admin import execution_orders, executions, projects, tables
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import (
    AlreadyExists,
    AlreadyTerminal,
    InactiveProject,
    InvalidRequest,
    NotFound,
    SailplaneError,
)
from sailplane_core.phases import ExecutionPhase
from sailplane_protos.admin import common_pb2, execution_pb2, project_pb2
from sailplane_protos.core import execution_pb2 as execution_error_pb2
from sailplane_protos.core import literals_pb2
from sailplane_protos.propeller import queue_pb2
from sqlalchemy import func, select

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry


@pytest.fixture
async def admin(ports: AdminPorts) -> AdminPorts:
    """With something to run."""
    await requests.register(ports)
    return ports


async def orders(ports: AdminPorts) -> list[queue_pb2.ExecutionCommand]:
    pending = await ports.store.pending(execution_orders.TOPIC)
    return [queue_pb2.ExecutionCommand.FromString(message.payload) for message in pending]


async def rows(ports: AdminPorts) -> int:
    query = select(func.count()).select_from(tables.executions)
    return await ports.store.read(lambda connection: connection.execute(query).scalar_one())


def listing(limit: int = 10, **more: str) -> common_pb2.ResourceListRequest:
    id = common_pb2.NamedEntityIdentifier(project=registry.PROJECT, domain=registry.DOMAIN)
    return common_pb2.ResourceListRequest(id=id, limit=limit, **more)


async def names(ports: AdminPorts, **more: str) -> list[str]:
    found = await executions.list_executions(ports, listing(**more))
    return [execution.id.name for execution in found.executions]


async def test_an_execution_can_be_read_as_soon_as_it_was_created(admin: AdminPorts) -> None:
    response = await executions.create(admin, requests.create())
    assert response.id == requests.execution_id()
    found = await executions.get(admin, requests.get())
    assert found.closure.phase == ExecutionPhase.UNDEFINED
    assert found.closure.workflow_id == registry.workflow_id("chain")
    assert found.closure.HasField("created_at")
    assert found.spec.max_parallelism == 25
    assert found.spec.metadata.system_metadata.namespace == "flytesnacks-development"


async def test_the_order_to_start_lies_in_the_outbox_with_everything_the_engine_needs(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create(a=7))
    [order] = await orders(admin)
    assert order.start.workflow_id == registry.workflow_id("chain")
    inputs = literals_pb2.LiteralMap.FromString(await admin.blobs.get(order.start.inputs_uri))
    assert inputs.literals["a"].scalar.primitive.integer == 7
    assert order.start.raw_output_prefix.endswith(f"/data/{requests.KEY}")


async def test_a_name_is_generated_when_none_is_given_and_lowered_when_one_is(admin: AdminPorts) -> None:
    generated = (await executions.create(admin, requests.create(""))).id.name
    assert len(generated) == 20
    assert (await executions.create(admin, requests.create("UPPER"))).id.name == "upper"


async def test_a_name_is_taken_once_however_often_and_fast_it_is_asked_for(admin: AdminPorts) -> None:
    tries = [executions.create(admin, requests.create(a=number)) for number in range(1000)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert all(isinstance(result, AlreadyExists) for result in results if isinstance(result, Exception))
    assert (await rows(admin), len(await orders(admin))) == (1, 1)
    [order] = await orders(admin)
    winner = next(number for number, result in enumerate(results) if not isinstance(result, Exception))
    inputs = literals_pb2.LiteralMap.FromString(await admin.blobs.get(order.start.inputs_uri))
    assert inputs.literals["a"].scalar.primitive.integer == winner


def _bad_requests() -> dict[str, tuple[execution_pb2.ExecutionCreateRequest, type[SailplaneError], str]]:
    unknown_input, unknown_domain, wrong_type = requests.create(), requests.create(), requests.create()
    unknown_input.inputs.literals["ghost"].scalar.primitive.integer = 1
    unknown_domain.domain = "nowhere"
    wrong_type.inputs.literals["a"].scalar.primitive.string_value = "one"
    no_project, no_spec, no_plan, no_version = (requests.create() for _ in range(4))
    no_project.project = ""
    no_spec.ClearField("spec")
    no_plan.spec.ClearField("launch_plan")
    no_version.spec.launch_plan.version = ""
    return {
        "missing input": (requests.create(a=None), InvalidRequest, "expected_inputs a missing"),
        "unknown input": (unknown_input, InvalidRequest, "invalid input ghost"),
        "wrong type": (wrong_type, InvalidRequest, "a"),
        "unknown domain": (unknown_domain, InvalidRequest, "nowhere"),
        "no project": (no_project, InvalidRequest, "project"),
        "no spec": (no_spec, InvalidRequest, "missing spec"),
        "no plan": (no_plan, InvalidRequest, "missing spec.launch_plan"),
        "no version": (no_version, InvalidRequest, "version"),
        "bad name": (requests.create("no good"), InvalidRequest, "name"),
        "long name": (requests.create("x" * 64), InvalidRequest, "name"),
        "unknown plan": (requests.create(plan="ghost"), NotFound, "ghost"),
    }


@pytest.mark.parametrize("case", _bad_requests())
async def test_a_bad_request_is_refused_by_name_and_writes_nothing(admin: AdminPorts, case: str) -> None:
    request, error, text = _bad_requests()[case]
    with pytest.raises(error, match=text):
        await executions.create(admin, request)
    assert (await rows(admin), await orders(admin)) == (0, [])


async def test_nothing_starts_in_an_archived_project(admin: AdminPorts) -> None:
    await projects.update_project(admin, project_pb2.Project(id=registry.PROJECT, state=project_pb2.Project.ARCHIVED))
    with pytest.raises(InactiveProject):
        await executions.create(admin, requests.create())


async def test_a_task_runs_on_its_own(admin: AdminPorts) -> None:
    request = requests.create()
    request.spec.launch_plan.CopyFrom(registry.task_id("double"))
    await executions.create(admin, request)
    found = await executions.get(admin, requests.get())
    assert found.spec.launch_plan == registry.task_id("double")
    [order] = await orders(admin)
    assert order.start.workflow_id.name == ".flytegen.double"


async def test_terminating_says_so_at_once_and_orders_the_end_once(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    request = execution_pb2.ExecutionTerminateRequest(id=requests.execution_id(), cause="enough")
    await executions.terminate(admin, request)
    await executions.terminate(admin, request)
    found = await executions.get(admin, requests.get())
    assert (found.closure.phase, found.closure.abort_metadata.cause) == (ExecutionPhase.ABORTING, "enough")
    assert [order.WhichOneof("command") for order in await orders(admin)] == ["start", "abort"]


async def test_terminating_what_has_ended_is_refused(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    await requests.record(admin, requests.workflow_event(ExecutionPhase.SUCCEEDED))
    with pytest.raises(AlreadyTerminal):
        await executions.terminate(admin, execution_pb2.ExecutionTerminateRequest(id=requests.execution_id()))


async def test_a_client_that_never_stops_trying_starts_one_execution(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    for _ in range(100):
        with pytest.raises(AlreadyExists):
            await executions.create(admin, requests.create())
    assert (await rows(admin), len(await orders(admin))) == (1, 1)


async def test_whoever_watches_is_woken_by_an_abort_and_by_the_archive(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    with admin.changes.watch(requests.KEY) as watch:
        await executions.terminate(admin, execution_pb2.ExecutionTerminateRequest(id=requests.execution_id()))
        await asyncio.wait_for(watch.changed(), 1)
        state = execution_pb2.EXECUTION_ARCHIVED
        await executions.update_state(
            admin, execution_pb2.ExecutionUpdateRequest(id=requests.execution_id(), state=state)
        )
        await asyncio.wait_for(watch.changed(), 1)


async def test_relaunching_takes_the_inputs_its_caller_gave(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create(a=5))
    again = await executions.relaunch(
        admin, execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id(), name="again")
    )
    found = await executions.get(admin, requests.get(again.id.name))
    assert found.spec.metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    assert found.spec.metadata.reference_execution == requests.execution_id()
    order = (await orders(admin))[1]
    inputs = literals_pb2.LiteralMap.FromString(await admin.blobs.get(order.start.inputs_uri))
    assert inputs.literals["a"].scalar.primitive.integer == 5


@pytest.mark.parametrize("phase", [ExecutionPhase.RUNNING, ExecutionPhase.FAILED, ExecutionPhase.SUCCEEDED])
async def test_recovering_names_the_execution_to_take_over(admin: AdminPorts, phase: ExecutionPhase) -> None:
    await executions.create(admin, requests.create(a=5))
    await requests.record(admin, requests.workflow_event(phase))
    await executions.recover(admin, execution_pb2.ExecutionRecoverRequest(id=requests.execution_id(), name="again"))
    found = await executions.get(admin, requests.get("again"))
    assert found.spec.metadata.mode == execution_pb2.ExecutionMetadata.RECOVERED
    assert found.spec.metadata.reference_execution == requests.execution_id()
    start = (await orders(admin))[1].start
    assert (start.recover_from, start.mode) == (requests.execution_id(), execution_pb2.ExecutionMetadata.RECOVERED)
    inputs = literals_pb2.LiteralMap.FromString(await admin.blobs.get(start.inputs_uri))
    assert inputs.literals["a"].scalar.primitive.integer == 5
    assert (await executions.get(admin, requests.get())).closure.phase == phase


async def test_a_recovered_execution_can_be_recovered_in_turn(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    await executions.recover(admin, execution_pb2.ExecutionRecoverRequest(id=requests.execution_id(), name="y"))
    await executions.recover(admin, execution_pb2.ExecutionRecoverRequest(id=requests.execution_id("y"), name="z"))
    assert (await orders(admin))[2].start.recover_from == requests.execution_id("y")


async def test_archived_executions_are_listed_only_when_asked_for(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create("x"))
    await executions.create(admin, requests.create("y"))
    archive = execution_pb2.ExecutionUpdateRequest(id=requests.execution_id(), state=execution_pb2.EXECUTION_ARCHIVED)
    await executions.update_state(admin, archive)
    assert await names(admin) == ["y"]
    assert await names(admin, filters="eq(state,1)") == ["x"]
    assert (await executions.get(admin, requests.get())).closure.state_change_details.state == 1


async def test_lists_filter_by_the_names_clients_use(admin: AdminPorts) -> None:
    labelled = requests.create("x")
    labelled.spec.labels.values["team"] = "blue"
    await executions.create(admin, labelled)
    await executions.create(admin, requests.create("y"))
    assert await names(admin, filters="eq(execution_name,y)") == ["y"]
    assert await names(admin, filters="eq(workflow.name,chain)") == ["x", "y"]
    assert await names(admin, filters="eq(launch_plan.name,ghost)") == []
    assert await names(admin, filters="eq(execution_tag.key,team)+eq(execution_tag.value,blue)") == ["x"]
    assert await names(admin, filters="value_in(phase,UNDEFINED;RUNNING)") == ["x", "y"]


async def test_an_execution_that_is_not_there(admin: AdminPorts) -> None:
    with pytest.raises(NotFound):
        await executions.get(admin, requests.get("ghost"))
    with pytest.raises(NotFound):
        await executions.terminate(admin, execution_pb2.ExecutionTerminateRequest(id=requests.execution_id("ghost")))
    with pytest.raises(InvalidRequest, match="name"):
        await executions.get(admin, requests.get(""))
    with pytest.raises(NotFound):
        await executions.relaunch(admin, execution_pb2.ExecutionRelaunchRequest(id=requests.execution_id("ghost")))
    with pytest.raises(NotFound):
        await executions.recover(admin, execution_pb2.ExecutionRecoverRequest(id=requests.execution_id("ghost")))
    with pytest.raises(NotFound):
        await executions.update_state(admin, execution_pb2.ExecutionUpdateRequest(id=requests.execution_id("ghost")))


async def test_a_state_that_is_none_is_refused(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    request = execution_pb2.ExecutionUpdateRequest(id=requests.execution_id())
    request.state = 9  # type: ignore[assignment]
    with pytest.raises(InvalidRequest, match="state"):
        await executions.update_state(admin, request)


async def test_lists_show_the_beginning_of_errors_and_no_inputs(admin: AdminPorts) -> None:
    await executions.create(admin, requests.create())
    error = execution_error_pb2.ExecutionError(code="Boom", message="ä" * 80)
    await requests.record(admin, requests.workflow_event(ExecutionPhase.FAILED, error=error))
    [listed] = (await executions.list_executions(admin, listing())).executions
    assert listed.closure.error.message == "ä" * 50
    assert not listed.closure.HasField("computed_inputs")
    assert (await executions.get(admin, requests.get())).closure.error.message == error.message


async def test_pages_follow_one_another_by_offset(admin: AdminPorts) -> None:
    for name in "abc":
        await executions.create(admin, requests.create(name))
    first = await executions.list_executions(admin, listing(limit=2))
    second = await executions.list_executions(admin, listing(limit=2, token=first.token))
    assert first.token
    assert second.token == ""
    assert [one.id.name for one in (*first.executions, *second.executions)] == ["a", "b", "c"]
    with pytest.raises(InvalidRequest, match="limit"):
        await executions.list_executions(admin, listing(limit=0))
