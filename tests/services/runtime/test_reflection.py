"""Reflection: clients without .proto files find everything, by our names and by Flyte's."""

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2
from sailplane_runtime.flyte_names import flyte_name
from services.runtime.serving import ADMIN, FLYTE_ADMIN, Admin, serving


async def ask(channel: aio.Channel, version: str, **question: Any) -> reflection_pb2.ServerReflectionResponse:
    call: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )([reflection_pb2.ServerReflectionRequest(**question)])
    return await call.read()


async def listed(channel: aio.Channel) -> set[str]:
    reply = await ask(channel, "v1", list_services="*")
    return {service.name for service in reply.list_services_response.service}


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize(
    ("symbol", "package"),
    [
        (ADMIN, "sailplane"),
        (FLYTE_ADMIN, "flyteidl"),
        (f"{FLYTE_ADMIN}.CreateWorkflow", "flyteidl"),
        ("sailplane.core.Literal.scalar", "sailplane"),
        ("flyteidl.core.Literal", "flyteidl"),
        ("sailplane.core.Literal", "sailplane"),
    ],
)
async def test_reflection_describes_both_names_with_all_that_they_use(version: str, symbol: str, package: str) -> None:
    from google.protobuf.descriptor_pool import DescriptorPool

    async with serving(Admin()) as channel:
        assert {ADMIN, FLYTE_ADMIN} < await listed(channel)
        reply = await ask(channel, version, file_containing_symbol=symbol)
    files = [FileDescriptorProto.FromString(data) for data in reply.file_descriptor_response.file_descriptor_proto]
    other = {"sailplane": "flyteidl", "flyteidl": "sailplane"}[package]
    # What we have added to Flyte's messages may be of types of our own, for which Flyte has no name.
    mixed_in = {file.package for file in files if file.package.startswith(other)}
    assert {package for package in mixed_in if flyte_name(package) or package.startswith("flyteidl")} == set()
    # A client builds its own pool of nothing but these files, dependencies first.
    pool = DescriptorPool()
    waiting = {file.name: file for file in files}

    def add(name: str) -> None:
        file = waiting.pop(name, None)
        if file is not None:
            for dependency in file.dependency:
                add(dependency)
            pool.Add(file)

    while waiting:
        add(next(iter(waiting)))
    if symbol.rpartition(".")[2][0].islower() or symbol.endswith(".CreateWorkflow"):
        symbol = symbol.rpartition(".")[0]  # the pool of the test knows no methods and fields by name
    assert pool.FindFileContainingSymbol(symbol).package.startswith(package)


async def test_flytes_descriptors_stay_out_of_the_process_wide_pool() -> None:
    import flyteidl.admin.workflow_pb2  # would collide with a second description of itself
    from google.protobuf.descriptor_pool import Default

    async with serving(Admin()) as channel:
        await ask(channel, "v1", file_containing_symbol="flyteidl.admin.Workflow")
    assert Default().FindMessageTypeByName("flyteidl.admin.Workflow").file.name == "flyteidl/admin/workflow.proto"
    assert flyteidl.admin.workflow_pb2.Workflow.DESCRIPTOR is Default().FindMessageTypeByName("flyteidl.admin.Workflow")


async def test_questions_about_unknown_symbols_are_answered() -> None:
    async with serving(Admin()) as channel:
        reply = await ask(channel, "v1", file_containing_symbol="no.Such")
    assert reply.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_what_flyte_does_not_have_goes_by_our_name_alone() -> None:
    async with serving(object(), "sailplane.scheduler.SchedulerService") as channel:
        names = await listed(channel)
    assert names == {
        "sailplane.scheduler.SchedulerService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
